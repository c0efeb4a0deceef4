//! Models and data sets of a Hub, fetched into its cache.

use std::io::IsTerminal as _;
use std::path::{Component, Path, PathBuf};

use dataset::{Selection, is_data, is_of_split};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Repo, RepoType};

use crate::TrainError;
use crate::config::TrainConfig;

/// Kinds of files a checkpoint consists of.
const MODEL_FILES: [&str; 4] = ["json", "jinja", "txt", "safetensors"];

/// Kinds of files that images of a data set may be.
const IMAGE_FILES: [&str; 3] = ["png", "jpg", "jpeg"];

/// Fetches what a Hub offers under names such as `hiyouga/geometry3k`.
///
/// Files that were fetched before, by this program or by Python's `huggingface_hub`, are taken from the cache. Nothing is fetched
/// unless it is asked for, and nothing that lies on a local path.
#[derive(Debug)]
pub struct Hub {
    api: Api,
}

impl Hub {
    /// The Hub of the environment: `HF_ENDPOINT` is its address (else huggingface.co), `HF_HOME` the folder of the cache and of the
    /// access token that `huggingface-cli login` leaves there, `HF_TOKEN` another token.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn from_env() -> Result<Self, TrainError> {
        let mut builder = ApiBuilder::from_env().with_progress(std::io::stderr().is_terminal());
        if let Ok(endpoint) = std::env::var("HF_ENDPOINT") {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        if let Ok(token) = std::env::var("HF_TOKEN") {
            builder = builder.with_token(Some(token));
        }
        let api = builder.build().map_err(failed("the Hub"))?;
        Ok(Self { api })
    }

    /// Whether a setting names something of a Hub: an owner and a name, and no local path.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let is_word = |word: &str| {
            let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            !word.is_empty() && !word.starts_with('.') && word.chars().all(allowed)
        };
        let words = text.split_once('/');
        words.is_some_and(|(owner, name)| is_word(owner) && is_word(name)) && !Path::new(text).exists()
    }

    /// Fetches a checkpoint and returns its folder: weights in safetensors, configuration and processor.
    ///
    /// # Errors
    /// If there is no such model, or not all of it arrives.
    pub fn model(&self, name: &str) -> Result<PathBuf, TrainError> {
        let of_model = |file: &Path| file.components().count() == 1 && has_extension(file, &MODEL_FILES);
        self.fetch(name, RepoType::Model, of_model)
    }

    /// Fetches the data files of a data set, those of one split if it is given, with the images that stand beside them, and returns
    /// their folder.
    ///
    /// # Errors
    /// If there is no such data set, or not all of it arrives.
    pub fn dataset(&self, name: &str, split: Option<&str>) -> Result<PathBuf, TrainError> {
        let wanted = |file: &Path| is_data(file) && split.is_none_or(|split| is_of_split(file, split));
        self.fetch(name, RepoType::Dataset, |file| wanted(file) || has_extension(file, &IMAGE_FILES))
    }

    /// A selection whose names of the Hub have become local folders.
    ///
    /// # Errors
    /// As [`Self::dataset`].
    pub fn selection(&self, files: &Selection) -> Result<Selection, TrainError> {
        let local = |part: &str| match Selection::path_and_split(part) {
            (name, split) if Self::is_name(name) => {
                let folder = self.dataset(name, split)?.display().to_string();
                Ok(split.map_or(folder.clone(), |split| format!("{folder}@{split}")))
            }
            _ => Ok(part.to_owned()),
        };
        files.parts().map(local).collect()
    }

    /// Makes a configuration local: its model and its data.
    ///
    /// # Errors
    /// As [`Self::model`] and [`Self::dataset`].
    pub fn localize(&self, config: &mut TrainConfig) -> Result<(), TrainError> {
        if let Some(name) = config.model.to_str().filter(|name| Self::is_name(name)) {
            config.model = self.model(name)?;
        }
        config.data.train = self.selection(&config.data.train)?;
        config.data.held_out = config.data.held_out.as_ref().map(|files| self.selection(files)).transpose()?;
        Ok(())
    }

    /// Fetches the files that are wanted, all of one revision.
    fn fetch(&self, name: &str, kind: RepoType, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf, TrainError> {
        let wrong = |reason: String| TrainError::Download { name: name.to_owned(), reason };
        let newest = self.api.repo(Repo::new(name.to_owned(), kind)).info().map_err(failed(name))?;
        if newest.sha.is_empty() || !newest.sha.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Err(wrong(format!("its revision is called `{}`", newest.sha)));
        }
        let pinned = self.api.repo(Repo::with_revision(name.to_owned(), kind, newest.sha));
        let mut folder = None;
        for file in newest.siblings.iter().map(|sibling| Path::new(&sibling.rfilename)).filter(|file| wanted(file)) {
            if !file.components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(wrong(format!("it lists the file {}, which lies outside of it", file.display())));
            }
            let there = pinned.get(&file.to_string_lossy()).map_err(failed(name))?;
            folder = there.ancestors().nth(file.components().count()).map(Path::to_owned);
        }
        folder.ok_or_else(|| wrong("it has no file of the kind that is needed".to_owned()))
    }
}

fn has_extension(file: &Path, extensions: &[&str]) -> bool {
    file.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
}

fn failed(name: &str) -> impl Fn(ApiError) -> TrainError {
    move |error| TrainError::Download { name: name.to_owned(), reason: error.to_string() }
}
