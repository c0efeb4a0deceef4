//! The rows of a file of answers, one at a time.

use std::io::{BufRead, Read as _};
use std::path::PathBuf;

use serde::Deserialize;
use trainer::TrainError;

/// Most bytes of a line, so that a file without line breaks is refused and not read into memory.
const LONGEST: u64 = 16 << 20;

/// What some programs begin a file with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What is said of a line that is other JSON, or none.
const NO_OBJECT: &str = r#"a row has to be a JSON object, such as {"prediction":"0.5","gold":"1/2"}"#;

/// Characters of a text that are shown.
const SHOWN: usize = 60;

/// An answer to be judged.
pub(super) struct Row {
    pub(super) given: Given,
    pub(super) gold: String,
    pub(super) expected: Option<bool>,
    pub(super) category: Option<String>,
    pub(super) problem: String,
    pub(super) tokens: Option<usize>,
}

/// What was answered.
pub(super) enum Given {
    /// The bare answer.
    Prediction(String),
    /// A text with the answer in it.
    Response(String),
}

impl Given {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Prediction(text) | Self::Response(text) => text,
        }
    }
}

/// A row as it is written.
#[derive(Deserialize)]
struct RawRow {
    prediction: Option<Text>,
    response: Option<Text>,
    gold: Text,
    expected: Option<bool>,
    category: Option<Text>,
    problem: Option<String>,
    tokens: Option<usize>,
}

/// Text; data sets also write numbers.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected text or a number")]
enum Text {
    Text(String),
    Number(serde_json::Number),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        }
    }
}

impl TryFrom<RawRow> for Row {
    type Error = &'static str;

    fn try_from(raw: RawRow) -> Result<Self, &'static str> {
        let given = match (raw.prediction, raw.response) {
            (Some(prediction), None) => Given::Prediction(prediction.into()),
            (None, Some(response)) => Given::Response(response.into()),
            (None, None) => return Err("the row has neither a `prediction` nor a `response`; give one of them"),
            (Some(_), Some(_)) => return Err("the row has both a `prediction` and a `response`; give one of them"),
        };
        Ok(Self {
            given,
            gold: raw.gold.into(),
            expected: raw.expected,
            category: raw.category.map(String::from),
            problem: raw.problem.unwrap_or_default(),
            tokens: raw.tokens,
        })
    }
}

/// Reads rows with the numbers of their lines; blank lines are skipped. Ends after the first that cannot be read.
pub(super) struct Rows<R> {
    reader: R,
    path: PathBuf,
    line: usize,
    has_failed: bool,
}

impl<R: BufRead> Rows<R> {
    pub(super) const fn new(reader: R, path: PathBuf) -> Self {
        Self { reader, path, line: 0, has_failed: false }
    }

    /// The next line that is not blank.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, TrainError> {
        loop {
            let mut line = Vec::new();
            let read = self.reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line);
            let count = read.map_err(|source| TrainError::File { action: "read", path: self.path.clone(), source })?;
            if count == 0 {
                return Ok(None);
            }
            self.line += 1;
            if count as u64 > LONGEST {
                let message = format!("line {}: more than {LONGEST} bytes; write one JSON object a line", self.line);
                return Err(TrainError::Usage(message));
            }
            let marked = if self.line == 1 { line.strip_prefix(BYTE_ORDER_MARK) } else { None };
            let text = marked.unwrap_or(&line).trim_ascii();
            if !text.is_empty() {
                return Ok(Some(text.to_owned()));
            }
        }
    }

    fn next_row(&mut self) -> Result<Option<(usize, Row)>, TrainError> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        let wrong = |message: String| TrainError::Usage(format!("line {}: {message}", self.line));
        if !line.starts_with(b"{") {
            return Err(wrong(NO_OBJECT.to_owned()));
        }
        let raw: RawRow = serde_json::from_slice(&line).map_err(|error| wrong(of_one_line(&error)))?;
        let row = Row::try_from(raw).map_err(|message| wrong(message.to_owned()))?;
        Ok(Some((self.line, row)))
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<(usize, Row), TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let row = self.next_row();
        self.has_failed = row.is_err();
        row.transpose()
    }
}

/// What is wrong with a line, with the column alone: the error counts the lines of what it was given, which is one.
fn of_one_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(message) => format!("{message} at column {}", error.column()),
        None => text,
    }
}

/// The end of a text, where its answer stands.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().rev().nth(SHOWN) {
        Some((at, before)) => format!("…{}", &text[at + before.len_utf8()..]),
        None => text.to_owned(),
    }
}
