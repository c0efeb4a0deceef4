//! What can be wrong with a data set.

use std::io;
use std::path::PathBuf;

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

use crate::problem::Place;

/// Why problems could not be found, read, ordered or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture could not be encoded or written.
    #[error("cannot write the picture {}: {source}", path.display())]
    WriteImage {
        /// The picture.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// A selected path is not there.
    #[error("there is no data file or folder {}; a data set of the Hub has to be downloaded first", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// A selection without any path.
    #[error("no data file is selected; name at least one")]
    NothingSelected,
    /// A folder without data files.
    #[error("there is no .parquet, .jsonl, .ndjson or .json file in {}", folder.display())]
    NoData {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that lacks the wanted split.
    #[error("{} has no split `{split}`; it has {splits}", folder.display())]
    NoSplit {
        /// The folder.
        folder: PathBuf,
        /// The wanted split.
        split: String,
        /// Its splits.
        splits: String,
    },
    /// A folder with several splits of which none was chosen.
    #[error("{} has the splits {splits}; choose one by writing @ and its name behind the folder", folder.display())]
    SeveralSplits {
        /// The folder.
        folder: PathBuf,
        /// Its splits.
        splits: String,
    },
    /// A split of something that has none.
    #[error("{} is a file, and only folders have splits; leave out what follows the @", path.display())]
    SplitOfFile {
        /// The file.
        path: PathBuf,
    },
    /// A set of numbered files with a gap.
    #[error("{found} of {count} numbered files of {} are there; fetch the others", path.display())]
    MissingFiles {
        /// The files' name without their numbers.
        path: PathBuf,
        /// Files there.
        found: usize,
        /// Files that belong to the set.
        count: usize,
    },
    /// A file of another kind.
    #[error("{} is neither Parquet nor JSON by its name; use .parquet, .jsonl, .ndjson or .json", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not Parquet, or damaged.
    #[error("{} is no readable Parquet file: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: ParquetError,
    },
    /// A row of a Parquet file that cannot be decoded, for what holds it is damaged.
    #[error("{place}: cannot be decoded: {source}")]
    ParquetRow {
        /// The row.
        place: Place,
        /// What the decoder said.
        source: ArrowError,
    },
    /// A file without a needed column.
    #[error("{} has no column `{column}`; it has {columns}; {hint}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The name looked for, or several.
        column: String,
        /// The columns there are.
        columns: String,
        /// What to do.
        hint: String,
    },
    /// A file of a list of objects that is broken off or malformed.
    #[error("{} is no list in JSON: {reason}", path.display())]
    JsonList {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A line is not JSON.
    #[error("{place}: not a problem in JSON: {source}")]
    Json {
        /// The line or element.
        place: Place,
        /// What the parser said; its own line number counts within the line.
        source: serde_json::Error,
    },
    /// A line or element is something else than an object.
    #[error("{place}: not a problem in JSON: {found} instead of an object")]
    NoObject {
        /// The line or element.
        place: Place,
        /// What it is.
        found: String,
    },
    /// A row lacks a field that every problem has.
    #[error("{place}: missing field `{names}`, which holds the {field}")]
    MissingField {
        /// The row.
        place: Place,
        /// The problem's field.
        field: &'static str,
        /// The names it was looked for under.
        names: String,
    },
    /// A field that should be text is something else.
    #[error("{place}: the {field} is {found}, which is not text")]
    NoText {
        /// The row.
        place: Place,
        /// The problem's field.
        field: &'static str,
        /// Its value.
        found: String,
    },
    /// A field that must say something is blank.
    #[error("{place}: `{field}` is blank; fill it in or remove the line")]
    Blank {
        /// The row.
        place: Place,
        /// The blank field.
        field: &'static str,
    },
    /// An answer is neither a string nor a number that can be kept as it was written.
    #[error("{place}: the answer {answer} is neither text nor a number of moderate size; write it as a string")]
    Answer {
        /// The row.
        place: Place,
        /// The answer.
        answer: String,
    },
    /// A conversation that is more or less than one question.
    #[error("{place}: the messages hold {reason}")]
    Messages {
        /// The row.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// The text does not place every image exactly once.
    #[error(
        "{place}: {markers} `<image>` markers in the problem but {images} images; there must be one marker per image"
    )]
    MarkerCount {
        /// The row.
        place: Place,
        /// Markers in the problem text.
        markers: usize,
        /// Images listed.
        images: usize,
    },
    /// An image is not there.
    #[error("{place}: there is no image file {}; relative paths start at the folder of the data file unless `image_folder` is set", image.display())]
    MissingImage {
        /// The row.
        place: Place,
        /// The image that was looked for.
        image: PathBuf,
    },
    /// An image is neither bytes nor a path nor a data URI.
    #[error("{place}: {found} is no image; give bytes, a path or a data URI in base64")]
    NoImage {
        /// The row.
        place: Place,
        /// What stands there.
        found: String,
    },
    /// An image on another machine.
    #[error("{place}: the image {url} is not here; download it and give its path")]
    RemoteImage {
        /// The row.
        place: Place,
        /// Its address.
        url: String,
    },
    /// An image that lies where images must not.
    #[error(
        "{place}: the image {} lies outside of {}; copy it there, set `image_folder` to a folder that holds all images, or allow this by \
         `images_outside_folder`", image.display(), folder.display()
    )]
    ImageOutside {
        /// The row.
        place: Place,
        /// The image, as the row names it from the folder.
        image: PathBuf,
        /// Where images are.
        folder: PathBuf,
    },
    /// A problem with more images than allowed.
    #[error("{place}: {images} images, the limit is {limit}; leave some out or raise `limits.images`")]
    TooManyImages {
        /// The row.
        place: Place,
        /// Images listed.
        images: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// An image of more bytes than allowed.
    #[error(
        "{place}: the image {image} has {bytes} bytes, the limit is {limit}; shrink it or raise `limits.image_bytes`"
    )]
    ImageBytes {
        /// The row.
        place: Place,
        /// Its path, or `in the row`.
        image: String,
        /// Its size as it is encoded.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// A row of more bytes than allowed.
    #[error(
        "{place}: the row has {bytes} bytes, the limit is {limit}; put images into files or raise `limits.row_bytes`"
    )]
    RowTooLarge {
        /// The row.
        place: Place,
        /// Its size.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// A list in JSON of more bytes than allowed.
    #[error(
        "the list in {} has {bytes} bytes, the limit is {limit}; write an object per line (.jsonl), which is read one by one, or raise \
         `limits.list_bytes`", path.display()
    )]
    ListTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// A template file of more bytes than allowed.
    #[error("the template {} has {bytes} bytes, the limit is {limit}; is it another file?", path.display())]
    TemplateTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// There are blank lines or empty tables at most.
    #[error("{} holds no problems", path.display())]
    NoProblems {
        /// The file, or the first of several.
        path: PathBuf,
    },
    /// A number that no problem has.
    #[error("there is no problem {index} among {problems}; has the data changed?")]
    Index {
        /// The number, counted from 0.
        index: usize,
        /// Problems there are.
        problems: usize,
    },
    /// A layout that is not known.
    #[error("there is no layout `{name}`; built in are {known}, or give a table of columns")]
    UnknownLayout {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A template that is neither built in nor a file.
    #[error("there is no template `{name}`; built in are {known}, or give the path of a file")]
    UnknownTemplate {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A template that is malformed or fails.
    #[error("the prompt template cannot be used: {reason}")]
    Template {
        /// Why not.
        reason: String,
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

impl DatasetError {
    /// Whether it is about one row, so that the others can be used without it.
    #[must_use]
    pub fn is_of_row(&self) -> bool {
        self.place().is_some()
    }

    /// The row it is about, if it is about one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::ParquetRow { place, .. }
            | Self::Json { place, .. }
            | Self::NoObject { place, .. }
            | Self::MissingField { place, .. }
            | Self::NoText { place, .. }
            | Self::Blank { place, .. }
            | Self::Answer { place, .. }
            | Self::Messages { place, .. }
            | Self::MarkerCount { place, .. }
            | Self::MissingImage { place, .. }
            | Self::NoImage { place, .. }
            | Self::ImageOutside { place, .. }
            | Self::TooManyImages { place, .. }
            | Self::ImageBytes { place, .. }
            | Self::RowTooLarge { place, .. }
            | Self::RemoteImage { place, .. } => Some(place),
            _ => None,
        }
    }
}
