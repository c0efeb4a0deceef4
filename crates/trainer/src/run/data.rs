//! The files of problems by their content.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use dataset::Selection;
use sha2::{Digest as _, Sha256};

use crate::TrainError;
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
    use std::fs;

    use super::*;

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
