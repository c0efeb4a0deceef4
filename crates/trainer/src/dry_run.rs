//! What can be found out about a run before it begins: nothing is computed, and nothing written.

mod memory;
mod surroundings;

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use dataset::Selection;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vlm_model::processor::Processor;
use vlm_model::{Checkpoint, ModelConfig};

pub use self::memory::{Memory, MemoryItem};
use crate::TrainError;
use crate::config::TrainConfig;
use crate::device::device_for;
use crate::prepare::prepare;
use crate::recipe::{Algorithm, Recipe};
use crate::run::Resumption;

/// First problems that are looked at.
const FIRST: usize = 8;

/// Further problems that are looked at, drawn from all.
const SAMPLE: usize = 24;

/// Bad problems that are named one by one.
const NAMED: usize = 5;

/// What a look at a run's configuration, recipe, data, model and machine found.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// What was looked at, in order.
    pub checks: Vec<Check>,
    /// What the run takes, if its model and data can be read.
    pub memory: Option<Memory>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// Whether a run would get past it.
    pub state: CheckState,
    /// What was found, with values; for a failure also what to do.
    pub text: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// As it should be.
    Passed,
    /// A run would go on, but should one know.
    Warning,
    /// A run would fail.
    Failed,
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let state = match self.state {
            CheckState::Passed => "ok",
            CheckState::Warning => "note",
            CheckState::Failed => "FAILED",
        };
        write!(formatter, "{state:<6}  {:<9}  {}", self.name, self.text)
    }
}

/// Sizes of the problems that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sizes {
    /// Tokens of the longest prompt.
    prompt: usize,
    /// Image patches of the prompt that has most, before they are merged.
    patches: usize,
    /// Patches of the largest image.
    largest_image: usize,
}

impl DryRun {
    /// Looks at everything that a run of this configuration reads. `resumption` tells how it is to go on with the run
    /// that its folder holds; `None` starts one.
    #[must_use]
    pub fn of(config: &TrainConfig, resumption: Option<Resumption>) -> Self {
        let mut run = Self { checks: Vec::new(), memory: None };
        let algorithm = run.check("recipe", recipe(config));
        let model = run.check("model", model(config));
        let processor = run.check("processor", processor(config));
        let read = model.as_ref().zip(processor.as_ref());
        let sizes = run.problems("data", config, &config.data.train, read);
        if let Some(files) = &config.data.held_out {
            run.problems("held out", config, files, read);
        }
        let device = run.check("device", found(config));
        run.programs(config);
        run.output(config, algorithm.as_ref().map(|algorithm| &algorithm.recipe), resumption);
        if let (Some(algorithm), Some(model), Some(sizes)) = (algorithm, model, sizes) {
            let memory = Memory::of(config, &algorithm, &model, sizes);
            run.disk(config, &memory);
            run.compare(&memory, device.is_some(), &config.device);
            run.memory = Some(memory);
        }
        run
    }

