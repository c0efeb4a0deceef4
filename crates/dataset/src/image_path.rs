//! From what a row calls an image to a file that it may mean.

use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::problem::Place;

/// Where the images of a data file are.
#[derive(Clone, Copy)]
pub(crate) struct ImageFolder<'a> {
    /// The data file.
    pub(crate) file: &'a Path,
    /// The folder the user named, if not that of the data file.
    pub(crate) given: Option<&'a Path>,
    /// Whether images may lie elsewhere.
    pub(crate) outside: bool,
}

impl ImageFolder<'_> {
    /// The image file of a name.
    ///
    /// It must lie in the folder once `..` and links are followed. Where the data file is a link itself, as in the
    /// Hub's cache, images may be links to where that leads.
    ///
    /// # Errors
    /// There is no such file, or it lies outside of the folder.
    pub(crate) fn find(&self, name: &str, place: &Place) -> Result<PathBuf, DatasetError> {
        let beside = |file: &Path| file.parent().map(Path::to_owned).unwrap_or_default();
        let folder = self.given.map_or_else(|| beside(self.file), Path::to_owned);
        let image = folder.join(name);
        if !image.is_file() {
            return Err(DatasetError::MissingImage { place: place.clone(), image });
        }
        if self.outside {
            return Ok(image);
        }
        let resolved = image.canonicalize();
        let of_data = self.file.canonicalize().ok().filter(|_| self.file.is_symlink()).map(|file| beside(&file));
        // The path of a file in the working directory has an empty folder.
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let holds = |root: &Path| resolved.as_ref().is_ok_and(|image| image.starts_with(root));
        if here.canonicalize().is_ok_and(|root| holds(&root)) || of_data.is_some_and(|root| holds(&root)) {
            return Ok(image);
        }
        Err(DatasetError::ImageOutside { place: place.clone(), image, folder: here.to_owned() })
    }
}
