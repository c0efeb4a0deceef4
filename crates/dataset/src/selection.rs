//! Which files are meant.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::split::{choose, is_data};

/// One or several data files: paths of files or folders, a folder with `@split` behind it if only one of its splits is meant.
///
/// In files it is a text or a list of texts: `"train.jsonl"`, `"geometry3k@train"`, `["a.parquet", "b.parquet"]`.
///
/// Of a folder, all Parquet and JSON lines files (`.parquet`, `.jsonl`, `.ndjson`) are taken in the order of their paths, those of
/// inner folders too; `.json` files count if there are no others. Names that begin with a dot are passed over. A file belongs to a
/// split by the Hub's conventions: a word of its name, or else of its folders' names, is the split's or a synonym (`valid`, `val` and
/// `dev` of `validation`, `eval` of `test`), as in `data/train-00000-of-00002.parquet`; all files of such a set must be there. A
/// folder without such words is its own split `train`. The data card in a README is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct Selection(Vec<String>);

impl Selection {
    /// Its parts as they were written.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// A part's path, and the split behind its last `@` if there is one. A path that is there as it stands has no split.
    #[must_use]
    pub fn path_and_split(part: &str) -> (&str, Option<&str>) {
        match part.rsplit_once('@') {
            Some((path, split)) if !path.is_empty() && !split.contains('/') && !Path::new(part).exists() => {
                (path, Some(split))
            }
            _ => (part, None),
        }
    }

    /// The files, in order.
    ///
    /// # Errors
    /// A path is not there, a folder holds no data or not the split, several splits where none was asked for, or not all files of a
    /// split.
    pub fn files(&self) -> Result<Vec<PathBuf>, DatasetError> {
        let mut files = Vec::new();
        for part in self.parts() {
            let (path, split) = Self::path_and_split(part);
            let path = Path::new(path);
            match split {
                split if path.is_dir() => files.extend(of_folder(path, split)?),
                _ if !path.is_file() => return Err(DatasetError::NotFound { path: path.to_owned() }),
                Some(_) => return Err(DatasetError::SplitOfFile { path: path.to_owned() }),
                None => files.push(path.to_owned()),
            }
        }
        if files.is_empty() { Err(DatasetError::NothingSelected) } else { Ok(files) }
    }
}

impl<S: Into<String>> FromIterator<S> for Selection {
    fn from_iter<I: IntoIterator<Item = S>>(parts: I) -> Self {
        Self(parts.into_iter().map(Into::into).collect())
    }
}

impl From<&Path> for Selection {
    fn from(path: &Path) -> Self {
        Self(vec![path.display().to_string()])
    }
}

impl From<PathBuf> for Selection {
    fn from(path: PathBuf) -> Self {
        Self::from(path.as_path())
    }
}

/// A selection as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a selection of data is a path or a list of paths, each with `@split` behind it or not")]
enum Form {
    One(String),
    Several(Vec<String>),
}

impl From<Form> for Selection {
    fn from(form: Form) -> Self {
        match form {
            Form::One(part) => Self(vec![part]),
            Form::Several(parts) => Self(parts),
        }
    }
}

impl From<Selection> for Form {
    fn from(Selection(mut parts): Selection) -> Self {
        if parts.len() == 1 { Self::One(parts.remove(0)) } else { Self::Several(parts) }
    }
}

/// The data files of a folder, of one split if it has several.
fn of_folder(folder: &Path, split: Option<&str>) -> Result<Vec<PathBuf>, DatasetError> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    // Parts of paths inside the folder: its own path may hold words of any kind.
    let mut names: Vec<PathBuf> = files
        .iter()
        .filter_map(|file| Some(file.strip_prefix(folder).ok()?.to_owned()))
        .filter(|name| is_data(name))
        .collect();
    names.sort();
    let has_tables = names.iter().any(|name| !is_json(name));
    names.retain(|name| !(has_tables && is_json(name)));
    let chosen = choose(folder, &names, split)?;
    Ok(chosen.into_iter().map(|name| folder.join(name)).collect())
}

fn is_json(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// All files below a folder that are not hidden. Linked folders are not entered, since they may lead back.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    let failed = |source| DatasetError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            list(&entry.path(), files)?;
        } else if entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
