//! What can be wrong with a data set.

use std::io;
use std::path::PathBuf;

/// Why problems could not be read, ordered or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture could not be encoded or written.
    #[error("cannot write the picture {}", path.display())]
    WriteImage {
        /// The picture.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// A line is not a JSON object with the fields of a problem.
    #[error("{}:{line}: not a problem in JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the parser said; its own line number counts within the line.
        source: serde_json::Error,
    },
    /// A field that must say something is blank.
    #[error("{}:{line}: `{field}` is blank; fill it in or remove the line", path.display())]
    Blank {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The blank field.
        field: &'static str,
    },
    /// An answer is neither a string nor a number that can be kept as it was written.
    #[error("{}:{line}: the answer {answer} is neither text nor a number of moderate size; write it as a string", path.display())]
    Answer {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The answer as JSON.
        answer: serde_json::Value,
    },
    /// The text does not place every image exactly once.
    #[error("{}:{line}: {markers} `<image>` markers in the problem but {images} images; there must be one marker per image", path.display())]
    MarkerCount {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Markers in the problem text.
        markers: usize,
        /// Images listed.
        images: usize,
    },
    /// An image is not there.
    #[error("{}:{line}: there is no image file {}; relative paths start at the folder of the data file", path.display(), image.display())]
    MissingImage {
        /// The data file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The image that was looked for.
        image: PathBuf,
    },
    /// A file holds blank lines at most.
    #[error("{} holds no problems", path.display())]
    NoProblems {
        /// The file.
        path: PathBuf,
    },
    /// A sampler cannot stand where it is said to stand.
    #[error(
        "a sampler cannot stand at position {position} of {problems} problems; there must be a problem at its position"
    )]
    Position {
        /// Problems to sample from.
        problems: usize,
        /// Problems already taken in the epoch.
        position: usize,
    },
    /// A setting of the shapes cannot be met.
    #[error("shapes cannot be drawn with `{setting}` at {value}; it must be {rule}")]
    ShapesSetting {
        /// The field of the configuration.
        setting: &'static str,
        /// Its value; for a list the offending element, or its length.
        value: usize,
        /// What it has to satisfy.
        rule: &'static str,
    },
    /// No scene was found in which a question has the wanted answer.
    #[error(
        "no scene in {tries} has the answer \"{answer}\" to \"{question}\"; allow fewer shapes, unequal sides, other categories or fewer problems"
    )]
    NoScene {
        /// The question.
        question: String,
        /// The answer looked for.
        answer: String,
        /// Scenes tried.
        tries: usize,
    },
}
