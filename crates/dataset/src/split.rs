//! Splits of a data set by the names of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::DatasetError;

/// Words that say the same, the name of the split first.
const SPLITS: [&[&str]; 3] =
    [&["train", "training"], &["validation", "valid", "val", "dev"], &["test", "testing", "eval", "evaluation"]];

/// Files of a published data set that describe it.
const DESCRIPTIONS: [&str; 4] = ["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];

/// Whether a file is one of data by its name.
#[must_use]
pub fn is_data(name: &Path) -> bool {
    let is_description =
        name.file_name().is_some_and(|name| DESCRIPTIONS.iter().any(|description| name == *description));
    let extension = name.extension().map(OsStr::to_ascii_lowercase);
    let is_table = extension.is_some_and(|it| ["parquet", "jsonl", "ndjson", "json"].iter().any(|known| it == *known));
    is_table && !is_description
}

/// Whether a file belongs to a split of its data set; `name` begins inside the data set's folder.
#[must_use]
pub fn is_of_split(name: &Path, split: &str) -> bool {
    split_of(name) == canonical(split).unwrap_or(split)
}

/// The split that a word stands for.
fn canonical(word: &str) -> Option<&'static str> {
    SPLITS.iter().find(|names| names.contains(&word)).map(|names| names[0])
}

/// The split that a file belongs to.
fn split_of(name: &Path) -> String {
    let named = |part: &OsStr| {
        let part = part.to_string_lossy().to_lowercase();
        part.split(|letter: char| !letter.is_alphanumeric()).find_map(canonical)
    };
    match name.iter().rev().find_map(named) {
        Some(split) => split.to_owned(),
        // The Hub names a split of any name by the files' numbers.
        None => numbered(name).map_or_else(|| SPLITS[0][0].to_owned(), |(split, _, _)| split),
    }
}

/// Name, number and count of a file that is one of several, such as `mini-00000-of-00002.parquet`.
fn numbered(name: &Path) -> Option<(String, usize, usize)> {
    let stem = name.file_stem()?.to_str()?;
    let (start, count) = stem.rsplit_once("-of-")?;
    let (name, number) = start.rsplit_once('-')?;
    Some((name.to_owned(), number.parse().ok()?, count.split('-').next()?.parse().ok()?))
}

/// The files of the wanted split, or of the only one.
pub(crate) fn choose(folder: &Path, names: &[PathBuf], wanted: Option<&str>) -> Result<Vec<PathBuf>, DatasetError> {
    let mut splits: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for name in names {
        splits.entry(split_of(name)).or_default().push(name.clone());
    }
    let known = || splits.keys().cloned().collect::<Vec<_>>().join(", ");
    let found = match wanted {
        _ if splits.is_empty() => return Err(DatasetError::NoData { folder: folder.to_owned() }),
        Some(wanted) => {
            let split = canonical(wanted).unwrap_or(wanted);
            let (folder, split_name) = (folder.to_owned(), wanted.to_owned());
            splits.get(split).ok_or_else(|| DatasetError::NoSplit { folder, split: split_name, splits: known() })?
        }
        None if splits.len() > 1 => {
            return Err(DatasetError::SeveralSplits { folder: folder.to_owned(), splits: known() });
        }
        None => names,
    };
    require_whole(folder, found)?;
    Ok(found.to_vec())
}

/// Of files that are numbered, all are there.
fn require_whole(folder: &Path, names: &[PathBuf]) -> Result<(), DatasetError> {
    let mut sets: BTreeMap<(PathBuf, usize), BTreeSet<usize>> = BTreeMap::new();
    for name in names {
        if let Some((set, number, count)) = numbered(name) {
            sets.entry((name.with_file_name(set), count)).or_default().insert(number);
        }
    }
    for ((set, count), numbers) in sets {
        if numbers.len() != count {
            let path = folder.join(set);
            return Err(DatasetError::MissingFiles { path, found: numbers.len(), count });
        }
    }
    Ok(())
}
