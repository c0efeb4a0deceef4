//! The files of problems, and of a model, by their content.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use dataset::Selection;
use sha2::{Digest as _, Sha256};

use crate::TrainError;
use crate::config::TrainConfig;
use crate::evaluate::hexadecimal;

/// Files up to this size are read whole, of larger ones a quarter of it at either end.
const WHOLE: u64 = 64 << 20;

/// SHA-256 over the sizes and contents of the files of problems, in their order. Of a file of more than 64 MiB the first and the
/// last 16 MiB are read; a Parquet file has its directory at its end, which hardly stays the same when its rows do not. Images
/// in files of their own are not read.
///
/// # Errors
/// If there are no such files or one cannot be read.
pub(super) fn fingerprint(files: &Selection) -> Result<String, TrainError> {
    let mut digest = Sha256::new();
    for path in files.files()? {
        add(&mut digest, &path).map_err(TrainError::file("read", &path))?;
    }
    Ok(hexadecimal(digest))
}

/// SHA-256 over `config.json` and the files of weights of a model's folder, with their names, each read as by [`fingerprint`].
///
/// # Errors
/// If the folder or a file cannot be read.
pub(super) fn fingerprint_of_model(folder: &Path) -> Result<String, TrainError> {
    let wrong = |source| TrainError::NoReference { folder: folder.to_owned(), source: Box::new(source) };
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths =
            fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
        paths
            .retain(|path| path.extension().is_some_and(|name| name == "safetensors") || path.ends_with("config.json"));
        paths.sort();
        Ok(paths)
    };
    let mut digest = Sha256::new();
    for path in list().map_err(|error| wrong(TrainError::file("list", folder)(error)))? {
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        add(&mut digest, &path).map_err(|error| wrong(TrainError::file("read", &path)(error)))?;
    }
    Ok(hexadecimal(digest))
}

/// Digest of all that a validation's accuracy depends on besides the policy: the held-out problems, by `held_out`, how they are
/// answered and how the answers are judged.
///
/// # Errors
/// If the configuration cannot be written as JSON.
pub(super) fn terms_of_validation(held_out: &str, config: &TrainConfig) -> Result<String, TrainError> {
    let terms = (held_out, config.schedule.validation_samples, &config.rollout.sampling, &config.reward);
    let text = serde_json::to_vec(&terms)
        .map_err(|source| TrainError::Json { place: "resolved configuration".to_owned(), source })?;
    Ok(hexadecimal(Sha256::new_with_prefix(text)))
}

fn add(digest: &mut Sha256, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    digest.update(length.to_le_bytes());
    if length <= WHOLE {
        return io::copy(&mut file, digest).map(|_| ());
    }
    io::copy(&mut (&file).take(WHOLE / 4), digest)?;
    file.seek(SeekFrom::End(-(WHOLE as i64 / 4)))?;
    io::copy(&mut file, digest).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_its_weights() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a writable folder");
        let of = || fingerprint_of_model(folder.path()).expect("readable");
        write("config.json", "{}");
        write("model.safetensors", "weights");
        let before = of();
        write("README.md", "mine");
        assert_eq!(of(), before);
        write("model.safetensors", "weightt");
        assert_ne!(of(), before);
        write("model.safetensors", "weights");
        write("config.json", "{ }");
        assert_ne!(of(), before);
        let error = fingerprint_of_model(&folder.path().join("gone")).expect_err("no folder").to_string();
        assert!(error.contains("gone") && error.contains("model=FOLDER"), "{error}");
    }

    #[test]
    fn files_are_known_by_their_content() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let of = |names: &[&str]| {
            fingerprint(&Selection::from_iter(names.iter().map(|name| path(name).display().to_string())))
                .expect("files")
        };
        for (name, text) in
            [("a.jsonl", "ab"), ("b.jsonl", "ab"), ("c.jsonl", "ac"), ("d.jsonl", "a"), ("e.jsonl", "b")]
        {
            fs::write(path(name), text).expect("a writable folder");
        }
        assert_eq!(of(&["a.jsonl"]), of(&["b.jsonl"]), "names do not count");
        assert_ne!(of(&["a.jsonl"]), of(&["c.jsonl"]));
        assert_ne!(of(&["a.jsonl"]), of(&["d.jsonl", "e.jsonl"]), "borders do");
        assert_ne!(of(&["a.jsonl", "c.jsonl"]), of(&["c.jsonl", "a.jsonl"]), "and the order");
        let large = File::create(path("large.jsonl")).expect("a writable folder");
        large.set_len(WHOLE + 9).expect("a file with a hole");
        let before = of(&["large.jsonl"]);
        large.set_len(WHOLE + 10).expect("a file with a hole");
        assert_ne!(of(&["large.jsonl"]), before);
    }
}
