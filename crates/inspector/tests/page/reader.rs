//! A reader of pages, written from the format's description alone.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use inspector::{
    Comparison, ContrastRecord, Finish, GroupPictures, Page, Picture, Rollout, RolloutRecord, TokenRecord,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What opens an element that holds data.
pub(crate) const OPENING: &str = "<script type=\"text/plain\" id=\"";

#[derive(Deserialize)]
struct Index {
    version: u32,
    title: String,
    configuration: String,
    metrics: Vec<Map<String, Value>>,
    dictionary: Dictionary,
    layouts: Vec<Vec<Column>>,
    blocks: Vec<(usize, usize)>,
    rollouts: Rollouts,
    pictures: Vec<Pictures>,
}

#[derive(Deserialize)]
struct Dictionary {
    ids: Vec<u32>,
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    contrast: Option<String>,
    from: Option<usize>,
}

#[derive(Deserialize)]
struct Rollouts {
    step: Vec<usize>,
    group: Vec<usize>,
    response: Vec<usize>,
    problem_index: Vec<Option<usize>>,
    place: Vec<Option<String>>,
    problem: Vec<String>,
    answer: Vec<String>,
    text: Vec<String>,
    finish: Vec<Finish>,
    reward: Vec<f32>,
    accuracy: Vec<f32>,
    parts: Vec<BTreeMap<String, f32>>,
    block: Vec<Option<usize>>,
    compared: Vec<Vec<(String, usize)>>,
}

#[derive(Deserialize)]
struct Pictures {
    step: usize,
    group: usize,
    pictures: Vec<NamedImage>,
}

#[derive(Deserialize)]
struct NamedImage {
    name: String,
    media_type: String,
    bytes: usize,
}

/// The page that a document holds.
pub(crate) fn read(document: &str) -> Page {
    let index: Index = serde_json::from_slice(&unpacked(document, "index")).expect("an index");
    assert_eq!(index.version, 1);
    let block = |number: usize| tokens(document, &index, number);
    let all = &index.rollouts;
    let rollouts = (0..all.step.len()).map(|at| Rollout {
        record: RolloutRecord {
            step: all.step[at],
            group: all.group[at],
            response: all.response[at],
            problem_index: all.problem_index[at],
            place: all.place[at].clone(),
            problem: all.problem[at].clone(),
            answer: all.answer[at].clone(),
            text: all.text[at].clone(),
            finish: all.finish[at],
            reward: all.reward[at],
            accuracy: all.accuracy[at],
            parts: all.parts[at].clone(),
            tokens: all.block[at].map(block),
        },
        compared: all.compared[at]
            .iter()
            .map(|(name, number)| Comparison { name: name.clone(), tokens: block(*number) })
            .collect(),
    });
    let rollouts = rollouts.collect();
    let picture = |image: &NamedImage| Picture {
        name: image.name.clone(),
        media_type: image.media_type.clone(),
        bytes: bytes(document, &format!("image-{}", image.bytes)),
    };
    let pictures = index.pictures.iter().map(|group| GroupPictures {
        step: group.step,
        group: group.group,
        pictures: group.pictures.iter().map(picture).collect(),
    });
    Page {
        pictures: pictures.collect(),
        rollouts,
        title: index.title,
        configuration: index.configuration,
        metrics: index.metrics,
    }
}

fn tokens(document: &str, index: &Index, number: usize) -> TokenRecord {
    let (layout, count) = index.blocks[number];
    let bytes = unpacked(document, &format!("block-{number}"));
    let layout = &index.layouts[layout];
    assert_eq!(bytes.len(), 4 * count * layout.len(), "four bytes a token and column");
    let mut words: Vec<Vec<u32>> = Vec::new();
    let mut record = TokenRecord::default();
    for (column, planes) in layout.iter().zip(bytes.chunks(4 * count.max(1))) {
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|plane| planes[plane * count + at]));
        let base = |at: usize| column.from.map_or(0, |from| words[from][at]);
        let own: Vec<u32> = (0..count).map(|at| word(at) ^ base(at)).collect();
        put(&mut record, column, &own, &index.dictionary);
        words.push(own);
    }
    if count == 0 {
        layout.iter().for_each(|column| put(&mut record, column, &[], &index.dictionary));
    }
    record
}

fn put(record: &mut TokenRecord, column: &Column, words: &[u32], dictionary: &Dictionary) {
    let values: Vec<f32> = words.iter().map(|bits| f32::from_bits(*bits)).collect();
    let contrast = column.contrast.clone();
    match column.name.as_str() {
        "token" => {
            record.ids = words.iter().map(|place| dictionary.ids[*place as usize]).collect();
            record.texts = words.iter().map(|place| dictionary.texts[*place as usize].clone()).collect();
        }
        "log_probs" => record.log_probs = values,
        "sampling_log_probs" => record.sampling_log_probs = values,
        "entropy" => record.entropy = values,
        "dependency" => record.dependency = Some(values),
        "advantage" => record.advantage = values,
        "gate" => record.gate = values,
        "contrast_log_probs" => record.contrasts.push(ContrastRecord {
            name: contrast.expect("a contrast's column names it"),
            log_probs: values,
            divergence: Vec::new(),
        }),
        "divergence" => {
            let last = record.contrasts.last_mut().expect("log-probs come before the divergence");
            assert_eq!(Some(&last.name), contrast.as_ref());
            last.divergence = values;
        }
        other => panic!("unknown column {other}"),
    }
}

fn unpacked(document: &str, id: &str) -> Vec<u8> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes(document, id).as_slice()).read_to_end(&mut unpacked).expect("gzip");
    unpacked
}

fn bytes(document: &str, id: &str) -> Vec<u8> {
    let (_, rest) = document.split_once(&format!("{OPENING}{id}\">")).unwrap_or_else(|| panic!("no element {id}"));
    let (text, _) = rest.split_once("</script>").expect("the element ends");
    STANDARD.decode(text).expect("base64")
}
