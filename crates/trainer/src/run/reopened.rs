//! A run that was begun before, on its way to go on.

use std::path::{Path, PathBuf};

use super::changes::Changes;
use super::data::{fingerprint, fingerprint_of_model};
use super::folder::{RunFolder, holds_run, stored, stored_with};
use crate::TrainError;
use crate::checkpoint::{self, CHECKPOINTS, RunState};
use crate::config::TrainConfig;
use crate::recipe::Recipe;
use crate::step::Trainer;

/// How a run is to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resumption {
    /// Consents to changes of configuration, recipe and data; without consent they are refused.
    pub accept_changes: bool,
    /// Refuses to begin again where a run has no checkpoint yet.
    pub need_checkpoint: bool,
}

/// A run of a folder that this process has taken, before its model is loaded.
#[derive(Debug)]
pub struct Reopened {
    folder: RunFolder,
    changes: Changes,
    accept_changes: bool,
    /// Where it goes on; at its beginning if there is no checkpoint yet.
    from: Option<(PathBuf, RunState)>,
}

impl Reopened {
    /// Takes up the run in `config.output` under a configuration and a recipe, from its newest whole checkpoint. Damaged
    /// checkpoints are named in the log and set aside; what a killed process left half written is removed.
    ///
    /// # Errors
    /// - [`TrainError::NothingToResume`] if there is no run, or no checkpoint and one is needed.
    /// - [`TrainError::AllDamaged`] if there are checkpoints and all of them are damaged.
    /// - [`TrainError::RunChanged`] if configuration or recipe are others without consent; the error lists what differs.
    /// - [`TrainError::RunLocked`] if another process trains it.
    pub fn new(config: TrainConfig, recipe: Recipe, resumption: Resumption) -> Result<Self, TrainError> {
        let output = config.output.clone();
        let nothing = || TrainError::NothingToResume { folder: output.join(CHECKPOINTS) };
        if !holds_run(&output) {
            return Err(nothing());
        }
        let folder = RunFolder::lock(&output)?;
        let changes = Changes::of_run(config, recipe)?;
        checkpoint::clear_leftovers(&output.join(CHECKPOINTS))?;
        let found = checkpoint::find(&output)?;
        let from = found.newest_or_all_damaged(&output)?.cloned();
        if from.is_none() && resumption.need_checkpoint {
            return Err(nothing());
        }
        changes.check(resumption.accept_changes)?;
        found.set_damaged_aside()?;
        Ok(Self { folder, changes, accept_changes: resumption.accept_changes, from })
    }

    /// What [`Self::new`] and [`Self::load`] would find wrong with a configuration and a recipe for the run in
    /// `config.output`, or the step it would go on after. Nothing is written, moved or locked.
    ///
    /// # Errors
    /// As for [`Self::new`] but for the lock, and as for [`Self::load`] where the problems are others.
    pub(crate) fn foreseen(config: &TrainConfig, recipe: &Recipe, resumption: Resumption) -> Result<usize, TrainError> {
        let output = &config.output;
        let mut changes = Changes::of_run(config.clone(), recipe.clone())?;
        let found = checkpoint::find(output)?;
        let from = found.newest_or_all_damaged(output)?;
        if from.is_none() && resumption.need_checkpoint {
            return Err(TrainError::NothingToResume { folder: output.join(CHECKPOINTS) });
        }
        changes.check(resumption.accept_changes)?;
        if let Some((_, state)) = from {
            compare_data(&mut changes, state, resumption.accept_changes)?;
            compare_reference(&mut changes, state, resumption.accept_changes)?;
        }
        Ok(from.map_or(0, |(_, state)| state.step))
    }

