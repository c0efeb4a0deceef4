//! What a page shows before anything on it is opened.

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

use super::block::{self, Column, Dictionary, DictionaryLists};
use super::summary;
use super::{Page, Rollout};
use crate::record::{Finish, TokenRecord};

/// All of a page but its tokens' values and its images' bytes, which are named here by their number.
#[derive(Serialize)]
pub(super) struct Index<'a> {
    /// Of the format.
    version: u32,
    title: &'a str,
    configuration: &'a str,
    metrics: &'a [Map<String, Value>],
    dictionary: DictionaryLists<'a>,
    /// The distinct lists of columns of the blocks.
    layouts: Vec<Vec<Column>>,
    /// Each block's layout and tokens.
    blocks: Vec<(usize, usize)>,
    rollouts: Rollouts<'a>,
    values: Vec<summary::Value>,
    pictures: Vec<Pictures<'a>>,
}

/// The responses, a list for each field.
#[derive(Default, Serialize)]
struct Rollouts<'a> {
    step: Vec<usize>,
    group: Vec<usize>,
    response: Vec<usize>,
    problem_index: Vec<Option<usize>>,
    place: Vec<Option<&'a str>>,
    problem: Vec<&'a str>,
    answer: Vec<&'a str>,
    text: Vec<&'a str>,
    finish: Vec<Finish>,
    reward: Vec<f32>,
    accuracy: Vec<f32>,
    parts: Vec<RewardParts<'a>>,
    /// The number of the response's block.
    block: Vec<Option<usize>>,
    /// The blocks of the same tokens scored again, by name.
    compared: Vec<Vec<(&'a str, usize)>>,
}

/// Parts of a reward by name.
type RewardParts<'a> = &'a BTreeMap<String, f32>;

#[derive(Serialize)]
struct Pictures<'a> {
    step: usize,
    group: usize,
    pictures: Vec<Picture<'a>>,
}

#[derive(Serialize)]
struct Picture<'a> {
    name: &'a str,
    media_type: &'a str,
    /// The number of its bytes; the same bytes are kept once.
    bytes: usize,
}

/// A page's index, the blocks it names and the images' bytes it names.
pub(super) struct Parts<'a> {
    pub(super) index: Index<'a>,
    pub(super) blocks: Vec<Vec<u8>>,
    pub(super) images: Vec<&'a [u8]>,
}

/// The blocks so far.
#[derive(Default)]
struct Blocks<'a> {
    dictionary: Dictionary<'a>,
    layouts: Vec<Vec<Column>>,
    shapes: Vec<(usize, usize)>,
    blocks: Vec<Vec<u8>>,
}

impl<'a> Blocks<'a> {
    /// Adds a response's tokens and returns their number.
    fn add(&mut self, tokens: &'a TokenRecord) -> io::Result<usize> {
        let (layout, block) = block::encode(tokens, &mut self.dictionary)?;
        let known = self.layouts.iter().position(|known| *known == layout);
        let number = known.unwrap_or(self.layouts.len());
        if known.is_none() {
            self.layouts.push(layout);
        }
        self.shapes.push((number, tokens.ids.len()));
        self.blocks.push(block);
        Ok(self.blocks.len() - 1)
    }
}

/// Takes a page apart.
///
/// # Errors
///
/// None that writing to memory can meet.
pub(super) fn parts(page: &Page) -> io::Result<Parts<'_>> {
    let mut blocks = Blocks::default();
    let mut rollouts = Rollouts::default();
    for Rollout { record, compared } in &page.rollouts {
        rollouts.step.push(record.step);
        rollouts.group.push(record.group);
        rollouts.response.push(record.response);
        rollouts.problem_index.push(record.problem_index);
        rollouts.place.push(record.place.as_deref());
        rollouts.problem.push(&record.problem);
        rollouts.answer.push(&record.answer);
        rollouts.text.push(&record.text);
        rollouts.finish.push(record.finish);
        rollouts.reward.push(record.reward);
        rollouts.accuracy.push(record.accuracy);
        rollouts.parts.push(&record.parts);
        rollouts.block.push(record.tokens.as_ref().map(|tokens| blocks.add(tokens)).transpose()?);
        let again = compared.iter().map(|other| Ok((other.name.as_str(), blocks.add(&other.tokens)?)));
        rollouts.compared.push(again.collect::<io::Result<_>>()?);
    }
    let mut images = Vec::new();
    let mut numbers = HashMap::new();
    let pictures = page.pictures.iter().map(|group| Pictures {
        step: group.step,
        group: group.group,
        pictures: group
            .pictures
            .iter()
            .map(|picture| Picture {
                name: &picture.name,
                media_type: &picture.media_type,
                bytes: *numbers.entry(picture.bytes.as_slice()).or_insert_with(|| {
                    images.push(picture.bytes.as_slice());
                    images.len() - 1
                }),
            })
            .collect(),
    });
    let pictures = pictures.collect();
    let index = Index {
        version: 1,
        title: &page.title,
        configuration: &page.configuration,
        metrics: &page.metrics,
        dictionary: blocks.dictionary.lists(),
        layouts: blocks.layouts,
        blocks: blocks.shapes,
        rollouts,
        values: summary::values(page),
        pictures,
    };
    Ok(Parts { index, blocks: blocks.blocks, images })
}