    /// Names of the checks that failed.
    #[must_use]
    pub fn failures(&self) -> Vec<&'static str> {
        self.checks.iter().filter(|check| check.state == CheckState::Failed).map(|check| check.name).collect()
    }

    fn add(&mut self, name: &'static str, state: CheckState, text: String) {
        self.checks.push(Check { name, state, text });
    }

    fn failed<T>(&mut self, name: &'static str, text: String) -> Option<T> {
        self.add(name, CheckState::Failed, text);
        None
    }

    /// Notes how something went, and hands on what was found.
    fn check<T>(&mut self, name: &'static str, found: Result<(String, T), TrainError>) -> Option<T> {
        match found {
            Ok((text, value)) => {
                self.add(name, CheckState::Passed, text);
                Some(value)
            }
            Err(error) => self.failed(name, error.to_string()),
        }
    }

    /// The first problems and a sample of all, made into prompts as training would. `read` is what makes them.
    fn problems(
        &mut self,
        name: &'static str,
        config: &TrainConfig,
        files: &Selection,
        read: Option<(&ModelConfig, &Processor)>,
    ) -> Option<Sizes> {
        let problems = match config.data.open(files) {
            Ok(problems) => problems,
            Err(error) => return self.failed(name, error.to_string()),
        };
        let Some((model, processor)) = read else {
            let text = format!("{} problems, not looked at, since model or processor cannot be read", problems.len());
            return self.failed(name, text);
        };
        let mut rows: Vec<usize> = (0..problems.len().min(FIRST + SAMPLE)).collect();
        if problems.len() > rows.len() {
            let mut random = ChaCha8Rng::seed_from_u64(config.seed);
            rows.splice(FIRST.., (0..SAMPLE).map(|_| random.random_range(0..problems.len())));
        }
        rows.sort_unstable();
        rows.dedup();
        let (mut sizes, mut tokens, mut images, mut bad) = (Sizes::default(), Vec::new(), 0, Vec::new());
        for &row in &rows {
            let problem = problems.dataset().problem(row).map_err(TrainError::from);
            match problem.and_then(|problem| prepare(&problem, processor, model, &config.data)) {
                Ok(task) => {
                    tokens.push(task.prompt.ids.len());
                    images += task.patches.len();
                    let patches = task.patches.iter().map(|image| image.grid.t * image.grid.h * image.grid.w);
                    sizes.patches = sizes.patches.max(patches.clone().sum());
                    sizes.largest_image = sizes.largest_image.max(patches.max().unwrap_or(0));
                }
                Err(error) if error.place().is_some() => bad.push(error.to_string()),
                Err(error) => return self.failed(name, error.to_string()),
            }
        }
        tokens.sort_unstable();
        let Some(&longest) = tokens.last() else {
            let first = bad.first().cloned().unwrap_or_default();
            let text = format!("none of {} problems that were looked at can be used, such as {first}", rows.len());
            return self.failed(name, text);
        };
        sizes.prompt = longest;
        let text = format!(
            "{} problems; of {} looked at, {} can be used, with {images} images and prompts of {} to {longest} tokens (median {})",
            problems.len(),
            rows.len(),
            tokens.len(),
            tokens[0],
            tokens[tokens.len() / 2],
        );
        self.add(name, CheckState::Passed, text);
        let more = bad.len().saturating_sub(NAMED);
        for reason in bad.into_iter().take(NAMED) {
            self.add(name, CheckState::Warning, format!("skipped: {reason}"));
        }
        if more > 0 {
            self.add(name, CheckState::Warning, format!("and {more} more; `sightline data check` names all"));
        }
        Some(sizes)
    }
}

fn recipe(config: &TrainConfig) -> Result<(String, Algorithm), TrainError> {
    let algorithm = Recipe::find(&config.recipe)?.build();
    algorithm.check_for(config)?;
    Ok((algorithm.recipe.to_string(), algorithm))
}

/// The model's shape, and whether its files hold it; no weight is read.
fn model(config: &TrainConfig) -> Result<(String, ModelConfig), TrainError> {
    let shape = ModelConfig::from_folder(&config.model)?;
    Checkpoint::open(&config.model)?.verify(&shape)?;
    let parameters: usize = shape.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    Ok((format!("{parameters} parameters in {}, all tensors there", config.model.display()), shape))
}

fn processor(config: &TrainConfig) -> Result<(String, Processor), TrainError> {
    let processor = config.data.processor(&config.model)?;
    let eos = ModelConfig::from_folder(&config.model)?.tokens.eos;
    let known = processor.tokenizer.decode(&[eos], false).map_err(TrainError::from)?;
    let limits = processor.image.limits;
    let text = format!("images of {} to {} pixels, responses end at {known}", limits.min_pixels, limits.max_pixels);
    Ok((text, processor))
}

fn found(config: &TrainConfig) -> Result<(String, Device), TrainError> {
    let device = device_for(&config.device, config.precision)?;
    Ok((config.device.clone(), device))
}

/// The nearest folder above a path that is there.
fn existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|folder| folder.exists()).map(Path::to_owned)
}
