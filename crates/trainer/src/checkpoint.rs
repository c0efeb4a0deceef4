//! Checkpoints of a run: the policy in Hub layout, and beside it what is needed to go on as if nothing had happened.
//!
//! A checkpoint is written into a folder aside with the digests of its files, synced, read back, and only then renamed to
//! `step-N`. When it is read again the digests decide whether it is whole. Random draws are derived from the step's number, so
//! the step, the position in the problems and the optimizer's moments are all the state there is.

mod manifest;
mod tracker;
mod weights;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::tensor::Bytes;
use dataset::Sampler;
use serde::{Deserialize, Serialize};
use vlm_model::processor::Processor;
use vlm_model::{Checkpoint, ExportOptions, export};

use self::manifest::Manifest;
use crate::config::TrainConfig;
use crate::features::FeatureCache;
use crate::step::Trainer;
use crate::{TrainError, disk};

pub(crate) use tracker::clear_leftovers;

/// Folder of a run's checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// Within a checkpoint.
const STATE_FOLDER: &str = "trainer";
const STATE_FILE: &str = "trainer/state.json";
const OPTIMIZER_FILE: &str = "trainer/optimizer.bpk";

/// The part of a run's state that is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// Steps taken.
    pub step: usize,
    /// Position in the problems.
    pub sampler: Sampler,
    /// Digest of the files of problems, to notice that they have changed.
    pub data: String,
    /// Digest of the files of held-out problems, if there are any.
    pub held_out: Option<String>,
    /// Digest of the model the reference policy is made from, if there is one, to notice that it is another.
    pub reference: Option<String>,
    /// The validation of this step, if there was one.
    pub validation: Option<Validation>,
    /// How many steps up to this one were left out because something in them was not finite.
    pub skipped_in_a_row: usize,
    /// Largest mean gap, in nats, of a step that took log-probabilities from sampling; 0 if none did.
    #[serde(default)]
    pub sampling_gap: f64,
}

/// A validation of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Its accuracy, from 0 to 1; `None` if nothing could be judged.
    pub accuracy: Option<f64>,
    /// Digest of the problems, of how they are answered and of how that is judged. Only validations of equal terms compare.
    #[serde(default)]
    pub terms: String,
}

/// The checkpoints of a run, looked at from the newest on until one is whole.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest one that is whole.
    pub(crate) newest: Option<(PathBuf, RunState)>,
    /// Newer ones that are not, newest first, and why.
    pub(crate) damaged: Vec<(PathBuf, String)>,
}

/// Writes `checkpoints/step-N` under the run's folder. All but the newest `schedule.keep` are then removed, and the best by
/// validation if it is to be kept; `checkpoints/tracker.json` says which are the newest and the best.
///
/// # Errors
/// [`TrainError::NotSaved`] if a file cannot be written or does not read back as it was written; checkpoints already there stay
/// as they are. [`TrainError::SpoiltPolicy`] if a weight is not finite: such a policy never takes the place of a good one.
pub fn save(trainer: &Trainer) -> Result<PathBuf, TrainError> {
    check_policy(trainer)?;
    let step = trainer.step;
    let folder = trainer.config.output.join(CHECKPOINTS);
    let target = folder.join(format!("step-{step}"));
    let aside = folder.join(format!(".step-{step}.writing"));
    let metrics = trainer.config.output.join("metrics.jsonl");
    let written = write(trainer, &aside).and_then(|()| sync_if_there(&metrics)).and_then(|()| publish(&aside, &target));
    if let Err(source) = written {
        // What is half written helps nobody, and on a full disk it is in the way.
        let _ = disk::remove_if_there(&aside);
        return Err(TrainError::NotSaved { step, source: Box::new(source), kept: kept(&trainer.config.output) });
    }
    tidy(&trainer.config)?;
    Ok(target)
}

/// Removes the checkpoints that are not to be kept, and writes down which are the newest and the best.
///
/// # Errors
/// If one cannot be removed or that not be written.
pub(crate) fn tidy(config: &TrainConfig) -> Result<(), TrainError> {
    tracker::tidy(&config.output.join(CHECKPOINTS), config.schedule.keep, config.schedule.keep_best)
}

/// Refuses a policy with weights that are not finite.
///
/// # Errors
/// [`TrainError::SpoiltPolicy`] then.
pub(crate) fn check_policy(trainer: &Trainer) -> Result<(), TrainError> {
    if weights::are_finite(&trainer.policy) {
        return Ok(());
    }
    Err(TrainError::SpoiltPolicy { step: trainer.step, kept: kept(&trainer.config.output) })
}

