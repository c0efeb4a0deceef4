//! Configurations of EasyR1, and of VPPO-RL and PAPO that are built on it, made into ours.
//!
//! Nothing is dropped silently: every key that is given is converted, implied by how this program works, or named as lost.
//!
//! # Source
//! The keys and defaults of EasyR1's `verl/{trainer,workers/actor,workers/rollout}/config.py`, and those that VPPO-RL and PAPO add.

mod algorithm;
mod conversion;
mod data;
mod reward;
mod schedule;
mod source;
mod worker;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use self::conversion::Conversion;
use self::source::Source;
use super::TrainConfig;
use super::draft::Draft;
use crate::TrainError;
use crate::recipe::{Recipe, built_in};

/// A configuration that was converted.
#[derive(Clone, Debug)]
pub struct ImportedConfig {
    /// The settings that were made, as TOML; what is not among them is ours by default.
    pub toml: String,
    /// What they resolve to.
    pub config: TrainConfig,
    /// The recipe, if no built-in one is the same; to be written to the file that the configuration names.
    pub recipe: Option<Recipe>,
    /// What became of each key, in the order of their names.
    pub keys: Vec<ImportedKey>,
}

/// A key of another program's configuration and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportedKey {
    /// Its dotted name.
    pub key: String,
    /// Its value, as JSON.
    pub value: String,
    /// Whether it stands in the file or among the overrides; if not, it is the program's default.
    pub given: bool,
    /// What became of it.
    pub fate: Fate,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fate {
    /// It is one of our settings, or a place in a recipe.
    Converted {
        /// What it was made into.
        to: String,
    },
    /// It says what this program does anyway, or nothing in this configuration.
    Implied {
        /// Why.
        why: String,
    },
    /// It cannot be said here.
    Lost {
        /// Why not, and what to do.
        why: String,
        /// Whether the result of training, or a figure that is reported, may be another without it.
        matters: bool,
    },
}

impl fmt::Display for ImportedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { key, value, given, fate } = self;
        let origin = if *given { "" } else { " by default" };
        let (word, text) = match fate {
            Fate::Converted { to } => ("converted", to),
            Fate::Implied { why } => ("implied", why),
            Fate::Lost { why, matters: true } => ("LOST", why),
            Fate::Lost { why, matters: false } => ("lost", why),
        };
        write!(formatter, "{word:<9}  {key} = {value}{origin}: {text}")
    }
}

impl ImportedConfig {
    /// Reads a YAML file and applies `key=value` overrides in its own keys.
    ///
    /// `problems` is the number of training problems, from which epochs become steps; without it they are counted where the data lies
    /// on a local path. `recipe_file` is the name that a recipe of its own will have.
    ///
    /// # Errors
    /// If the file is no YAML, an interpolation cannot be resolved, a value is of the wrong type or out of range.
    pub fn read(
        path: &Path,
        overrides: &[String],
        problems: Option<usize>,
        recipe_file: &str,
    ) -> Result<Self, TrainError> {
        let text = crate::limits::read_text(path)?;
        Self::convert(Source::parse(&path.display().to_string(), &text, overrides)?, problems, recipe_file)
    }

    fn convert(source: Source, problems: Option<usize>, recipe_file: &str) -> Result<Self, TrainError> {
        let place = source.place().to_owned();
        let mut conversion = Conversion::new(source);
        let batch = data::convert(&mut conversion)?;
        worker::convert(&mut conversion, &batch)?;
        let format_weight = reward::convert(&mut conversion)?;
        schedule::convert(&mut conversion, &batch, problems)?;
        let made = algorithm::convert(&mut conversion, format_weight)?;
        let (recipe, own) = named(made)?;
        conversion.set("recipe", if own { recipe_file } else { &recipe.name });
        let (settings, mut keys) = conversion.finish();
        let toml = toml::to_string_pretty(&settings)
            .map_err(|error| TrainError::Config { place: place.clone(), reason: error.to_string() })?;
        let config = Draft::of_table(settings, &[])?.understood().map_err(|error| match error {
            TrainError::Config { reason, .. } => TrainError::Config { place, reason },
            other => other,
        })?;
        recipe.clone().build().check()?;
        if config.rollout.responses == 1 && recipe.compares_responses() {
            for key in keys.iter_mut().filter(|key| key.key == "worker.rollout.n") {
                let why = "one response to each problem has nothing to be compared with, and a run with rollout.responses = 1 \
                           is refused; set worker.rollout.n to 2 or more";
                key.fate = Fate::Lost { why: why.to_owned(), matters: true };
            }
        }
        Ok(Self { toml, config, recipe: own.then_some(recipe), keys })
    }

    /// Keys that could not be expressed, though the result depends on them.
    pub fn losses(&self) -> impl Iterator<Item = &ImportedKey> {
        self.keys.iter().filter(|key| matches!(key.fate, Fate::Lost { matters: true, .. }))
    }
}

/// The built-in recipe that is the same, or this one named after the built-in one it is nearest to; whether it is one of its own.
fn named(made: Recipe) -> Result<(Recipe, bool), TrainError> {
    let mut nearest: Option<(usize, Recipe)> = None;
    for recipe in built_in() {
        let differences = recipe.differences(&made)?.len();
        if differences == 0 {
            return Ok((recipe, false));
        }
        if nearest.as_ref().is_none_or(|(fewest, _)| differences < *fewest) {
            nearest = Some((differences, recipe));
        }
    }
    let name = nearest.map_or_else(|| "imported".to_owned(), |(_, recipe)| format!("{}-imported", recipe.name));
    Ok((Recipe { name, ..made }, true))
}
