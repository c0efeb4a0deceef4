//! What the files of a checkpoint are, to tell a whole one from a damaged one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{OPTIMIZER_FILE, STATE_FILE};
use crate::TrainError;
use crate::evaluate::file_digest;

/// Where it stands in a checkpoint.
pub(super) const MANIFEST_FILE: &str = "trainer/checksums.json";

/// Size and digest of every other file of a checkpoint.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// By path within the checkpoint, with `/` between its parts.
    files: BTreeMap<String, Entry>,
}

/// A file as it was written.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    /// In hexadecimal digits.
    sha256: String,
}

impl Manifest {
    /// Reads all files below a folder.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(super) fn of(folder: &Path) -> Result<Self, TrainError> {
        let mut files = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(inner) = folders.pop() {
            let path = folder.join(&inner);
            for entry in fs::read_dir(&path).map_err(TrainError::file("list", &path))? {
                let path = inner.join(entry.map_err(TrainError::file("list", &path))?.file_name());
                if folder.join(&path).is_dir() {
                    folders.push(path);
                } else {
                    let read = Entry::of(&folder.join(&path));
                    files.insert(name(&path), read.map_err(TrainError::file("read", folder.join(&path)))?);
                }
            }
        }
        files.remove(MANIFEST_FILE);
        Ok(Self { files })
    }

    /// Writes it into the checkpoint.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(MANIFEST_FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| TrainError::Json { place: path.display().to_string(), source })?;
        fs::write(&path, text + "\n").map_err(TrainError::file("write", &path))
    }
}

impl Entry {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { bytes: fs::metadata(path)?.len(), sha256: file_digest(path)? })
    }
}

/// A path within a checkpoint as text.
fn name(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Compares a checkpoint's files with what was written, reading all of them; says what is wrong with the first that differs.
pub(super) fn check(folder: &Path) -> Result<(), String> {
    let said = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let text = fs::read(folder.join(MANIFEST_FILE)).map_err(|error| format!("{MANIFEST_FILE} {}", said(&error)))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| format!("{MANIFEST_FILE}: {error}"))?;
    if let Some(file) = [STATE_FILE, OPTIMIZER_FILE].iter().find(|file| !manifest.files.contains_key(**file)) {
        return Err(format!("{MANIFEST_FILE} does not know {file}"));
    }
    for (name, written) in &manifest.files {
        let path = Path::new(name);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("{MANIFEST_FILE} names {name}, which lies outside of it"));
        }
        let path = folder.join(path);
        let bytes = fs::metadata(&path).map_err(|error| format!("{name} {}", said(&error)))?.len();
        if bytes != written.bytes {
            return Err(format!("{name} has {bytes} bytes instead of {}", written.bytes));
        }
        let found = file_digest(&path).map_err(|error| format!("{name} {}", said(&error)))?;
        if found != written.sha256 {
            return Err(format!(
                "{name} is not what was written: its SHA-256 is {found} instead of {}",
                written.sha256
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in the form of a checkpoint.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("trainer")).expect("a writable folder");
        for (name, text) in [("model.safetensors", "weights"), (STATE_FILE, "{}"), (OPTIMIZER_FILE, "moments")] {
            fs::write(folder.path().join(name), text).expect("a writable folder");
        }
        Manifest::of(folder.path()).expect("readable").write(folder.path()).expect("a writable folder");
        folder
    }

    #[test]
    fn a_whole_checkpoint_passes() {
        let folder = folder();
        assert_eq!(check(folder.path()), Ok(()));
        fs::write(folder.path().join("README.md"), "mine").expect("a writable folder");
        assert_eq!(check(folder.path()), Ok(()), "files of others do not matter");
        let text = fs::read_to_string(folder.path().join(MANIFEST_FILE)).expect("text");
        let manifest: Manifest = serde_json::from_str(&text).expect("the format");
        let weights = &manifest.files["model.safetensors"];
        assert_eq!(weights.bytes, 7);
        assert_eq!(weights.sha256, "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c");
        assert_eq!(manifest.files.len(), 3, "it does not know itself");
    }

    /// Every single flipped bit of the manifest itself is noticed too.
    #[test]
    fn flipped_bits_of_the_manifest_are_noticed() {
        let folder = folder();
        let path = folder.path().join(MANIFEST_FILE);
        let bytes = fs::read(&path).expect("bytes");
        // The line's end behind the document may become other white space.
        for at in 0..8 * (bytes.len() - 1) {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            fs::write(&path, flipped).expect("a writable folder");
            assert!(check(folder.path()).is_err(), "bit {at}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let of = |change: fn(&Path)| {
            let folder = folder();
            change(folder.path());
            check(folder.path()).expect_err("damaged")
        };
        assert_eq!(
            of(|folder| fs::remove_file(folder.join(STATE_FILE)).expect("a file")),
            "trainer/state.json is missing"
        );
        assert_eq!(
            of(|folder| fs::remove_file(folder.join(MANIFEST_FILE)).expect("a file")),
            "trainer/checksums.json is missing"
        );
        let cut = of(|folder| fs::write(folder.join("model.safetensors"), "weight").expect("a file"));
        assert_eq!(cut, "model.safetensors has 6 bytes instead of 7");
        let other = of(|folder| fs::write(folder.join(OPTIMIZER_FILE), "momentt").expect("a file"));
        assert!(other.starts_with("trainer/optimizer.bpk is not what was written"), "{other}");
        let empty = of(|folder| fs::write(folder.join(MANIFEST_FILE), "{\"files\": {}}").expect("a file"));
        assert!(empty.contains("does not know trainer/state.json"), "{empty}");
        let outside = of(|folder| {
            let text = fs::read_to_string(folder.join(MANIFEST_FILE)).expect("text");
            fs::write(folder.join(MANIFEST_FILE), text.replace("model.safetensors", "../x")).expect("a file");
        });
        assert!(outside.contains("outside"), "{outside}");
    }
}