/// Writes a whole checkpoint into a folder, syncs it and reads it back.
fn write(trainer: &Trainer, aside: &Path) -> Result<(), TrainError> {
    disk::remove_if_there(aside)?;
    let state_folder = aside.join(STATE_FOLDER);
    fs::create_dir_all(&state_folder).map_err(TrainError::file("create", &state_folder))?;

    export(&trainer.policy, None, aside, ExportOptions::default())?;
    // From memory: the folder that the run was started from may have changed or be gone.
    trainer.standing.files.write(aside)?;
    let optimizer = aside.join(OPTIMIZER_FILE);
    trainer.updater.optimizer.save(&optimizer).map_err(|error| unreadable(&optimizer, &error))?;
    let state = RunState {
        step: trainer.step,
        sampler: trainer.sampler.clone(),
        data: trainer.standing.data.clone(),
        held_out: trainer.standing.held_out.clone(),
        reference: trainer.standing.reference.clone(),
        validation: trainer.standing.validation.clone(),
        skipped_in_a_row: trainer.standing.skipped_in_a_row,
        sampling_gap: trainer.standing.sampling_gap,
    };
    let state_file = aside.join(STATE_FILE);
    let text = serde_json::to_string_pretty(&state)
        .map_err(|source| TrainError::Json { place: state_file.display().to_string(), source })?;
    fs::write(&state_file, text).map_err(TrainError::file("write", &state_file))?;

    Manifest::of(aside)?.write(aside)?;
    disk::sync_all(aside)?;
    let state = examine(aside).map_err(|reason| TrainError::Damaged { checkpoint: aside.to_owned(), reason })?;
    debug_assert_eq!(state.step, trainer.step);
    Checkpoint::open(aside)?;
    // One that cannot be asked anything never takes the place of a good one.
    Processor::from_folder(aside)?;
    Ok(())
}

/// Gives a whole checkpoint its name. If there is one of that name, it is whole until the new one has it.
fn publish(aside: &Path, target: &Path) -> Result<(), TrainError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let replaced = target.with_file_name(format!(".{name}.replaced"));
    if target.exists() {
        fs::rename(target, &replaced).map_err(TrainError::file("rename", target))?;
    }
    fs::rename(aside, target).map_err(TrainError::file("rename", aside))?;
    target.parent().map_or(Ok(()), disk::sync_folder)?;
    disk::remove_if_there(&replaced)
}

/// The metrics of the steps before a checkpoint are on the disk before it is.
fn sync_if_there(file: &Path) -> Result<(), TrainError> {
    match File::open(file) {
        Ok(handle) => handle.sync_all().map_err(TrainError::file("sync", file)),
        Err(_) => Ok(()),
    }
}

/// Whether a run folder has checkpoints, whole or not.
pub(crate) fn are_in(output: &Path) -> bool {
    numbered(&output.join(CHECKPOINTS)).is_ok_and(|all| !all.is_empty())
}

/// What is left when something went wrong, in words.
pub(crate) fn kept(output: &Path) -> String {
    match numbered(&output.join(CHECKPOINTS)).ok().and_then(|mut all| all.pop()) {
        Some((_, path)) => format!("the run can go on from {}", path.display()),
        None => "the run has no checkpoint yet".to_owned(),
    }
}

/// The newest whole checkpoint of a run folder; damaged ones are named in the log and passed over.
///
/// # Errors
/// [`TrainError::NothingToResume`] if there is none, [`TrainError::AllDamaged`] if all there are are damaged.
pub fn newest(output: &Path) -> Result<PathBuf, TrainError> {
    let found = find(output)?;
    let newest = found.newest_or_all_damaged(output)?;
    let (newest, _) = newest.ok_or_else(|| TrainError::NothingToResume { folder: output.join(CHECKPOINTS) })?;
    for (path, reason) in &found.damaged {
        tracing::warn!("{} is damaged and passed over: {reason}", path.display());
    }
    Ok(newest.clone())
}

/// Looks for the newest whole checkpoint of a run folder. Reads every file of it, and of damaged newer ones.
pub(crate) fn find(output: &Path) -> Result<Found, TrainError> {
    let mut found = Found::default();
    for (step, path) in numbered(&output.join(CHECKPOINTS))?.into_iter().rev() {
        match examine(&path) {
            Ok(state) if state.step == step => {
                found.newest = Some((path, state));
                break;
            }
            Ok(state) => found.damaged.push((path, format!("it is of step {}", state.step))),
            Err(reason) => found.damaged.push((path, reason)),
        }
    }
    Ok(found)
}

