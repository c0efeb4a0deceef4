//! The tokens of one response as bytes.
//!
//! A block is gzip over columns of 32-bit words, one word per token. A column's bytes stand apart by their place in the
//! word (all lowest bytes first), since neighbours have like exponents; and a column that resembles an earlier one
//! holds the difference by exclusive or. Both lose nothing: NaN keeps its bits.

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::record::TokenRecord;

/// A column of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Column {
    /// The list's name in [`TokenRecord`], or `token` for places in the dictionary.
    name: &'static str,
    /// The contrast it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    contrast: Option<String>,
    /// The earlier column that was taken off by exclusive or.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<usize>,
}

/// The distinct tokens of a page. A token is its id and the text it adds, which may differ for the same id.
#[derive(Debug, Default)]
pub(super) struct Dictionary<'a> {
    places: HashMap<(u32, &'a str), u32>,
    tokens: Vec<(u32, &'a str)>,
}

/// The dictionary as it is written.
#[derive(Serialize)]
pub(super) struct DictionaryLists<'a> {
    ids: Vec<u32>,
    texts: Vec<&'a str>,
}

impl<'a> Dictionary<'a> {
    /// The tokens in the order of their first use.
    pub(super) fn lists(&self) -> DictionaryLists<'a> {
        let (ids, texts) = self.tokens.iter().copied().unzip();
        DictionaryLists { ids, texts }
    }

    fn place(&mut self, id: u32, text: &'a str) -> u32 {
        *self.places.entry((id, text)).or_insert_with(|| {
            self.tokens.push((id, text));
            self.tokens.len() as u32 - 1
        })
    }
}

/// The columns of a response's block, in order, and the block.
///
/// # Errors
///
/// None that writing to memory can meet.
pub(super) fn encode<'a>(
    tokens: &'a TokenRecord,
    dictionary: &mut Dictionary<'a>,
) -> io::Result<(Vec<Column>, Vec<u8>)> {
    let places = tokens.ids.iter().zip(&tokens.texts).map(|(&id, text)| dictionary.place(id, text)).collect();
    let mut columns = vec![Column { name: "token", contrast: None, from: None }];
    let mut words: Vec<Vec<u32>> = vec![places];
    let (dependency, others): (Vec<_>, Vec<_>) = tokens.lists().partition(|(name, ..)| *name == "dependency");
    // Last, since with one contrast it often is that contrast's divergence.
    for (name, contrast, values) in others.into_iter().chain(dependency) {
        let like = match name {
            "sampling_log_probs" | "contrast_log_probs" => "log_probs",
            "dependency" => "divergence",
            _ => "",
        };
        columns.push(Column {
            name,
            contrast: contrast.map(str::to_owned),
            from: columns.iter().position(|column| column.name == like),
        });
        words.push(values.iter().map(|value| value.to_bits()).collect());
    }
    let mut block = GzEncoder::new(Vec::new(), Compression::new(4));
    let mut bytes = Vec::new();
    for (column, own) in columns.iter().zip(&words) {
        let base = column.from.map(|from| &words[from]);
        for shift in [0, 8, 16, 24] {
            bytes.clear();
            bytes.extend((0..own.len()).map(|at| ((own[at] ^ base.map_or(0, |base| base[at])) >> shift) as u8));
            block.write_all(&bytes)?;
        }
    }
    Ok((columns, block.finish()?))
}
