//! Event files for TensorBoard, read by a reader of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use trainer::{MetricsFile, Recipe, TensorBoard, TrainObserver, Trainer, vppo};

use crate::workspace::{EveryOther, Workspace, names};

const CHECKPOINT: &str = "timing_s/save_checkpoint";

/// A field of a message: its number, and its bytes or bits.
enum Field<'a> {
    Bits(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in protobuf's wire format.
fn fields(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(rest: &mut &[u8]) -> u64 {
        let end = rest.iter().position(|byte| byte & 0x80 == 0).expect("an end");
        let value = rest[..=end].iter().rev().fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f));
        *rest = &rest[end + 1..];
        value
    }
    fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, others) = rest.split_at(count);
        *rest = others;
        taken
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let field = match key & 7 {
            0 => Field::Bits(varint(&mut rest)),
            1 => Field::Bits(u64::from_le_bytes(take(&mut rest, 8).try_into().expect("eight bytes"))),
            5 => Field::Bits(u64::from(u32::from_le_bytes(take(&mut rest, 4).try_into().expect("four bytes")))),
            2 => {
                let length = varint(&mut rest) as usize;
                Field::Bytes(take(&mut rest, length))
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn bytes(message: &[u8], number: u64) -> Option<&[u8]> {
    fields(message).into_iter().find_map(|(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    })
}

fn bits(message: &[u8], number: u64) -> Option<u64> {
    fields(message).into_iter().find_map(|(found, field)| match field {
        Field::Bits(bits) if found == number => Some(bits),
        _ => None,
    })
}

/// What an event file says.
#[derive(Default)]
struct Read {
    version: String,
    /// Steps at which a process began.
    starts: Vec<u64>,
    scalars: BTreeMap<(u64, String), f32>,
    /// Values counted in histograms.
    histograms: BTreeMap<(u64, String), f64>,
    text: String,
}

fn read(path: &Path) -> Read {
    let file = fs::read(path).expect("an event file");
    let (mut rest, mut read) = (file.as_slice(), Read::default());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().expect("eight bytes")) as usize;
        let event = &rest[12..12 + length];
        rest = &rest[16 + length..];
        let step = bits(event, 2).unwrap_or(0);
        if let Some(version) = bytes(event, 3) {
            read.version = String::from_utf8(version.to_vec()).expect("UTF-8");
        }
        if let Some(session) = bytes(event, 7) {
            assert_eq!(bits(session, 1), Some(1), "a start");
            read.starts.push(step);
        }
        for (_, value) in fields(bytes(event, 5).unwrap_or_default()) {
            let Field::Bytes(value) = value else { panic!("values are messages") };
            let tag = String::from_utf8(bytes(value, 1).expect("a name").to_vec()).expect("UTF-8");
            if let Some(scalar) = bits(value, 2) {
                read.scalars.insert((step, tag), f32::from_bits(scalar as u32));
            } else if let Some(histogram) = bytes(value, 5) {
                read.histograms.insert((step, tag), f64::from_bits(bits(histogram, 3).expect("a count")));
            } else {
                let tensor = bytes(value, 8).expect("a text");
                read.text = String::from_utf8(bytes(tensor, 8).expect("its bytes").to_vec()).expect("UTF-8");
            }
        }
    }
    read
}

fn go_on(mut trainer: Trainer) {
    trainer.algorithm.estimator = Box::new(EveryOther);
    let output = trainer.config.output.clone();
    let mut observers: Vec<Box<dyn TrainObserver>> = vec![
        Box::new(MetricsFile::open(&output).expect("a folder")),
        Box::new(TensorBoard::open(&output).expect("a folder")),
    ];
    trainer.run(&mut observers).expect("runs");
}

/// The files hold every number of the file of metrics; the one of a process that goes on voids the steps it takes again.
#[test]
fn event_files_hold_every_number() {
    let workspace = Workspace::new();
    let recipe = Recipe { name: "unfiltered".to_owned(), accuracy_band: None, ..vppo() };
    let mut config = workspace.config("run", &workspace.recipe(&recipe));
    (config.schedule.steps, config.schedule.save_every, config.schedule.validation_samples) = (3, 1, 1);
    config.data.held_out = Some(workspace.path("problems/held_out.jsonl").into());
    let output = config.output.clone();
    go_on(Trainer::start(config).expect("starts"));
    fs::remove_dir_all(output.join("checkpoints/step-3")).expect("a writable folder");
    go_on(Trainer::resume(&output, &[]).expect("resumes"));

    let folder = output.join("tensorboard");
    let files = names(&folder);
    assert_eq!(files.len(), 2, "one for each process: {files:?}");
    let (first, second) = (read(&folder.join(&files[0])), read(&folder.join(&files[1])));
    for (file, start) in [(&first, 1), (&second, 3)] {
        assert_eq!((file.version.as_str(), file.starts.as_slice()), ("brain.Event:2", &[start][..]));
        assert!(file.text.contains("max_gradient_norm"), "{}", file.text);
    }
    assert!(second.scalars.keys().all(|(step, _)| *step == 3));

    let metrics = fs::read_to_string(output.join("metrics.jsonl")).expect("metrics");
    let lines = || metrics.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    // Lines of the first process, then those of the second.
    let step = |line: &Value| line["step"].as_u64().expect("a step");
    let steps: Vec<u64> = lines().filter(|line| line["actor/lr"].is_number()).map(|line| step(&line)).collect();
    assert_eq!(steps, [1, 2, 3, 3]);
    let mut expected = [BTreeMap::new(), BTreeMap::new()];
    let mut process = 0;
    let mut last_step = 0;
    for line in lines() {
        if line["actor/lr"].is_number() {
            process += usize::from(step(&line) == last_step);
            last_step = step(&line);
        }
        let numbers = line.as_object().expect("an object").iter();
        let numbers = numbers.filter(|(name, _)| *name != "step" && *name != CHECKPOINT);
        let numbers = numbers.filter_map(|(name, value)| Some((name, value.as_f64()?)));
        expected[process].extend(numbers.map(|(name, value)| ((step(&line), name.clone()), value as f32)));
    }
    let (mut first, mut second) = (first, second);
    for (file, steps) in [(&mut first, 1..=3), (&mut second, 3..=3)] {
        // In the file of metrics these stand a line later.
        let written = steps.filter(|step| file.scalars.remove(&(*step, CHECKPOINT.to_owned())).is_some()).count();
        assert_eq!(written, if file.starts == [1] { 3 } else { 1 });
    }
    assert_eq!(first.scalars, expected[0]);
    assert_eq!(second.scalars, expected[1]);
    assert!(first.scalars.contains_key(&(3, "val/accuracy".to_owned())) && first.scalars.len() > 150);
    let tokens = first.scalars[&(2, "response_length/mean".to_owned())] * 6.0;
    for name in ["recorded/dependency", "recorded/advantage"] {
        assert_eq!(first.histograms[&(2, name.to_owned())], f64::from(tokens), "every token of six responses");
    }
}
