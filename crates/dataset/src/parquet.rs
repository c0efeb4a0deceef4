//! Rows of Parquet files.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::{Array as _, StructArray};
use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::TypePtr;

use crate::DatasetError;
use crate::cell::Cell;
use crate::layout::{Columns, Preset};
use crate::limits::Limits;
use crate::problem::{At, Place};

/// Rows decoded at once. Images make them large, and a random visit wants one of them.
const BATCH: usize = 16;

/// A file of which only the columns that are read are ever touched, a few rows at a time.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    pub(crate) path: PathBuf,
    metadata: ArrowReaderMetadata,
    columns: ProjectionMask,
    /// First row of every row group, and the number of rows.
    starts: Vec<usize>,
}

/// The place in a file up to which it has been decoded, with the rows decoded last.
pub(crate) struct Cursor {
    reader: ParquetRecordBatchReader,
    /// Number of the row group.
    group: usize,
    /// Place of the decoded rows in the row group.
    start: usize,
    rows: StructArray,
}

impl ParquetFile {
    /// Reads the directory of a file and looks for the columns.
    ///
    /// # Errors
    /// The file cannot be read, is no Parquet, or lacks a column.
    pub(crate) fn open(path: &Path, columns: &Columns) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
        let wrong = |source| DatasetError::Parquet { path: path.to_owned(), source };
        // The types that Arrow's writers note beside Parquet's own, such as large strings, make no difference to a row.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = contained(|| ArrowReaderMetadata::load(&file, options)).map_err(wrong)?;
        let length = file.metadata().map_err(|source| DatasetError::Read { path: path.to_owned(), source })?.len();
        let schema = metadata.parquet_schema();
        let roots = schema.root_schema().get_fields();
        require_columns(path, roots, columns)?;
        let used = |root: &TypePtr| columns.names().any(|name| is_root_of(root, name));
        let used = roots.iter().enumerate().filter(|(_, root)| used(root)).map(|(index, _)| index);
        let mask = ProjectionMask::roots(schema, used);
        let mut starts = vec![0];
        for group in metadata.metadata().row_groups() {
            let end =
                usize::try_from(group.num_rows()).ok().and_then(|rows| rows.checked_add(starts[starts.len() - 1]));
            let impossible = || ParquetError::General(format!("a row group of {} rows", group.num_rows()));
            starts.push(end.ok_or_else(impossible).map_err(wrong)?);
            if !group.columns().iter().all(|column| lies_within(column, length)) {
                return Err(wrong(ParquetError::EOF("a column that lies outside the file".to_owned())));
            }
        }
        Ok(Self { path: path.to_owned(), columns: mask, starts, metadata })
    }

    pub(crate) fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    pub(crate) fn place(&self, row: usize) -> Place {
        Place { file: self.path.clone(), at: At::Row(row) }
    }

    /// Reads one row. The cursor of an earlier call makes neighbouring rows cheap; `None` is a fine start.
    pub(crate) fn row(&self, row: usize, cursor: &mut Option<Cursor>, limits: &Limits) -> Result<Cell, DatasetError> {
        let group = self.starts.partition_point(|&start| start <= row) - 1;
        let at = row - self.starts[group];
        let here = match cursor.take() {
            Some(here) if here.group == group && here.holds(at) => here,
            Some(here) if here.group == group && here.end() == at => self.next(here, row)?,
            _ => self.seek(group, at, row)?,
        };
        // What is decoded may be less than the directory promised.
        if !here.holds(at) {
            let source = ArrowError::from(ParquetError::EOF("the row group ends before this row".to_owned()));
            return Err(DatasetError::ParquetRow { place: self.place(row), source });
        }
        let cells = Cell::of_struct(&here.rows, at - here.start);
        *cursor = Some(here);
        limits.row(cells.bytes(), || self.place(row))?;
        Ok(cells)
    }

    /// Starts to decode at the batch that holds a row of a row group.
    fn seek(&self, group: usize, at: usize, row: usize) -> Result<Cursor, DatasetError> {
        let start = at - at % BATCH;
        let rest = self.starts[group + 1] - self.starts[group] - start;
        let file = File::open(&self.path);
        let file = file.map_err(|source| DatasetError::Read { path: self.path.clone(), source })?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(self.columns.clone())
            .with_row_groups(vec![group])
            .with_row_selection(RowSelection::from(vec![RowSelector::skip(start), RowSelector::select(rest)]))
            .with_batch_size(BATCH);
        let reader = contained(|| builder.build())
            .map_err(|source| DatasetError::ParquetRow { place: self.place(row), source: source.into() })?;
        let nothing = StructArray::new_empty_fields(0, None);
        self.next(Cursor { reader, group, start, rows: nothing }, row)
    }

    /// Decodes the next batch.
    fn next(&self, cursor: Cursor, row: usize) -> Result<Cursor, DatasetError> {
        let Cursor { mut reader, group, start, rows } = cursor;
        let start = start + rows.len();
        drop(rows);
        let wrong = |source| DatasetError::ParquetRow { place: self.place(row), source };
        let rows = match contained(|| reader.next().transpose()).map_err(wrong)? {
            Some(batch) => StructArray::from(batch),
            None => StructArray::new_empty_fields(0, None),
        };
        Ok(Cursor { reader, group, start, rows })
    }
}

