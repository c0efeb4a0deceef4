//! A problem, and where it stands.

use std::fmt::{self, Debug, Display, Formatter};
use std::path::PathBuf;

/// What stands in a problem's text where an image belongs.
pub const IMAGE_MARKER: &str = "<image>";

/// A question about images, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The question, with one [`IMAGE_MARKER`] per image, in the order of `images`.
    pub problem: String,
    /// What the data set wants said before the question, in a turn of its own, if anything.
    pub system: Option<String>,
    /// The images; each file existed when the problem was read.
    pub images: Vec<ImageSource>,
    /// The expected answer as it was written, never blank.
    pub answer: String,
    /// A worked response to learn from before reinforcement, if there is one.
    pub teacher: Option<String>,
    /// What sort of problem it is, for reports, if that is known.
    pub category: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// Where an image file's content is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// In a file of its own.
    File(PathBuf),
    /// In the data file: the content of an image file, not yet decoded.
    Bytes(Vec<u8>),
}

impl Debug for ImageSource {
    /// Of bytes only their number.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Bytes(bytes) => write!(formatter, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// Where a problem stands: a file and a line or row of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The data file.
    pub file: PathBuf,
    /// The line or row.
    pub at: At,
}

/// A line or a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// A line of text, counted from 1 as editors do.
    Line(usize),
    /// A row of a table or an element of a list, counted from 0 as data frames do.
    Row(usize),
}

impl Display for Place {
    /// `problems.jsonl:3` for a line, `problems.parquet[2]` for a row.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            At::Line(line) => write!(formatter, "{}:{line}", self.file.display()),
            At::Row(row) => write!(formatter, "{}[{row}]", self.file.display()),
        }
    }
}
