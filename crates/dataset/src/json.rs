//! Rows of JSON files: one object per line, or a list of objects.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};

use crate::DatasetError;
use crate::cell::Cell;
use crate::problem::{At, Place};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file of objects, kept as their places in it.
#[derive(Debug)]
pub(crate) struct JsonFile {
    pub(crate) path: PathBuf,
    rows: Vec<Span>,
}

/// Where an object stands.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    length: usize,
    at: At,
}

impl JsonFile {
    /// Finds the rows of a file.
    ///
    /// # Errors
    /// The file cannot be read, or is a list that is no JSON.
    pub(crate) fn open(path: &Path) -> Result<Self, DatasetError> {
        let failed = |source| DatasetError::Read { path: path.to_owned(), source };
        let listed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let rows = match listed.then(|| fs::read(path).map_err(failed)).transpose()? {
            Some(text) if begins_a_list(&text) => elements(&text, path)?,
            _ => lines(File::open(path).map_err(failed)?).map_err(failed)?,
        };
        Ok(Self { path: path.to_owned(), rows })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn place(&self, row: usize) -> Place {
        Place { file: self.path.clone(), at: self.rows[row].at }
    }

    /// Reads one row.
    pub(crate) fn row(&self, row: usize) -> Result<Cell, DatasetError> {
        let Span { start, length, .. } = self.rows[row];
        let mut text = vec![0; length];
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut text)
        });
        read.map_err(|source| DatasetError::Read { path: self.path.clone(), source })?;
        let wrong = |source| DatasetError::Json { place: self.place(row), source };
        match serde_json::from_slice(&text).map_err(wrong)? {
            value @ Value::Object(_) => Ok(value.into()),
            value => Err(DatasetError::NoObject { place: self.place(row), found: Cell::from(value).shown() }),
        }
    }
}

/// The lines that are not blank.
fn lines(file: File) -> std::io::Result<Vec<Span>> {
    let mut reader = BufReader::new(file);
    let (mut rows, mut start, mut text) = (Vec::new(), 0, Vec::new());
    for line in 1.. {
        text.clear();
        let read = reader.read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        let mark = if line == 1 && text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let content = &text[mark..];
        if !content.trim_ascii().is_empty() {
            rows.push(Span { start: start + mark as u64, length: content.len(), at: At::Line(line) });
        }
        start += read as u64;
    }
    Ok(rows)
}

fn begins_a_list(text: &[u8]) -> bool {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start().starts_with(b"[")
}

/// The elements of a list.
fn elements(text: &[u8], path: &Path) -> Result<Vec<Span>, DatasetError> {
    let wrong = |reason: String| DatasetError::JsonList { path: path.to_owned(), reason };
    // Behind the bracket.
    let mut at = text.iter().position(|&byte| byte == b'[').map_or(text.len(), |bracket| bracket + 1);
    let skip_blanks = |at: usize| text.len() - text[at..].trim_ascii_start().len();
    let mut rows = Vec::new();
    loop {
        at = skip_blanks(at);
        if rows.is_empty() && text.get(at) == Some(&b']') {
            break;
        }
        let mut values = Deserializer::from_slice(&text[at..]).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {}
            Some(Err(source)) => return Err(wrong(format!("element {}: {source}", rows.len()))),
            None => return Err(wrong("it ends too early".to_owned())),
        }
        let length = values.byte_offset();
        rows.push(Span { start: at as u64, length, at: At::Row(rows.len()) });
        at = skip_blanks(at + length);
        match text.get(at) {
            Some(b',') => at += 1,
            Some(b']') => break,
            _ => return Err(wrong(format!("there is no comma after element {}", rows.len() - 1))),
        }
    }
    match skip_blanks(at + 1) {
        end if end == text.len() => Ok(rows),
        _ => Err(wrong("there is more after the list".to_owned())),
    }
}