impl Cursor {
    fn end(&self) -> usize {
        self.start + self.rows.len()
    }

    fn holds(&self, at: usize) -> bool {
        (self.start..self.end()).contains(&at)
    }
}

/// Does a piece of the decoder's work. On some damaged files it panics where it should return an error; what it was at is dropped.
fn contained<T, E: From<ParquetError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(ParquetError::General("the decoder gave up on damaged data".to_owned()).into()))
}

/// Whether the pages of a column are where they can be read.
fn lies_within(column: &ColumnChunkMetaData, length: u64) -> bool {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (start, size) = (u64::try_from(start), u64::try_from(column.compressed_size()));
    let end = start.ok().zip(size.ok()).and_then(|(start, size)| start.checked_add(size));
    end.is_some_and(|end| end <= length)
}

/// Whether a column of a name, or one inside it, belongs to a root of the schema.
fn is_root_of(root: &TypePtr, name: &str) -> bool {
    name.strip_prefix(root.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A table has to have a problem, an answer unless its problems are conversations, and whatever was asked for by name.
fn require_columns(path: &Path, roots: &[TypePtr], columns: &Columns) -> Result<(), DatasetError> {
    let find = |names: &[String]| names.iter().find_map(|name| roots.iter().find(|root| is_root_of(root, name)));
    let asked = find(&columns.problem);
    let converses = asked.is_some_and(|root| root.is_group());
    let named = columns.required.iter().map(std::slice::from_ref);
    let wanted =
        [columns.problem.as_slice(), columns.answer.as_slice()].into_iter().take(if converses { 1 } else { 2 });
    match wanted.chain(named).find(|names| find(names).is_none()) {
        None => Ok(()),
        Some(names) => {
            let fits = |preset: &Preset| {
                let Columns { problem, images, answer, .. } = preset.columns();
                [problem, images, answer].iter().all(|names| find(names).is_some())
            };
            let sorted = |preset: &Preset| fits(preset) && find(&preset.columns().category).is_some();
            let [best, some] = [Preset::ALL.into_iter().find(sorted), Preset::ALL.into_iter().find(fits)];
            Err(DatasetError::MissingColumn {
                path: path.to_owned(),
                column: names.join("` or `"),
                columns: roots.iter().map(|root| root.name()).collect::<Vec<_>>().join(", "),
                hint: match best.or(some) {
                    Some(preset) => format!("its layout may be `{}`", preset.name()),
                    None => "name the columns in `layout`".to_owned(),
                },
            })
        }
    }
}
