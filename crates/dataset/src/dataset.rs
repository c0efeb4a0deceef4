//! Problems of any number of files, one at a time.

use std::fmt::{self, Debug, Formatter};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::image_path::ImageFolder;
use crate::json::JsonFile;
use crate::layout::{Columns, Layout};
use crate::limits::Limits;
use crate::parquet::{Cursor, ParquetFile};
use crate::problem::{Place, Problem};
use crate::row::Row;
use crate::{DatasetError, Selection};

/// What a data set is read from, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetConfig {
    /// The files.
    pub files: Selection,
    /// How their columns are named.
    pub layout: Layout,
    /// Where relative paths of images start; if absent, at the folder of the data file.
    pub image_folder: Option<PathBuf>,
    /// Whether images may lie outside of that folder. If not, a path that leads out of it, by `..`, as an absolute path
    /// or through a link, makes a bad row.
    pub images_outside_folder: bool,
    /// How large rows and images may be.
    pub limits: Limits,
}

/// The problems of a selection of files, numbered in the order of the files and of their rows.
///
/// Opening it reads no problem: of a Parquet file the directory at its end, of JSON lines where each line begins. A
/// problem is read when it is asked for. Of a Parquet file sixteen rows are then decoded, and kept for the neighbours;
/// so the memory a data set takes grows neither with its files nor with their row groups, and going through it in order
/// decodes every row once. A problem out of order costs a walk over the pages of its row group.
pub struct Dataset {
    files: Vec<DataFile>,
    /// Number of the first problem of each file, and of all problems.
    starts: Vec<usize>,
    columns: Columns,
    image_folder: Option<PathBuf>,
    images_outside_folder: bool,
    limits: Limits,
    /// The Parquet file decoded last, by its number, and where its decoding stands.
    cursor: Mutex<Option<(usize, Cursor)>>,
}

enum DataFile {
    Memory(Vec<Problem>),
    Json(JsonFile),
    Parquet(ParquetFile),
}

impl Dataset {
    /// Opens the files of a selection.
    ///
    /// # Errors
    /// As [`Selection::files`]; a file is neither Parquet nor JSON by its name, cannot be read, or has not the layout's
    /// columns; or there is no problem in any of them.
    pub fn open(config: &DatasetConfig) -> Result<Self, DatasetError> {
        let columns = config.layout.columns();
        let paths = config.files.files()?;
        let open = |path: &PathBuf| DataFile::open(path, &columns, &config.limits);
        let files = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let dataset = Self::of_files(files, columns, config);
        match paths.into_iter().next() {
            Some(path) if dataset.is_empty() => Err(DatasetError::NoProblems { path }),
            _ => Ok(dataset),
        }
    }

    /// A data set of problems in memory.
    #[must_use]
    pub fn of(problems: Vec<Problem>) -> Self {
        Self::of_files(vec![DataFile::Memory(problems)], Layout::default().columns(), &DatasetConfig::default())
    }

    fn of_files(files: Vec<DataFile>, columns: Columns, config: &DatasetConfig) -> Self {
        let mut starts = vec![0_usize];
        for file in &files {
            starts.push(starts[starts.len() - 1].saturating_add(file.len()));
        }
        Self {
            files,
            starts,
            columns,
            image_folder: config.image_folder.clone(),
            images_outside_folder: config.images_outside_folder,
            limits: config.limits,
            cursor: Mutex::new(None),
        }
    }

    /// The number of problems, good and bad.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads and checks a problem by its number.
    ///
    /// # Errors
    /// [`DatasetError::Index`] if there is no such problem, [`DatasetError::Read`] if its file cannot be read any more;
    /// any other error is about the row alone ([`DatasetError::is_of_row`]) and names it.
    pub fn problem(&self, index: usize) -> Result<Problem, DatasetError> {
        let (file, row) = self.locate(index)?;
        let (cells, place) = match &self.files[file] {
            DataFile::Memory(problems) => return Ok(problems[row].clone()),
            DataFile::Json(lines) => (lines.row(row, &self.limits)?, lines.place(row)),
            DataFile::Parquet(table) => {
                // What a thread that panicked left behind is a cursor all the same, or none.
                let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
                let mut here = cursor.take().filter(|(at, _)| *at == file).map(|(_, here)| here);
                let cells = table.row(row, &mut here, &self.limits);
                *cursor = here.map(|here| (file, here));
                (cells?, table.place(row))
            }
        };
        let folder =
            ImageFolder { file: &place.file, given: self.image_folder.as_deref(), outside: self.images_outside_folder };
        Row { cells, columns: &self.columns, folder, limits: &self.limits, place: place.clone() }.problem()
    }

    /// Where a problem stands, without reading it.
    ///
    /// # Errors
    /// [`DatasetError::Index`] if there is no such problem.
    pub fn place(&self, index: usize) -> Result<Place, DatasetError> {
        let (file, row) = self.locate(index)?;
        Ok(match &self.files[file] {
            DataFile::Memory(problems) => problems[row].place.clone(),
            DataFile::Json(lines) => lines.place(row),
            DataFile::Parquet(table) => table.place(row),
        })
    }

    /// All problems in order.
    pub fn problems(&self) -> impl Iterator<Item = Result<Problem, DatasetError>> {
        (0..self.len()).map(|index| self.problem(index))
    }

    /// The number of a problem's file, and its row there.
    fn locate(&self, index: usize) -> Result<(usize, usize), DatasetError> {
        if index >= self.len() {
            return Err(DatasetError::Index { index, problems: self.len() });
        }
        let file = self.starts.partition_point(|&start| start <= index) - 1;
        Ok((file, index - self.starts[file]))
    }
}

impl Debug for Dataset {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dataset").field("files", &self.files.len()).field("problems", &self.len()).finish()
    }
}

impl DataFile {
    fn open(path: &Path, columns: &Columns, limits: &Limits) -> Result<Self, DatasetError> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("parquet") => Ok(Self::Parquet(ParquetFile::open(path, columns)?)),
            Some("jsonl" | "ndjson" | "json") => Ok(Self::Json(JsonFile::open(path, limits)?)),
            _ => Err(DatasetError::UnknownFormat { path: path.to_owned() }),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Memory(problems) => problems.len(),
            Self::Json(lines) => lines.len(),
            Self::Parquet(table) => table.len(),
        }
    }
}

/// Reads and checks all problems of a file of JSON lines with the standard columns.
///
/// Each line is an object with `problem` (text), `images` (none if absent) and `answer` (text or number), and maybe
/// `teacher` and `category` (texts; blank ones count as absent). Other keys are ignored, since published data sets
/// carry many columns. Blank lines are skipped, and a UTF-8 byte order mark and CRLF line ends are fine. An answer
/// given as a number becomes text in the shortest form that reads back as the same number: `5.0` stays `5.0` while
/// `1e2` becomes `100.0`.
///
/// # Errors
/// As [`Dataset::open`], and the error of its first bad line.
pub fn read_json_lines(path: &Path) -> Result<Vec<Problem>, DatasetError> {
    Dataset::open(&DatasetConfig { files: path.into(), ..DatasetConfig::default() })?.problems().collect()
}
