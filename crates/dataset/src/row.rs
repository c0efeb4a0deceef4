//! From a row of any file to a problem.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::DatasetError;
use crate::cell::Cell;
use crate::image_path::ImageFolder;
use crate::layout::Columns;
use crate::limits::Limits;
use crate::messages::Conversation;
use crate::problem::{IMAGE_MARKER, ImageSource, Place, Problem};

/// A row whose cells are read by name.
pub(crate) struct Row<'a> {
    pub(crate) cells: Cell,
    pub(crate) columns: &'a Columns,
    /// Where image files are.
    pub(crate) folder: ImageFolder<'a>,
    pub(crate) limits: &'a Limits,
    pub(crate) place: Place,
}

impl Row<'_> {
    /// Reads and checks the problem.
    pub(crate) fn problem(&self) -> Result<Problem, DatasetError> {
        let columns = self.columns;
        let asked = match self.present("problem", &columns.problem)? {
            Cell::List(messages) => Conversation::read(messages)
                .map_err(|reason| DatasetError::Messages { place: self.place.clone(), reason })?,
            cell => Conversation { user: self.text("problem", cell)?, ..Conversation::default() },
        };
        let images = self.images(&asked)?;
        let answer = match (self.first(&columns.answer), &asked.assistant) {
            (None, Some(reply)) => reply.clone(),
            _ => self.answer(self.present("answer", &columns.answer)?)?,
        };
        let mut problem = asked.user.clone();
        if columns.images_first && !problem.contains(IMAGE_MARKER) {
            problem.insert_str(0, &IMAGE_MARKER.repeat(images.len()));
        }
        let (markers, images_found) = (problem.matches(IMAGE_MARKER).count(), images.len());
        if images_found > self.limits.images {
            let limit = self.limits.images;
            return Err(DatasetError::TooManyImages { place: self.place.clone(), images: images_found, limit });
        }
        if markers != images_found {
            return Err(DatasetError::MarkerCount { place: self.place.clone(), markers, images: images_found });
        }
        Ok(Problem {
            answer: self.filled("answer", answer)?,
            images: images.into_iter().map(|image| self.image(image)).collect::<Result<_, _>>()?,
            problem: self.filled("problem", problem)?,
            system: asked.system.clone(),
            teacher: self.extra("teacher", &columns.teacher)?,
            category: self.extra("category", &columns.category)?,
            place: self.place.clone(),
        })
    }

    /// The first of some columns that says something.
    fn first(&self, names: &[String]) -> Option<&Cell> {
        names.iter().filter_map(|name| self.cells.at(name)).find(|cell| **cell != Cell::Null)
    }

    /// The value of a field that every problem has.
    fn present(&self, field: &'static str, names: &[String]) -> Result<&Cell, DatasetError> {
        let missing = || DatasetError::MissingField { place: self.place.clone(), field, names: names.join("` or `") };
        self.first(names).ok_or_else(missing)
    }

    fn text(&self, field: &'static str, cell: &Cell) -> Result<String, DatasetError> {
        let wrong = || DatasetError::NoText { place: self.place.clone(), field, found: cell.shown() };
        cell.as_text().map(str::to_owned).ok_or_else(wrong)
    }

    /// A text that may be absent or blank.
    fn extra(&self, field: &'static str, names: &[String]) -> Result<Option<String>, DatasetError> {
        let text = self.first(names).map(|cell| self.text(field, cell)).transpose()?;
        Ok(text.filter(|text| !text.trim().is_empty()))
    }

    /// The text if it says anything.
    fn filled(&self, field: &'static str, text: String) -> Result<String, DatasetError> {
        if text.trim().is_empty() {
            return Err(DatasetError::Blank { place: self.place.clone(), field });
        }
        Ok(text)
    }

    /// The answer as text. Whole numbers that a float may have rounded are refused.
    fn answer(&self, answer: &Cell) -> Result<String, DatasetError> {
        const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        match answer {
            Cell::Number(number)
                if number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|value| value.abs() < EXACT) =>
            {
                Ok(number.to_string())
            }
            answer => match answer.as_text() {
                Some(text) => Ok(text.to_owned()),
                None => Err(DatasetError::Answer { place: self.place.clone(), answer: answer.shown() }),
            },
        }
    }

    /// The cells of the images: those of the column, or those of the message.
    fn images<'c>(&'c self, asked: &'c Conversation) -> Result<Vec<&'c Cell>, DatasetError> {
        let column: Vec<&Cell> = match self.first(&self.columns.images) {
            None => Vec::new(),
            Some(Cell::List(cells)) => cells.iter().collect(),
            Some(cell) => vec![cell],
        };
        if !column.is_empty() && !asked.images.is_empty() {
            let reason = "images both in the message and in a column of their own".to_owned();
            return Err(DatasetError::Messages { place: self.place.clone(), reason });
        }
        Ok(if column.is_empty() { asked.images.iter().collect() } else { column })
    }

    /// An image that is there.
    fn image(&self, cell: &Cell) -> Result<ImageSource, DatasetError> {
        match cell {
            Cell::Text(text) => self.named_image(text),
            Cell::Bytes(bytes) => self.content(bytes.clone()),
            Cell::Object(_) => {
                let inner = ["bytes", "path", "url", "image", "image_url"].map(|key| (key, cell.at(key)));
                match inner.into_iter().find(|(_, inner)| inner.is_some_and(|inner| *inner != Cell::Null)) {
                    Some(("bytes", Some(Cell::Text(text)))) => self.decoded(text, text),
                    Some((_, Some(inner))) => self.image(inner),
                    _ => Err(self.no_image(cell.shown())),
                }
            }
            cell => Err(self.no_image(cell.shown())),
        }
    }

    fn no_image(&self, found: String) -> DatasetError {
        DatasetError::NoImage { place: self.place.clone(), found }
    }

    /// An image given by a path or a data URI.
    fn named_image(&self, name: &str) -> Result<ImageSource, DatasetError> {
        if let Some(uri) = name.strip_prefix("data:") {
            return match uri.split_once(";base64,") {
                Some((_, content)) => self.decoded(content, name),
                None => Err(self.no_image(Cell::Text(name.to_owned()).shown())),
            };
        }
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(DatasetError::RemoteImage { place: self.place.clone(), url: name.to_owned() });
        }
        let image = self.folder.find(name.strip_prefix("file://").unwrap_or(name), &self.place)?;
        let bytes = image.metadata().map_or(0, |metadata| metadata.len());
        self.accept(bytes, &image.display().to_string())?;
        Ok(ImageSource::File(image))
    }

    /// An image whose content stands in the row.
    fn content(&self, bytes: Vec<u8>) -> Result<ImageSource, DatasetError> {
        self.accept(bytes.len() as u64, "in the row")?;
        Ok(ImageSource::Bytes(bytes))
    }

    /// Refuses an image of too many bytes.
    fn accept(&self, bytes: u64, image: &str) -> Result<(), DatasetError> {
        let limit = self.limits.image_bytes;
        if bytes > limit {
            let (place, image) = (self.place.clone(), image.to_owned());
            return Err(DatasetError::ImageBytes { place, image, bytes, limit });
        }
        Ok(())
    }

    /// An image written in base64, with or without line breaks.
    fn decoded(&self, content: &str, whole: &str) -> Result<ImageSource, DatasetError> {
        let content: String = content.split_ascii_whitespace().collect();
        match STANDARD.decode(content) {
            Ok(bytes) => self.content(bytes),
            Err(_) => Err(self.no_image(Cell::Text(whole.to_owned()).shown())),
        }
    }
}
