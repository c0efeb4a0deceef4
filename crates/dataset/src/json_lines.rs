//! Problems from a file of JSON lines.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::DatasetError;

/// What stands in a problem's text where an image belongs.
pub const IMAGE_MARKER: &str = "<image>";

/// A question about images, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The question, with one [`IMAGE_MARKER`] per image, in the order of `images`.
    pub problem: String,
    /// The image files; each existed when the problem was read.
    pub images: Vec<PathBuf>,
    /// The expected answer as it was written, never blank.
    pub answer: String,
    /// A worked response to learn from before reinforcement, if there is one.
    pub teacher: Option<String>,
    /// What sort of problem it is, for reports, if that is known.
    pub category: Option<String>,
    /// The line of the file it stands on, counted from 1.
    pub line: usize,
}

/// Reads and checks the problems of a JSON lines file, in the order of the file.
///
/// Each line is an object with `problem` (text), `images` (list of paths, none if absent) and `answer` (text or number), and maybe
/// `teacher` and `category` (texts; blank ones count as absent). Relative image paths start at the folder of the file. Other keys
/// are ignored, since published data sets carry many columns. Blank lines are skipped, and a UTF-8 byte order mark and CRLF line
/// ends are fine. An answer given as a number becomes text in the shortest form that reads back as the same number: `5.0` stays
/// `5.0` while `1e2` becomes `100.0`.
///
/// # Errors
/// [`DatasetError::Read`] and [`DatasetError::NoProblems`] about the file; [`DatasetError::Json`], [`DatasetError::Blank`],
/// [`DatasetError::Answer`], [`DatasetError::MarkerCount`] and [`DatasetError::MissingImage`] about its first bad line.
pub fn read_json_lines(path: &Path) -> Result<Vec<Problem>, DatasetError> {
    let bytes = fs::read(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let problems = text
        .split(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(_, text)| !text.trim_ascii().is_empty())
        .map(|(at, text)| Line { path, line: at + 1 }.problem(text))
        .collect::<Result<Vec<_>, _>>()?;
    if problems.is_empty() {
        return Err(DatasetError::NoProblems { path: path.to_owned() });
    }
    Ok(problems)
}

/// The keys of a line that are read.
#[derive(Deserialize)]
struct Row {
    problem: String,
    #[serde(default)]
    images: Vec<PathBuf>,
    answer: Value,
    teacher: Option<String>,
    category: Option<String>,
}

/// A line's place, which its errors report.
struct Line<'a> {
    path: &'a Path,
    line: usize,
}

impl Line<'_> {
    /// Reads one line.
    fn problem(&self, text: &[u8]) -> Result<Problem, DatasetError> {
        let row: Row = serde_json::from_slice(text).map_err(|source| DatasetError::Json {
            path: self.path.to_owned(),
            line: self.line,
            source,
        })?;
        let markers = row.problem.matches(IMAGE_MARKER).count();
        if markers != row.images.len() {
            return Err(DatasetError::MarkerCount {
                path: self.path.to_owned(),
                line: self.line,
                markers,
                images: row.images.len(),
            });
        }
        Ok(Problem {
            answer: self.filled("answer", self.answer(row.answer)?)?,
            images: row.images.into_iter().map(|image| self.image(&image)).collect::<Result<_, _>>()?,
            problem: self.filled("problem", row.problem)?,
            teacher: row.teacher.filter(|text| !text.trim().is_empty()),
            category: row.category.filter(|text| !text.trim().is_empty()),
            line: self.line,
        })
    }

    /// The text if it says anything.
    fn filled(&self, field: &'static str, text: String) -> Result<String, DatasetError> {
        if text.trim().is_empty() {
            return Err(DatasetError::Blank { path: self.path.to_owned(), line: self.line, field });
        }
        Ok(text)
    }

    /// The answer as text. Whole numbers that a float may have rounded are refused.
    fn answer(&self, answer: Value) -> Result<String, DatasetError> {
        const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        match answer {
            Value::String(text) => Ok(text),
            Value::Number(number)
                if number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|value| value.abs() < EXACT) =>
            {
                Ok(number.to_string())
            }
            answer => Err(DatasetError::Answer { path: self.path.to_owned(), line: self.line, answer }),
        }
    }

    /// The path from here to an image that exists.
    fn image(&self, image: &Path) -> Result<PathBuf, DatasetError> {
        let image = self.path.parent().unwrap_or(Path::new("")).join(image);
        if !image.is_file() {
            return Err(DatasetError::MissingImage { path: self.path.to_owned(), line: self.line, image });
        }
        Ok(image)
    }
}
