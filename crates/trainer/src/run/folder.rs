//! A run's folder: what it was started with, and whose it is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::changes::Changes;
use crate::config::TrainConfig;
use crate::recipe::Recipe;
use crate::{TrainError, disk};

/// The resolved configuration. It is written last, and says that a folder holds a run.
const CONFIG_FILE: &str = "config.toml";
/// The recipe's components.
const RECIPE_FILE: &str = "recipe.json";
/// Locked by the process that trains.
const LOCK_FILE: &str = "run.lock";

/// A run's folder that no other process writes to for as long as this value lives.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    _lock: File,
}

/// Whether a folder holds a run.
#[must_use]
pub fn holds_run(folder: &Path) -> bool {
    folder.join(CONFIG_FILE).exists()
}

/// The configuration and the recipe that the run in a folder is trained with.
///
/// # Errors
/// If one of them cannot be read.
pub(super) fn stored(folder: &Path) -> Result<(TrainConfig, Recipe), TrainError> {
    Ok((TrainConfig::read(&folder.join(CONFIG_FILE), &[])?, Recipe::read(&folder.join(RECIPE_FILE))?))
}

/// As [`stored`], with `key=value` overrides applied to the configuration.
pub(super) fn stored_with(folder: &Path, overrides: &[String]) -> Result<(TrainConfig, Recipe), TrainError> {
    let config = TrainConfig::read(&folder.join(CONFIG_FILE), overrides)?;
    let of_recipe = overrides.iter().any(|text| text.split_once('=').is_some_and(|(key, _)| key.trim() == "recipe"));
    let recipe = if of_recipe { Recipe::find(&config.recipe)? } else { Recipe::read(&folder.join(RECIPE_FILE))? };
    Ok((config, recipe))
}

impl RunFolder {
    /// Makes the folder if it is not there, and takes it for this process until it ends, however it ends.
    ///
    /// # Errors
    /// [`TrainError::RunLocked`] if another process has it; or if nothing can be written there.
    pub(crate) fn lock(path: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(TrainError::file("create", path))?;
        let file = path.join(LOCK_FILE);
        let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file);
        let mut lock = lock.map_err(TrainError::file("open", &file))?;
        match lock.try_lock() {
            Ok(()) => {
                // For the message to another process. On a full disk it goes unsaid.
                let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
            }
            Err(TryLockError::WouldBlock) => {
                let process = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u32>().ok());
                let process = process.map_or_else(String::new, |id| format!(" (process {id})"));
                return Err(TrainError::RunLocked { folder: path.to_owned(), process });
            }
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!("{} cannot be locked; take care that no other run writes to it", path.display());
            }
            Err(TryLockError::Error(error)) => return Err(TrainError::file("lock", &file)(error)),
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Writes down what the run is trained with.
    ///
    /// # Errors
    /// If a file cannot be written; the folder then holds no run, or the one it held.
    pub(super) fn write(&self, config: &TrainConfig, recipe: &Recipe) -> Result<(), TrainError> {
        disk::replace(&self.path.join(RECIPE_FILE), &recipe.to_json()?)?;
        disk::replace(&self.path.join(CONFIG_FILE), &config.to_toml()?)
    }

    /// Takes changes over from `step` on. What the run was trained with until then stays in `config.step-N.toml` and
    /// `recipe.step-N.json`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn take_over(&self, changes: &Changes, step: usize) -> Result<(), TrainError> {
        let (config, recipe) = (&changes.config, &changes.recipe);
        if changes.of_config {
            self.keep(CONFIG_FILE, &format!("config.step-{step}.toml"))?;
            disk::replace(&self.path.join(CONFIG_FILE), &config.to_toml()?)?;
        }
        if changes.of_recipe {
            self.keep(RECIPE_FILE, &format!("recipe.step-{step}.json"))?;
            disk::replace(&self.path.join(RECIPE_FILE), &recipe.to_json()?)?;
        }
        Ok(())
    }

    /// Copies a file under another name, unless an earlier change at the same step has done so.
    fn keep(&self, name: &str, kept: &str) -> Result<(), TrainError> {
        let (from, to) = (self.path.join(name), self.path.join(kept));
        if to.exists() {
            return Ok(());
        }
        let text = fs::read_to_string(&from).map_err(TrainError::file("read", &from))?;
        disk::replace(&to, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_runs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("runs/new");
        let first = RunFolder::lock(&path).expect("nobody has it");
        let error = RunFolder::lock(&path).expect_err("taken").to_string();
        let ours = format!("(process {})", std::process::id());
        assert!(error.contains(&ours) && error.contains("runs/new"), "{error}");
        drop(first);
        RunFolder::lock(&path).expect("free again");
        assert!(!holds_run(&path));
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a writable folder");
        let error = RunFolder::lock(&file).expect_err("no folder").to_string();
        assert!(error.contains("file"), "{error}");
    }
}
