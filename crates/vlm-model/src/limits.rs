//! How large the files of a checkpoint may be.
//!
//! A checkpoint comes from elsewhere. What is not weights is small, and a file that is not is another file or a trap:
//! it is refused by its size before it is in memory.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::ModelError;

/// Bytes of `tokenizer.json`; Qwen2.5-VL's has 7 million.
pub const MAX_TOKENIZER_BYTES: u64 = 64 << 20;

/// Bytes of any other JSON file: configurations, and the index of the weights, which has 100 bytes for each tensor.
pub const MAX_JSON_BYTES: u64 = 16 << 20;

/// Bytes of a chat template; Qwen2.5-VL's has a thousand.
pub const MAX_TEMPLATE_BYTES: u64 = 64 << 10;

/// Bytes of the directory at the start of a weight file; the format's own limit.
pub const MAX_WEIGHTS_HEADER_BYTES: u64 = 100_000_000;

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let failed = |source| ModelError::ReadFile { path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let mut content = Vec::new();
    if bytes <= limit {
        // One more than allowed: the file may say less than it holds, as those of the system do.
        file.take(limit + 1).read_to_end(&mut content).map_err(failed)?;
    }
    let bytes = bytes.max(content.len() as u64);
    if bytes > limit {
        return Err(ModelError::FileTooLarge { path: path.into(), bytes, limit });
    }
    Ok(content)
}

/// Reads a text file of at most `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, ModelError> {
    String::from_utf8(read(path, limit)?).map_err(|error| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        ModelError::ReadFile { path: path.into(), source }
    })
}

/// Reads a JSON file.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    let bytes = read(path, MAX_JSON_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|source| ModelError::ParseFile { path: path.into(), source })
}
