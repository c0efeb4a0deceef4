//! Models and data sets of a Hub, fetched into its cache.

use std::io::IsTerminal as _;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use dataset::{Selection, is_data, is_of_split};
use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use indicatif::ProgressBar;
use ureq::Error as HttpError;

use crate::TrainError;
use crate::config::TrainConfig;

/// Kinds of files a checkpoint consists of.
const MODEL_FILES: [&str; 4] = ["json", "jinja", "txt", "safetensors"];

/// Kinds of files that images of a data set may be.
const IMAGE_FILES: [&str; 3] = ["png", "jpg", "jpeg"];

/// The Hub if no other is named.
const ENDPOINT: &str = "https://huggingface.co";

/// How long a Hub may send nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a request that failed for a reason that may pass is made again.
const RETRIES: u32 = 3;

/// The pause before the first of them; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(300);

/// Fetches what a Hub offers under names such as `hiyouga/geometry3k`.
///
/// Files that were fetched before, by this program or by Python's `huggingface_hub`, are taken from the cache. Nothing is fetched
/// unless it is asked for, and nothing that lies on a local path. A request that fails for a reason that may pass is made
/// again, and one that gets nothing for a minute is given up.
#[derive(Debug)]
pub struct Hub {
    api: Api,
    cache: Cache,
    endpoint: String,
    patience: Duration,
    shows_progress: bool,
}

impl Hub {
    /// The Hub of the environment: `HF_ENDPOINT` is its address (else huggingface.co), `HF_HOME` the folder of the cache and of the
    /// access token that `huggingface-cli login` leaves there, `HF_TOKEN` another token.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn from_env() -> Result<Self, TrainError> {
        let endpoint = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| ENDPOINT.to_owned());
        let cache = Cache::from_env();
        let mut builder = ApiBuilder::from_cache(cache.clone());
        if let Ok(token) = std::env::var("HF_TOKEN") {
            builder = builder.with_token(Some(token));
        }
        let hub = Self::new(builder, cache, &endpoint, PATIENCE)?;
        Ok(Self { shows_progress: std::io::stderr().is_terminal(), ..hub })
    }

    /// The Hub at an address, asked without a token, with a folder for its cache and how long it may send nothing.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn at(endpoint: &str, cache: &Path, patience: Duration) -> Result<Self, TrainError> {
        let cache = Cache::new(cache.to_owned());
        Self::new(ApiBuilder::from_cache(cache.clone()).with_token(None), cache, endpoint, patience)
    }

    fn new(builder: ApiBuilder, cache: Cache, endpoint: &str, patience: Duration) -> Result<Self, TrainError> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let api = builder
            .with_endpoint(endpoint.clone())
            .build()
            .map_err(|error| TrainError::Download { name: format!("from {endpoint}"), reason: error.to_string() })?;
        Ok(Self { api, cache, endpoint, patience, shows_progress: false })
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
        let newest = Repo::new(name.to_owned(), kind);
        let url = format!("{}/api/{}", self.endpoint, newest.api_url());
        let api = self.api.clone();
        let newest = self.ask(name, &url, move |_| api.repo(newest.clone()).info())?;
        if newest.sha.is_empty() || !newest.sha.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Err(wrong(format!("its revision is called `{}`", newest.sha)));
        }
        let pinned = Repo::with_revision(name.to_owned(), kind, newest.sha);
        let mut folder = None;
        for file in newest.siblings.iter().map(|sibling| Path::new(&sibling.rfilename)).filter(|file| wanted(file)) {
            if !file.components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(wrong(format!("it lists the file {}, which lies outside of it", file.display())));
            }
            let there = self.file(name, &pinned, &file.to_string_lossy())?;
            folder = there.ancestors().nth(file.components().count()).map(Path::to_owned);
        }
        folder.ok_or_else(|| wrong("it has no file of the kind that is needed".to_owned()))
    }

    /// A file of the cache, fetched if it is not there.
    fn file(&self, name: &str, repo: &Repo, file: &str) -> Result<PathBuf, TrainError> {
        if let Some(there) = self.cache.repo(repo.clone()).get(file) {
            return Ok(there);
        }
        let url = self.api.repo(repo.clone()).url(file);
        let (api, repo, file, shows) = (self.api.clone(), repo.clone(), file.to_owned(), self.shows_progress);
        self.ask(name, &url, move |news| {
            let watched = Watched { news: news.clone(), bar: shows.then(|| ProgressBar::new(0)) };
            api.repo(repo.clone()).download_with_progress(&file, watched)
        })
    }

    /// Makes a request, again if it fails for a reason that may pass. It is made beside this thread, because the client
    /// waits without an end; one that gives no sign of life is left behind.
    fn ask<T: Send + 'static>(
        &self,
        name: &str,
        url: &str,
        request: impl Fn(&Sender<News<T>>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, TrainError> {
        let failed = |reason: String| TrainError::Download { name: name.to_owned(), reason };
        let (sender, news) = mpsc::channel();
        thread::spawn(move || {
            let mut attempt = 0;
            let result = loop {
                match request(&sender) {
                    Err(error) if may_pass(&error) && attempt < RETRIES => {
                        thread::sleep(PAUSE * 2_u32.pow(attempt));
                        attempt += 1;
                        // Whoever asked may be gone.
                        let _ = sender.send(News::Alive);
                    }
                    result => break result,
                }
            };
            let _ = sender.send(News::Done(result));
        });
        loop {
            match news.recv_timeout(self.patience) {
                Ok(News::Alive) => {}
                Ok(News::Done(result)) => return result.map_err(|error| failed(explained(url, &error))),
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = self.patience.as_secs_f64();
                    return Err(failed(format!(
                        "{url} sent nothing for {seconds} s; check the connection and HF_ENDPOINT, then try again"
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(failed(format!("{url}: the request broke off"))),
            }
        }
    }
}

/// What a request says to whom it is made for.
enum News<T> {
    /// Something came.
    Alive,
    Done(Result<T, ApiError>),
}

/// Tells that bytes come, and shows it where there is a terminal.
struct Watched<T> {
    news: Sender<News<T>>,
    bar: Option<ProgressBar>,
}

impl<T> Progress for Watched<T> {
    fn init(&mut self, size: usize, filename: &str) {
        let _ = self.news.send(News::Alive);
        if let Some(bar) = &mut self.bar {
            Progress::init(bar, size, filename);
        }
    }

    fn update(&mut self, size: usize) {
        let _ = self.news.send(News::Alive);
        if let Some(bar) = &mut self.bar {
            Progress::update(bar, size);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = &mut self.bar {
            Progress::finish(bar);
        }
    }
}

/// The status of a reply that was a refusal.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            HttpError::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

fn may_pass(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(_) => status(error).is_none_or(|status| matches!(status, 408 | 429 | 500..)),
        // A connection that broke off in the middle of a file, which the next attempt goes on with.
        ApiError::IoError(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::StorageFull | std::io::ErrorKind::NotFound
        ),
        _ => false,
    }
}

/// What went wrong with whom, and what to do.
fn explained(url: &str, error: &ApiError) -> String {
    match status(error) {
        Some(status @ (401 | 403 | 404)) => format!(
            "{url} replied with status {status}; the name may be wrong, or it is private or gated: check the name, accept \
             its terms on its page if it has any, and set HF_TOKEN"
        ),
        Some(status) => format!("{url} replied with status {status}; try again later"),
        None => format!("{url}: {error}"),
    }
}

fn has_extension(file: &Path, extensions: &[&str]) -> bool {
    file.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
}
