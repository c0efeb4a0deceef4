//! Rows of JSON files: one object per line, or a list of objects.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};

use crate::DatasetError;
use crate::cell::Cell;
use crate::limits::Limits;
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
    /// The file cannot be read, or is a list that is no JSON or too large.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, DatasetError> {
        let failed = |source| DatasetError::Read { path: path.to_owned(), source };
        let listed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let mut file = File::open(path).map_err(failed)?;
        let listed = listed && begins_a_list(&file).map_err(failed)?;
        file.rewind().map_err(failed)?;
        if !listed {
            return Ok(Self { path: path.to_owned(), rows: lines(file).map_err(failed)? });
        }
        let (bytes, limit) = (file.metadata().map_err(failed)?.len(), limits.list_bytes);
        if bytes > limit {
            return Err(DatasetError::ListTooLarge { path: path.to_owned(), bytes, limit });
        }
        let mut text = Vec::new();
        file.take(limit).read_to_end(&mut text).map_err(failed)?;
        Ok(Self { path: path.to_owned(), rows: elements(&text, path)? })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn place(&self, row: usize) -> Place {
        Place { file: self.path.clone(), at: self.rows[row].at }
    }

    /// Reads one row.
    pub(crate) fn row(&self, row: usize, limits: &Limits) -> Result<Cell, DatasetError> {
        let Span { start, length, .. } = self.rows[row];
        limits.row(length as u64, || self.place(row))?;
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

/// The lines that are not blank. However long a line is, no more than a buffer of it is in memory.
fn lines(file: File) -> std::io::Result<Vec<Span>> {
    let mut reader = BufReader::new(file);
    let mut rows = Vec::new();
    let mut start = skip_mark(&mut reader)?;
    for line in 1.. {
        let (mut length, mut blank, mut ended) = (0, true, false);
        while !ended {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let piece = end.map_or(buffer, |end| &buffer[..=end]);
            blank &= piece.trim_ascii().is_empty();
            ended = end.is_some();
            let read = piece.len();
            length += read;
            reader.consume(read);
        }
        if length == 0 {
            break;
        }
        if !blank {
            rows.push(Span { start, length, at: At::Line(line) });
        }
        start += length as u64;
    }
    Ok(rows)
}

/// Passes over a byte order mark and returns its length.
fn skip_mark(reader: &mut BufReader<File>) -> std::io::Result<u64> {
    let mut first = [0; BYTE_ORDER_MARK.len()];
    let mut read = 0;
    while read < first.len() {
        match reader.read(&mut first[read..])? {
            0 => break,
            more => read += more,
        }
    }
    let length = if first == *BYTE_ORDER_MARK { read as u64 } else { 0 };
    reader.seek(SeekFrom::Start(length))
}

fn begins_a_list(file: &File) -> std::io::Result<bool> {
    let mut reader = BufReader::new(file.try_clone()?);
    skip_mark(&mut reader)?;
    for byte in reader.bytes() {
        let byte = byte?;
        if !byte.is_ascii_whitespace() {
            return Ok(byte == b'[');
        }
    }
    Ok(false)
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
