//! Reading what a run wrote.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::InspectorError;
use crate::record::RolloutRecord;

/// Reads the responses of a file such as `rollouts/step-3.jsonl`, or of all `step-N.jsonl` in a folder, by N.
///
/// A last line without an end, as a killed run leaves it, is passed over. Where a step stands twice in a file, since it
/// was taken again, the later one is kept.
///
/// # Errors
///
/// [`InspectorError::Read`] for a file that cannot be read, [`InspectorError::Line`] for a line that is not a record.
pub fn read_rollouts(path: &Path) -> Result<Vec<RolloutRecord>, InspectorError> {
    let mut records = Vec::new();
    for file in step_files(path)? {
        let mut seen = HashSet::new();
        let start = records.len();
        each_line(&file, |record: RolloutRecord| {
            record.tokens.as_ref().map_or(Ok(()), crate::record::TokenRecord::check)?;
            if !seen.insert((record.step, record.group, record.response)) {
                let kept = records.split_off(start).into_iter().filter(|old: &RolloutRecord| old.step != record.step);
                records.extend(kept.collect::<Vec<_>>());
                seen.retain(|(step, ..)| *step != record.step);
                seen.insert((record.step, record.group, record.response));
            }
            records.push(record);
            Ok(())
        })?;
    }
    Ok(records)
}

/// Reads the lines of `metrics.jsonl`, ordered by step, a step's own line before its validation's.
///
/// A last line without an end is passed over. A run's lines go on from step to step, so that a line of an earlier step
/// shows where the run went back: what stands before it of the same step, or of later ones, is of an abandoned life and
/// left out. A validation stands behind its step's own line and leaves that where it is.
///
/// # Errors
///
/// [`InspectorError::Read`] for a file that cannot be read, [`InspectorError::Line`] for a line that is not an object
/// with a whole number as its `step`.
pub fn read_metrics(path: &Path) -> Result<Vec<Map<String, Value>>, InspectorError> {
    let mut lines = BTreeMap::new();
    each_line(path, |line: Map<String, Value>| {
        let step = line.get("step").and_then(Value::as_u64).ok_or("it has no whole number as its `step`")?;
        let validation = line.keys().any(|name| name.starts_with("val/"));
        lines.split_off(&(step, validation));
        lines.insert((step, validation), line);
        Ok(())
    })?;
    Ok(lines.into_values().collect())
}

/// The file itself, or the folder's `step-N.jsonl` by N.
fn step_files(path: &Path) -> Result<Vec<PathBuf>, InspectorError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| InspectorError::Read { path: path.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in path.read_dir().map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        let step = name.and_then(|name| name.strip_prefix("step-")?.strip_suffix(".jsonl")?.parse::<u64>().ok());
        if let Some(step) = step {
            files.insert(step, file);
        }
    }
    Ok(files.into_values().collect())
}

/// Calls `take` with each line of a file of JSON lines; what it refuses is an error of that line.
fn each_line<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T) -> Result<(), String>,
) -> Result<(), InspectorError> {
    let failed = |source: io::Error| InspectorError::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut text = Vec::new();
    for line in 1_usize.. {
        text.clear();
        if file.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            break;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let bad = |reason| InspectorError::Line { path: path.to_owned(), line, reason };
        match serde_json::from_slice(&text) {
            Ok(value) => take(value).map_err(bad)?,
            Err(_) if !text.ends_with(b"\n") => break,
            Err(error) => return Err(bad(format!("not a record: {error}"))),
        }
    }
    Ok(())
}
