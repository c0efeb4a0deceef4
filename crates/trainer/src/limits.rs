//! How large the texts may be that people write: configurations and recipes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::TrainError;

/// Bytes of a configuration or recipe file. Ours have a few thousand.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Reads a configuration or recipe file.
///
/// # Errors
/// If it cannot be read, is no UTF-8 or has more than [`MAX_TEXT_BYTES`].
pub fn read_text(path: &Path) -> Result<String, TrainError> {
    let file = File::open(path).map_err(TrainError::file("read", path))?;
    let said = file.metadata().map_err(TrainError::file("read", path))?.len();
    let mut content = Vec::new();
    if said <= MAX_TEXT_BYTES {
        // One more than allowed: the file may say less than it holds, as those of the system do.
        file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut content).map_err(TrainError::file("read", path))?;
    }
    let bytes = said.max(content.len() as u64);
    if bytes > MAX_TEXT_BYTES {
        return Err(TrainError::FileTooLarge { path: path.to_owned(), bytes, limit: MAX_TEXT_BYTES });
    }
    let no_text = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    String::from_utf8(content).map_err(no_text).map_err(TrainError::file("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recipe, TrainConfig};

    #[test]
    fn a_text_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("run.toml");
        let most = usize::try_from(MAX_TEXT_BYTES).expect("a megabyte");
        std::fs::write(&path, " ".repeat(most)).expect("a writable folder");
        assert_eq!(read_text(&path).expect("at the limit").len(), most);
        std::fs::write(&path, " ".repeat(most + 1)).expect("a writable folder");
        let errors = [
            read_text(&path).expect_err("above the limit"),
            TrainConfig::read(&path, &[]).expect_err("a configuration"),
            Recipe::read(&path).expect_err("a recipe"),
        ];
        for error in errors.map(|error| error.to_string()) {
            assert!(error.contains("run.toml has 1048577 bytes, the limit is 1048576"), "{error}");
        }
        std::fs::write(&path, [0xff]).expect("a writable folder");
        assert!(read_text(&path).expect_err("no UTF-8").to_string().contains("run.toml"));
    }
}
