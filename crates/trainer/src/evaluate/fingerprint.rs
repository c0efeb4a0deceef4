//! Files by their content.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use dataset::{Dataset, ImageSource};
use sha2::{Digest as _, Sha256};

use super::protocol::ProblemSet;
use crate::TrainError;

/// Kinds of files that a model is read from.
const KINDS: [&str; 4] = ["jinja", "json", "safetensors", "txt"];

/// SHA-256 of each file of a checkpoint folder that the model or its processor may be read from, as the Hub shows it.
pub(super) fn files_of_model(folder: &Path) -> Result<BTreeMap<String, String>, TrainError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(TrainError::file("list", folder))? {
        let path = entry.map_err(TrainError::file("list", folder))?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if let (Some(name), true) = (path.file_name(), kind.is_some_and(|kind| KINDS.contains(&kind)) && path.is_file())
        {
            let digest = file_digest(&path).map_err(TrainError::file("read", &path))?;
            files.insert(name.to_string_lossy().into_owned(), digest);
        }
    }
    Ok(files)
}

/// SHA-256 over texts, answers and image files of the first `count` problems. A row that is no problem counts as such, and an
/// image that cannot be read as an empty one: such problems will be skipped.
pub(super) fn problem_set(dataset: &Dataset, count: usize) -> Result<ProblemSet, TrainError> {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    for number in 0..count {
        let problem = match dataset.problem(number) {
            Ok(problem) => problem,
            Err(error) if error.is_of_row() => {
                part(b"no problem");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        part(problem.system.unwrap_or_default().as_bytes());
        part(problem.problem.as_bytes());
        part(problem.answer.as_bytes());
        for image in &problem.images {
            match image {
                ImageSource::File(path) => part(&fs::read(path).unwrap_or_default()),
                ImageSource::Bytes(bytes) => part(bytes),
            }
        }
    }
    Ok(ProblemSet { count, sha256: hexadecimal(digest) })
}

/// SHA-256 of a file.
pub(crate) fn file_digest(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    File::open(path).and_then(|mut file| io::copy(&mut file, &mut digest))?;
    Ok(hexadecimal(digest))
}

/// A digest as it is written.
pub(crate) fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use dataset::{At, Place, Problem};

    use super::*;

    #[test]
    fn files_have_the_digests_everyone_computes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("config.json"), "abc").expect("a writable folder");
        fs::write(folder.path().join("README.md"), "abc").expect("a writable folder");
        fs::create_dir(folder.path().join("trainer.json")).expect("a writable folder");
        let files = files_of_model(folder.path()).expect("readable");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(files, BTreeMap::from([("config.json".to_owned(), known.to_owned())]));
        let error = files_of_model(&folder.path().join("nowhere")).expect_err("no folder").to_string();
        assert!(error.contains("nowhere"), "{error}");
    }

    /// Whatever changes in a problem changes the set, and so does the border between two texts.
    #[test]
    fn sets_differ_where_problems_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let image = |name: &str, bytes: &str| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("a writable folder");
            ImageSource::File(path)
        };
        let problem = |text: &str, answer: &str, images: Vec<ImageSource>| Problem {
            problem: text.to_owned(),
            system: None,
            images,
            answer: answer.to_owned(),
            teacher: None,
            category: None,
            place: Place { file: folder.path().join("x.jsonl"), at: At::Line(1) },
        };
        let digest = |problem: Problem| problem_set(&Dataset::of(vec![problem]), 1).expect("readable").sha256;
        let ours = digest(problem("ab", "c", vec![image("a.png", "1")]));
        assert_eq!(ours, digest(problem("ab", "c", vec![image("b.png", "1")])), "names do not count");
        assert_eq!(ours, digest(problem("ab", "c", vec![ImageSource::Bytes(b"1".to_vec())])), "nor where bytes lie");
        for other in [
            problem("a", "bc", vec![image("a.png", "1")]),
            problem("ab", "d", vec![image("a.png", "1")]),
            problem("ab", "c", vec![image("c.png", "2")]),
            problem("ab", "c", Vec::new()),
            Problem { system: Some("Think.".to_owned()), ..problem("ab", "c", vec![image("a.png", "1")]) },
        ] {
            assert_ne!(ours, digest(other.clone()), "{other:?}");
        }
        let two = Dataset::of(vec![problem("ab", "c", vec![image("a.png", "1")]), problem("x", "y", Vec::new())]);
        assert_eq!(problem_set(&two, 1).expect("readable"), ProblemSet { count: 1, sha256: ours }, "the first alone");
    }
}
