//! From a configuration to a trainer, and from there through all its steps.

mod changes;
mod data;
mod folder;
mod reopened;

use std::path::Path;
use std::time::Instant;

use burn::module::Module as _;
use burn::tensor::Device;
use dataset::Sampler;
use vlm_model::processor::ProcessorFiles;
use vlm_model::{ModelError, QwenVl};

use crate::checkpoint::Validation;
use crate::collect::Source;
use crate::config::TrainConfig;
use crate::device::device_for;
use crate::evaluate::{Evaluation, Tally, evaluate_while};
use crate::features::FeatureCache;
use crate::observe::{Phase, TrainObserver};
use crate::problems::Problems;
use crate::recipe::Recipe;
use crate::report::StepReport;
use crate::step::{Trainer, trainable, updater, vocabulary};
use crate::stop::Stop;
use crate::{TrainError, checkpoint};

pub(crate) use folder::RunFolder;
pub use folder::holds_run;
pub use reopened::{Reopened, Resumption};

/// Where a run stands, besides its policy, its optimizer and its place in the problems.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Digest of the files of problems.
    pub(crate) data: String,
    /// Digest of the files of held-out problems, if there are any.
    pub(crate) held_out: Option<String>,
    /// Digest of the model the reference policy is made from, if there is one.
    pub(crate) reference: Option<String>,
    /// The processor's files, as every checkpoint gets them.
    pub(crate) files: ProcessorFiles,
    /// The validation of the present step, if there was one.
    pub(crate) validation: Option<Validation>,
    /// Steps up to this one that were left out because something in them was not finite.
    pub(crate) skipped_in_a_row: usize,
    /// Largest mean gap of a step that took log-probabilities from sampling, nats.
    pub(crate) sampling_gap: f64,
    /// Whether all log-probabilities of the last step were finite; if not, nobody knows what the policy is worth.
    pub(crate) finite: bool,
    /// Whether all of this is in a checkpoint, or nothing has happened yet.
    pub(crate) saved: bool,
    /// Held for its lock.
    pub(crate) folder: Option<RunFolder>,
}

impl Standing {
    /// Counts a step in.
    pub(crate) fn count(&mut self, report: &StepReport) {
        if report.updates > 0 {
            self.skipped_in_a_row = 0;
        } else if report.skipped_updates > 0 {
            self.skipped_in_a_row += 1;
        }
        self.finite = report.not_finite == 0;
        self.validation = None;
        self.saved = false;
    }
}

/// The model the run was started from, and its digest.
fn reference(config: &TrainConfig, device: &Device) -> Result<(QwenVl, String), TrainError> {
    let digest = data::fingerprint_of_model(&config.model)?;
    let wrong =
        |source: ModelError| TrainError::NoReference { folder: config.model.clone(), source: Box::new(source.into()) };
    Ok((vlm_model::load(&config.model, device).map_err(wrong)?, digest))
}

impl Trainer {
    /// Starts a new run: loads model and problems, takes the run's folder and writes the resolved configuration and recipe
    /// into it.
    ///
    /// # Errors
    /// If the folder already holds a run, or anything cannot be loaded.
    pub fn start(config: TrainConfig) -> Result<Self, TrainError> {
        let output = config.output.clone();
        let exists = || TrainError::RunExists { folder: output.clone() };
        // Checkpoints without a configuration are somebody's too, and of higher numbers than the first ones to come.
        if holds_run(&output) || checkpoint::are_in(&output) {
            return Err(exists());
        }
        let recipe = Recipe::find(&config.recipe)?;
        let mut trainer = Self::load(config, recipe, None)?;
        let folder = RunFolder::lock(&output)?;
        // Another process may have been faster.
        if holds_run(&output) {
            return Err(exists());
        }
        folder.write(&trainer.config, &trainer.algorithm.recipe)?;
        trainer.standing.folder = Some(folder);
        Ok(trainer)
    }

    /// Goes on with the run in `output` from its newest whole checkpoint, under the configuration and recipe it was
    /// started with; `overrides` may change how long it goes on and where it runs.
    ///
    /// # Errors
    /// As for [`Reopened::new`] and [`Reopened::load`], without consent to changes.
    pub fn resume(output: &Path, overrides: &[String]) -> Result<Self, TrainError> {
        let resumption = Resumption { need_checkpoint: true, accept_changes: false };
        Reopened::stored(output, overrides, resumption)?.load()
    }

    /// Loads everything; policy and processor come from `checkpoint` if given, else from the configured model.
    fn load(config: TrainConfig, recipe: Recipe, checkpoint: Option<&Path>) -> Result<Self, TrainError> {
        let algorithm = recipe.build();
        algorithm.check_for(&config)?;
        let reward = Box::new(config.reward.build()?);
        let device = device_for(&config.device, config.precision)?.autodiff();
        let source = checkpoint.unwrap_or(&config.model);
        let policy = vlm_model::load(source, &device)?;
        let reference = algorithm.needs_reference().then(|| reference(&config, &device)).transpose()?;
        let (reference, reference_digest) = reference.unzip();
        let problems = config.data.open(&config.data.train)?;
        let standing = Standing {
            data: data::fingerprint(&config.data.train)?,
            held_out: config.data.held_out.as_ref().map(data::fingerprint).transpose()?,
            reference: reference_digest,
            files: ProcessorFiles::read(source)?,
            validation: None,
            skipped_in_a_row: 0,
            sampling_gap: 0.0,
            finite: true,
            saved: true,
            folder: None,
        };
        Ok(Self {
            processor: config.data.processor(source)?,
            reward,
            updater: updater(&config.update, config.precision),
            vocabulary: vocabulary(&config, &policy, &device.inner()),
            sampler: Sampler::new(config.seed, problems.len())?,
            policy: trainable(policy, &config.update),
            step: 0,
            stop: Stop::default(),
            features: FeatureCache::of_run(&config),
            standing,
            algorithm,
            reference: reference.map(|reference| reference.valid().in_precision(config.precision)),
            problems,
            config,
        })
    }

