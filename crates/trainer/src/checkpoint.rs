//! Checkpoints of a run: the policy in Hub layout, and beside it what is needed to go on as if nothing had happened.
//!
//! A checkpoint is written into a folder aside, synced, read back, and only then renamed to `step-N`; one that has the name
//! is complete. Random draws are derived from the step's number, so the step, the position in the problems and the
//! optimizer's moments are all the state there is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dataset::Sampler;
use serde::{Deserialize, Serialize};
use vlm_model::processor::Processor;
use vlm_model::{Checkpoint, ExportOptions, export};

use crate::TrainError;
use crate::step::Trainer;

const STATE_FOLDER: &str = "trainer";
const STATE_FILE: &str = "state.json";
const OPTIMIZER_FILE: &str = "optimizer.bpk";

/// The part of a run's state that is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// Steps taken.
    pub step: usize,
    /// Position in the problems.
    pub sampler: Sampler,
}

/// Writes `checkpoints/step-N` under the run's folder and removes all but the newest `keep`.
///
/// # Errors
/// If a file cannot be written or does not read back; checkpoints already there stay as they are.
pub fn save(trainer: &Trainer, keep: usize) -> Result<PathBuf, TrainError> {
    let folder = trainer.config.output.join("checkpoints");
    let target = folder.join(format!("step-{}", trainer.step));
    let aside = folder.join(format!(".step-{}.writing", trainer.step));
    remove_if_there(&aside)?;
    let state_folder = aside.join(STATE_FOLDER);
    fs::create_dir_all(&state_folder).map_err(TrainError::file("create", &state_folder))?;

    export(&trainer.policy, Some(&trainer.config.model), &aside, ExportOptions::default())?;
    Processor::copy_files(&trainer.config.model, &aside)?;
    let optimizer = state_folder.join(OPTIMIZER_FILE);
    trainer.updater.optimizer.save(&optimizer).map_err(|error| unreadable(&optimizer, &error))?;
    let state = RunState { step: trainer.step, sampler: trainer.sampler.clone() };
    let state_file = state_folder.join(STATE_FILE);
    let text = serde_json::to_string_pretty(&state)
        .map_err(|source| TrainError::Json { place: state_file.display().to_string(), source })?;
    fs::write(&state_file, text).map_err(TrainError::file("write", &state_file))?;

    sync_all(&aside)?;
    Checkpoint::open(&aside)?;
    read_state(&aside)?;
    remove_if_there(&target)?;
    fs::rename(&aside, &target).map_err(TrainError::file("rename", &aside))?;
    sync_folder(&folder)?;
    for (_, old) in complete(&folder)?.into_iter().rev().skip(keep) {
        fs::remove_dir_all(&old).map_err(TrainError::file("remove", &old))?;
    }
    Ok(target)
}

/// The newest complete checkpoint of a run folder.
///
/// # Errors
/// If there is none.
pub fn newest(output: &Path) -> Result<PathBuf, TrainError> {
    let folder = output.join("checkpoints");
    let newest = if folder.exists() { complete(&folder)?.pop() } else { None };
    newest.map(|(_, path)| path).ok_or(TrainError::NothingToResume { folder })
}

/// Puts a trainer whose policy was loaded from `checkpoint` back to where that checkpoint was written.
///
/// # Errors
/// If the state cannot be read, or the number of problems is another.
pub fn restore(trainer: &mut Trainer, checkpoint: &Path) -> Result<(), TrainError> {
    let state = read_state(checkpoint)?;
    let (recorded, found) = (state.sampler.problems(), trainer.problems.len());
    if recorded != found {
        return Err(TrainError::DataChanged { recorded, found });
    }
    let optimizer = checkpoint.join(STATE_FOLDER).join(OPTIMIZER_FILE);
    let fresh = crate::step::updater(&trainer.config.update).optimizer;
    trainer.updater.optimizer = fresh.load(&optimizer).map_err(|error| unreadable(&optimizer, &error))?;
    trainer.step = state.step;
    trainer.sampler = state.sampler;
    Ok(())
}

fn read_state(checkpoint: &Path) -> Result<RunState, TrainError> {
    let path = checkpoint.join(STATE_FOLDER).join(STATE_FILE);
    let bytes = fs::read(&path).map_err(TrainError::file("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|source| TrainError::Json { place: path.display().to_string(), source })
}

/// Complete checkpoints, oldest first.
fn complete(folder: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let entries = fs::read_dir(folder).map_err(TrainError::file("list", folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(TrainError::file("list", folder))?.path();
        let step = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("step-"));
        if let Some(step) = step.and_then(|step| step.parse().ok()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

fn remove_if_there(folder: &Path) -> Result<(), TrainError> {
    if folder.exists() { fs::remove_dir_all(folder).map_err(TrainError::file("remove", folder)) } else { Ok(()) }
}

/// Syncs every file below a folder, then the folders.
fn sync_all(folder: &Path) -> Result<(), TrainError> {
    for entry in fs::read_dir(folder).map_err(TrainError::file("list", folder))? {
        let path = entry.map_err(TrainError::file("list", folder))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            let file = File::open(&path).map_err(TrainError::file("open", &path))?;
            file.sync_all().map_err(TrainError::file("sync", &path))?;
        }
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), TrainError> {
    // Only Unix lets a folder be opened and synced; elsewhere the rename alone has to do.
    if cfg!(unix) {
        let handle = File::open(folder).map_err(TrainError::file("open", folder))?;
        handle.sync_all().map_err(TrainError::file("sync", folder))?;
    }
    Ok(())
}

fn unreadable(path: &Path, error: &impl std::fmt::Display) -> TrainError {
    TrainError::OptimizerState { path: path.to_owned(), reason: error.to_string() }
}