impl Found {
    /// The newest whole one; none if there are no checkpoints at all.
    ///
    /// # Errors
    /// If all there are are damaged.
    pub(crate) fn newest_or_all_damaged(&self, output: &Path) -> Result<Option<&(PathBuf, RunState)>, TrainError> {
        if self.newest.is_none() && !self.damaged.is_empty() {
            let line = |(path, reason): &(PathBuf, String)| format!("{}: {reason}", path.display());
            let reasons = self.damaged.iter().map(line).collect::<Vec<_>>().join("\n  ");
            return Err(TrainError::AllDamaged { folder: output.join(CHECKPOINTS), reasons });
        }
        Ok(self.newest.as_ref())
    }

    /// Takes the damaged ones out of the way, for a look at them later, and names them in the log.
    ///
    /// # Errors
    /// If one cannot be renamed.
    pub(crate) fn set_damaged_aside(&self) -> Result<(), TrainError> {
        for (path, reason) in &self.damaged {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".damaged");
            let aside = path.with_file_name(name);
            tracing::warn!("{} is damaged: {reason}; it is set aside as {}", path.display(), aside.display());
            disk::remove_if_there(&aside)?;
            fs::rename(path, &aside).map_err(TrainError::file("rename", path))?;
        }
        Ok(())
    }
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
    let optimizer = checkpoint.join(OPTIMIZER_FILE);
    // Whole, since burn would otherwise go on reading a file that is removed when the checkpoint is.
    let bytes = fs::read(&optimizer).map_err(TrainError::file("read", &optimizer))?;
    let fresh = crate::optimizer::optimizer(&trainer.config.update);
    let restored = fresh.from_bytes(Bytes::from_bytes_vec(bytes));
    trainer.updater.optimizer = restored.map_err(|error| unreadable(&optimizer, &error))?;
    trainer.step = state.step;
    trainer.sampler = state.sampler;
    trainer.standing.validation = state.validation;
    trainer.standing.skipped_in_a_row = state.skipped_in_a_row;
    trainer.standing.sampling_gap = state.sampling_gap;
    // Features of the policy that stood there before.
    trainer.features = FeatureCache::of_run(&trainer.config);
    Ok(())
}

/// The state of a checkpoint all of whose files are as they were written, or what is wrong with it.
fn examine(checkpoint: &Path) -> Result<RunState, String> {
    manifest::check(checkpoint)?;
    read_state(checkpoint).map_err(|error| error.to_string())
}

fn read_state(checkpoint: &Path) -> Result<RunState, TrainError> {
    let path = checkpoint.join(STATE_FILE);
    let bytes = fs::read(&path).map_err(TrainError::file("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|source| TrainError::Json { place: path.display().to_string(), source })
}

/// What is named like a checkpoint, oldest first; nothing if the folder is not there.
fn numbered(folder: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrainError::file("list", folder))?,
    };
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

fn unreadable(path: &Path, error: &impl std::fmt::Display) -> TrainError {
    TrainError::OptimizerState { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use dataset::shapes::{self, ShapesConfig};
    use vlm_model::processor::ProcessorFiles;

    use super::*;

    /// A checkpoint that lacks the files of a processor takes no name, and the one before stays.
    #[test]
    fn an_incomplete_checkpoint_is_not_published() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        crate::demo::untrained(&path("model"), 4, &burn::tensor::Device::default()).expect("a writable folder");
        let shapes = ShapesConfig { train: 2, held_out: 1, ..ShapesConfig::default() };
        let problems = shapes::write(&shapes, &path("problems")).expect("a writable folder").train;
        let (model, output) = (path("model"), path("run"));
        let text = format!(
            "model = {model:?}\noutput = {output:?}\nrecipe = 'grpo'\ndevice = 'cpu'\n[data]\ntrain = {problems:?}\n\
             [schedule]\nkeep = 1\n"
        );
        fs::write(path("run.toml"), text).expect("a writable folder");
        let config = TrainConfig::read(&path("run.toml"), &[]).expect("valid");
        let mut trainer = Trainer::start(config).expect("starts");
        let good = save(&trainer).expect("a writable folder");
        trainer.step = 1;
        trainer.standing.files = ProcessorFiles::default();
        let error = save(&trainer).expect_err("it lacks the tokenizer").to_string();
        assert!(error.contains("tokenizer.json") && error.contains("step-0"), "{error}");
        let left = numbered(&output.join(CHECKPOINTS)).expect("a folder");
        assert_eq!(left, [(0, good)]);
    }
}
