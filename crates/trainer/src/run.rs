//! From a configuration to a trainer, and from there through all its steps.

use std::fs;
use std::path::Path;
use std::time::Instant;

use burn::module::Module as _;
use dataset::Sampler;

use crate::collect::Source;
use crate::config::TrainConfig;
use crate::evaluate::{Evaluation, Tally, evaluate};
use crate::observe::{Phase, TrainObserver};
use crate::problems::Problems;
use crate::recipe::Recipe;
use crate::step::{Trainer, trainable, updater, vocabulary};
use crate::{TrainError, checkpoint, device};

/// Says that a folder holds a run.
const CONFIG_FILE: &str = "config.toml";
const RECIPE_FILE: &str = "recipe.json";

impl Trainer {
    /// Starts a new run: loads model and problems, creates the run's folder and writes the resolved configuration and
    /// recipe into it.
    ///
    /// # Errors
    /// If the folder already holds a run, or anything cannot be loaded.
    pub fn start(config: TrainConfig) -> Result<Self, TrainError> {
        let output = config.output.clone();
        if output.join(CONFIG_FILE).exists() {
            return Err(TrainError::RunExists { folder: output });
        }
        let recipe = Recipe::find(&config.recipe)?;
        let trainer = Self::load(config, recipe, None)?;
        fs::create_dir_all(&output).map_err(TrainError::file("create", &output))?;
        let recipe = output.join(RECIPE_FILE);
        fs::write(&recipe, trainer.algorithm.recipe.to_json()?).map_err(TrainError::file("write", &recipe))?;
        // Last, since its presence says that the folder holds a run.
        let path = output.join(CONFIG_FILE);
        fs::write(&path, trainer.config.to_toml()?).map_err(TrainError::file("write", &path))?;
        Ok(trainer)
    }

    /// Goes on with the run in `output` from its newest complete checkpoint, under the configuration and recipe it was
    /// started with; `overrides` may change how long it goes on and where it runs.
    ///
    /// # Errors
    /// If there is no complete checkpoint or it cannot be read.
    pub fn resume(output: &Path, overrides: &[String]) -> Result<Self, TrainError> {
        let newest = checkpoint::newest(output)?;
        let config = TrainConfig::read(&output.join(CONFIG_FILE), overrides)?;
        let recipe = Recipe::read(&output.join(RECIPE_FILE))?;
        let mut trainer = Self::load(config, recipe, Some(&newest))?;
        checkpoint::restore(&mut trainer, &newest)?;
        Ok(trainer)
    }

    /// Loads everything; the policy comes from `checkpoint` if given, else from the configured model.
    fn load(config: TrainConfig, recipe: Recipe, checkpoint: Option<&Path>) -> Result<Self, TrainError> {
        let algorithm = recipe.build();
        algorithm.check()?;
        let reward = Box::new(config.reward.build()?);
        let device = device(&config.device)?.autodiff();
        let policy = vlm_model::load(checkpoint.unwrap_or(&config.model), &device)?;
        let reference = algorithm.needs_reference().then(|| vlm_model::load(&config.model, &device)).transpose()?;
        let problems = config.data.open(&config.data.train)?;
        Ok(Self {
            processor: config.data.processor(&config.model)?,
            reward,
            updater: updater(&config.update),
            vocabulary: vocabulary(&config, &policy, &device.inner()),
            sampler: Sampler::new(config.seed, problems.len())?,
            policy: trainable(policy, &config.update),
            step: 0,
            algorithm,
            reference: reference.map(|reference| reference.valid()),
            problems,
            config,
        })
    }

    /// Takes all remaining steps, with validations and checkpoints when they are due; returns the last validation.
    ///
    /// # Errors
    /// If a step fails or something cannot be written; checkpoints already written stay.
    pub fn run(&mut self, observers: &mut [Box<dyn TrainObserver>]) -> Result<Option<Evaluation>, TrainError> {
        let schedule = self.config.schedule;
        let held_out = self.config.data.held_out.as_ref().map(|files| self.config.data.open(files)).transpose()?;
        tracing::info!("recipe: {}", self.algorithm.recipe);
        for observer in observers.iter_mut() {
            observer.on_start(self.step, schedule.steps)?;
        }
        let mut last = None;
        while self.step < schedule.steps {
            let report = self.step()?;
            for observer in observers.iter_mut() {
                observer.on_step(&report)?;
            }
            let end = self.step == schedule.steps;
            let due = |every: usize| every > 0 && self.step.is_multiple_of(every);
            if let Some(problems) = held_out.as_ref().filter(|_| end || due(schedule.validate_every)) {
                let clock = Instant::now();
                let evaluation = self.validate(problems, |_| {})?;
                let seconds = clock.elapsed().as_secs_f64();
                for observer in observers.iter_mut() {
                    observer.on_phase(self.step, Phase::Validation, seconds)?;
                    observer.on_validation(self.step, &evaluation)?;
                }
                last = Some(evaluation);
            }
            if end || due(schedule.save_every) {
                let clock = Instant::now();
                checkpoint::save(self, schedule.keep)?;
                let seconds = clock.elapsed().as_secs_f64();
                for observer in observers.iter_mut() {
                    observer.on_phase(self.step, Phase::Checkpoint, seconds)?;
                }
            }
        }
        for observer in observers.iter_mut() {
            observer.on_finish()?;
        }
        Ok(last)
    }

    /// Accuracy of the present policy on held-out problems. `done` is told after every block of them.
    ///
    /// # Errors
    /// As for [`evaluate`].
    pub fn validate(&self, problems: &Problems, done: impl FnMut(&Tally)) -> Result<Evaluation, TrainError> {
        let policy = self.policy.valid();
        let source =
            Source { policy: &policy, processor: &self.processor, reward: &*self.reward, config: &self.config };
        evaluate(&source, problems, self.config.schedule.validation_samples, done)
    }
}