    /// Takes up the run in a folder under its own configuration and recipe; `overrides` are `key=value` changes.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn stored(output: &Path, overrides: &[String], resumption: Resumption) -> Result<Self, TrainError> {
        if !holds_run(output) {
            return Err(TrainError::NothingToResume { folder: output.join(CHECKPOINTS) });
        }
        let (config, recipe) = stored_with(output, overrides)?;
        // A folder may have been moved since.
        Self::new(TrainConfig { output: output.to_owned(), ..config }, recipe, resumption)
    }

    /// The device it goes on with, as configured.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.changes.config.device
    }

    /// The steps it has behind it.
    #[must_use]
    pub fn step(&self) -> usize {
        self.from.as_ref().map_or(0, |(_, state)| state.step)
    }

    /// The last checkpoint, if nothing is left to do.
    #[must_use]
    pub fn finished(&self) -> Option<&Path> {
        let config = &self.changes.config;
        let (path, state) = self.from.as_ref()?;
        let validated = state.validation.is_some() || config.data.held_out.is_none();
        (state.step >= config.schedule.steps && validated).then_some(path)
    }

    /// Removes what a process that was killed after the last checkpoint has left to be removed, by the settings the run was
    /// trained with. For a run that is [finished](Self::finished).
    ///
    /// # Errors
    /// If those cannot be read, or a checkpoint cannot be removed.
    pub fn tidy(&self) -> Result<(), TrainError> {
        let output = self.changes.config.output.clone();
        let (config, _) = stored(&output)?;
        checkpoint::tidy(&TrainConfig { output, ..config })
    }

    /// Loads everything and writes down what has changed. Only then are checkpoints removed that are not to be kept.
    ///
    /// # Errors
    /// If something cannot be loaded, or the problems are others than before: [`TrainError::DataChanged`] if there are more or
    /// fewer, [`TrainError::RunChanged`] without consent.
    pub fn load(mut self) -> Result<Trainer, TrainError> {
        if let Some((_, state)) = &self.from {
            compare_data(&mut self.changes, state, self.accept_changes)?;
            compare_reference(&mut self.changes, state, self.accept_changes)?;
        }
        self.changes.show();
        let Changes { config, recipe, .. } = &self.changes;
        let checkpoint = self.from.as_ref().map(|(path, _)| path.as_path());
        let mut trainer = Trainer::load(config.clone(), recipe.clone(), checkpoint)?;
        if let Some(checkpoint) = checkpoint {
            checkpoint::restore(&mut trainer, checkpoint)?;
            tracing::info!("going on from {}", checkpoint.display());
        }
        self.folder.take_over(&self.changes, trainer.step)?;
        // A process may have been killed between a checkpoint and the removal of older ones. Not before the run really goes
        // on: what fails until here is to cost nothing.
        checkpoint::tidy(&self.changes.config)?;
        trainer.standing.folder = Some(self.folder);
        Ok(trainer)
    }
}

/// Notices that the model a reference policy is made from is another one.
fn compare_reference(changes: &mut Changes, state: &RunState, accept_changes: bool) -> Result<(), TrainError> {
    let Some(before) = state.reference.as_ref().filter(|_| changes.recipe.clone().build().needs_reference()) else {
        return Ok(());
    };
    let now = fingerprint_of_model(&changes.config.model)?;
    if *before == now {
        return Ok(());
    }
    let folder = changes.config.model.display();
    changes.hold(format!("the reference policy in {folder}: {} -> {}", short(before), short(&now)));
    changes.check(accept_changes)
}

/// Holds the files of problems against those a checkpoint was written with.
fn compare_data(changes: &mut Changes, state: &RunState, accept_changes: bool) -> Result<(), TrainError> {
    let held_out = changes.config.data.held_out.as_ref().map(fingerprint).transpose()?;
    if let (Some(before), Some(now)) = (&state.held_out, &held_out)
        && before != now
    {
        changes.free(format!("the files of data.held_out: {} -> {}", short(before), short(now)));
    }
    let data = &changes.config.data;
    let now = fingerprint(&data.train)?;
    if state.data == now {
        return Ok(());
    }
    let (recorded, found) = (state.sampler.problems(), data.open(&data.train)?.len());
    if recorded != found {
        return Err(TrainError::DataChanged { recorded, found });
    }
    changes.hold(format!("the files of data.train: {} -> {}", short(&state.data), short(&now)));
    changes.check(accept_changes)
}

/// The beginning of a digest, for people.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
