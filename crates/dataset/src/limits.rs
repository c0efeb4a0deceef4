//! How large the parts of a data set may be.

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::problem::Place;

/// The most that is read for one problem. What is larger is a bad row, found before it is in memory where its size is
/// known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Images of a problem.
    pub images: usize,
    /// Bytes of an image file, or of an image in a row, as it is encoded.
    pub image_bytes: u64,
    /// Bytes of a row: of a line or list element of JSON, or of all cells that are read of a row of Parquet together.
    /// The decoder of Parquet has had sixteen such rows in memory when they are counted.
    pub row_bytes: u64,
    /// Bytes of a JSON file that is one list. It is read at once; lines and Parquet are not.
    pub list_bytes: u64,
}

impl Default for Limits {
    /// 64 images of at most 64 MiB each, rows of 256 MiB, lists of 4 GiB.
    fn default() -> Self {
        Self { images: 64, image_bytes: 64 << 20, row_bytes: 256 << 20, list_bytes: 4 << 30 }
    }
}

impl Limits {
    /// Refuses a row that is too large.
    pub(crate) fn row(&self, bytes: u64, place: impl FnOnce() -> Place) -> Result<(), DatasetError> {
        if bytes > self.row_bytes {
            return Err(DatasetError::RowTooLarge { place: place(), bytes, limit: self.row_bytes });
        }
        Ok(())
    }
}