    /// Takes all remaining steps, with validations and checkpoints when they are due; returns the last validation.
    ///
    /// When [`Self::stop`] is asked for, a step whose update has not begun is given up, a checkpoint is written and the run
    /// ends.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] then. If a step fails, something cannot be written, or `update.max_skipped_in_a_row` steps were
    /// left out because something in them was not finite; checkpoints already written stay.
    pub fn run(&mut self, observers: &mut [Box<dyn TrainObserver>]) -> Result<Option<Evaluation>, TrainError> {
        let held_out = self.config.data.held_out.as_ref().map(|files| self.config.data.open(files)).transpose()?;
        tracing::info!("recipe: {}", self.algorithm.recipe);
        for observer in observers.iter_mut() {
            observer.on_start(self.step, self.config.schedule.steps)?;
        }
        let last = self.take_steps(held_out.as_ref(), observers);
        if matches!(last, Ok(_) | Err(TrainError::Stopped { .. })) {
            for observer in observers.iter_mut() {
                observer.on_finish()?;
            }
        }
        last
    }

    fn take_steps(
        &mut self,
        held_out: Option<&Problems>,
        observers: &mut [Box<dyn TrainObserver>],
    ) -> Result<Option<Evaluation>, TrainError> {
        let schedule = self.config.schedule;
        let mut last = None;
        loop {
            let end = self.step >= schedule.steps;
            let due = |every: usize| end || (every > 0 && self.step.is_multiple_of(every));
            // One that was due when the run was stopped is made up for.
            let unvalidated = self.step > 0 && self.standing.validation.is_none() && self.standing.finite;
            let unvalidated = unvalidated && due(schedule.validate_every);
            if let Some(problems) = held_out.filter(|_| unvalidated && !self.stop.is_asked()) {
                checkpoint::check_policy(self)?;
                let clock = Instant::now();
                match self.validate(problems, |_| {}) {
                    Ok(evaluation) => {
                        let seconds = clock.elapsed().as_secs_f64();
                        for observer in observers.iter_mut() {
                            observer.on_phase(self.step, Phase::Validation, seconds)?;
                            observer.on_validation(self.step, &evaluation)?;
                        }
                        let held_out = self.standing.held_out.as_deref().unwrap_or_default();
                        let terms = data::terms_of_validation(held_out, &self.config)?;
                        self.standing.validation = Some(Validation { accuracy: evaluation.overall.accuracy, terms });
                        self.standing.saved = false;
                        last = Some(evaluation);
                    }
                    Err(TrainError::Stopped { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let stopping = self.stop.is_asked();
            if due(schedule.save_every) || stopping {
                let clock = Instant::now();
                if self.save_once(end)? {
                    let seconds = clock.elapsed().as_secs_f64();
                    for observer in observers.iter_mut() {
                        observer.on_phase(self.step, Phase::Checkpoint, seconds)?;
                    }
                }
            }
            if stopping {
                return Err(self.stopped());
            }
            if end {
                return Ok(last);
            }
            match self.step() {
                Ok(report) => {
                    for observer in observers.iter_mut() {
                        observer.on_step(&report)?;
                    }
                    self.check_finite()?;
                }
                Err(TrainError::Stopped { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a checkpoint unless there is one that says the same, and says whether it did. None is written of a policy whose log-probabilities are not
    /// finite, so that it never takes the place of a good one.
    fn save_once(&mut self, end: bool) -> Result<bool, TrainError> {
        if !self.standing.finite {
            return if end { Err(self.not_finite()) } else { Ok(false) };
        }
        if self.standing.saved {
            return Ok(false);
        }
        checkpoint::save(self)?;
        self.standing.saved = true;
        Ok(true)
    }

    /// Ends a run that learns nothing any more.
    fn check_finite(&self) -> Result<(), TrainError> {
        let most = self.config.update.max_skipped_in_a_row;
        if self.standing.skipped_in_a_row >= most { Err(self.not_finite()) } else { Ok(()) }
    }

    fn not_finite(&self) -> TrainError {
        TrainError::NotFinite {
            step: self.step,
            steps: self.standing.skipped_in_a_row,
            kept: checkpoint::kept(&self.config.output),
        }
    }

    /// What a run that was asked to stop ends with.
    pub(crate) fn stopped(&self) -> TrainError {
        TrainError::Stopped { step: self.step, status: self.stop.status() }
    }

    /// Accuracy of the present policy on held-out problems. `done` is told after every block of them.
    ///
    /// # Errors
    /// As for [`evaluate`](crate::evaluate()), and [`TrainError::Stopped`] if the run is asked to stop.
    pub fn validate(&self, problems: &Problems, done: impl FnMut(&Tally)) -> Result<Evaluation, TrainError> {
        let policy = self.policy.valid().in_precision(self.config.precision);
        let source = Source {
            policy: &policy,
            processor: &self.processor,
            reward: &*self.reward,
            config: &self.config,
            features: self.features.as_ref(),
        };
        let go = || if self.stop.is_asked() { Err(self.stopped()) } else { Ok(()) };
        evaluate_while(&source, problems, self.config.schedule.validation_samples, go, done)
    }
}
