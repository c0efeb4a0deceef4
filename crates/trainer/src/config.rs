//! A run's configuration: one typed value, read from TOML, changed by `key=value`, written beside the run.

mod data;

use std::path::{Path, PathBuf};

use dataset::Selection;
use reward::{RewardConfig, SoftOverlong};
use rollout::Sampling;
use serde::{Deserialize, Serialize};

use crate::TrainError;

pub use data::DataConfig;

/// Everything a run depends on besides its recipe's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Checkpoint folder to start from, in Hub layout.
    pub model: PathBuf,
    /// Folder of the run: configuration, metrics and checkpoints.
    pub output: PathBuf,
    /// Name of a built-in recipe, or path of a recipe file.
    #[serde(default = "default_recipe")]
    pub recipe: String,
    /// `cpu`, `wgpu` or `cuda:0`.
    #[serde(default = "default_device")]
    pub device: String,
    /// Seed of everything random in the run.
    #[serde(default)]
    pub seed: u64,
    /// Where problems come from.
    pub data: DataConfig,
    /// How responses are sampled.
    #[serde(default)]
    pub rollout: RolloutConfig,
    /// How responses are judged; by default for accuracy alone, as VPPO does.
    #[serde(default)]
    pub reward: RewardConfig,
    /// How the policy is updated.
    #[serde(default)]
    pub update: UpdateConfig,
    /// How long the run is and what it leaves.
    #[serde(default)]
    pub schedule: ScheduleConfig,
}

/// Rollouts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutConfig {
    /// Problems whose groups form one step.
    pub prompts_per_step: usize,
    /// Responses to each problem.
    pub responses: usize,
    /// Rounds of new problems tried until enough groups pass the recipe's accuracy band.
    pub max_rounds: usize,
    /// Responses written side by side.
    pub max_rows: usize,
    /// Whether a response that was cut at the length limit is judged like any other, as in the released code. If not, it
    /// earns nothing, and the policy learns to stop.
    pub judge_truncated: bool,
    /// What responses near the length limit lose, be they judged or not; nothing by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlong_penalty: Option<SoftOverlong>,
    /// Temperature, filters and length limit.
    pub sampling: Sampling,
}

/// The optimizer and its batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateConfig {
    /// AdamW's learning rate.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises linearly from zero.
    pub warmup_steps: usize,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f32,
    /// AdamW's decay of the first moment.
    pub beta_1: f32,
    /// AdamW's decay of the second moment.
    pub beta_2: f32,
    /// AdamW's ε.
    pub epsilon: f32,
    /// Limit of the gradient's global norm.
    pub max_gradient_norm: f64,
    /// Optimizer steps per rollout batch, each on its own share of the groups.
    pub updates_per_step: usize,
    /// Tokens of a forward and backward pass. Changes speed and memory, never the result.
    pub tokens_per_micro_batch: usize,
    /// Positions whose vocabulary logits exist at once.
    pub vocabulary_chunk: usize,
    /// Keeps the vision tower as it is.
    pub freeze_vision: bool,
    /// Ends the run when so many steps on end were left out because a log-probability or the gradient was not finite.
    pub max_skipped_in_a_row: usize,
}

/// Length of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Steps of the run.
    pub steps: usize,
    /// Steps between checkpoints; the last step always leaves one.
    pub save_every: usize,
    /// Newest checkpoints kept.
    pub keep: usize,
    /// Whether the checkpoint with the highest validation accuracy is kept besides. Only a step with a validation and a
    /// checkpoint can be the best.
    pub keep_best: bool,
    /// Steps between validations; 0 validates at the end only.
    pub validate_every: usize,
    /// Responses sampled per held-out problem.
    pub validation_samples: usize,
}

fn default_recipe() -> String {
    "vppo".to_owned()
}

fn default_device() -> String {
    "cpu".to_owned()
}

impl Default for RolloutConfig {
    fn default() -> Self {
        let sampling = Sampling { max_new_tokens: 2048, top_p: 0.99, ..Sampling::default() };
        Self {
            prompts_per_step: 128,
            responses: 8,
            max_rounds: 8,
            max_rows: 64,
            judge_truncated: true,
            overlong_penalty: None,
            sampling,
        }
    }
}

impl Default for UpdateConfig {
    /// The settings the papers share: AdamW with learning rate 1e-6, weight decay 0.01 and ε 1e-8; norm clipped at 1.
    fn default() -> Self {
        Self {
            learning_rate: 1e-6,
            warmup_steps: 0,
            weight_decay: 0.01,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            max_gradient_norm: 1.0,
            updates_per_step: 1,
            tokens_per_micro_batch: 16_384,
            vocabulary_chunk: 1024,
            freeze_vision: false,
            max_skipped_in_a_row: 10,
        }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { steps: 200, save_every: 20, keep: 3, keep_best: true, validate_every: 0, validation_samples: 8 }
    }
}

impl TrainConfig {
    /// The defaults, for a model and the problems it is to answer, with nothing to train on.
    #[must_use]
    pub fn of_model(model: &Path, held_out: Selection) -> Self {
        Self {
            model: model.to_owned(),
            output: PathBuf::new(),
            recipe: default_recipe(),
            device: default_device(),
            seed: 0,
            data: DataConfig { held_out: Some(held_out), ..DataConfig::default() },
            rollout: RolloutConfig::default(),
            reward: RewardConfig::default(),
            update: UpdateConfig::default(),
            schedule: ScheduleConfig::default(),
        }
    }

    /// Reads a TOML file and applies `key=value` overrides, in order; keys are dotted, values are TOML (a bare word counts
    /// as a string).
    ///
    /// # Errors
    /// Names the file or override and what is wrong; unknown keys are errors.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, TrainError> {
        let text = crate::limits::read_text(path)?;
        let place = path.display().to_string();
        let mut table: toml::Table =
            text.parse().map_err(|error| TrainError::Config { place: place.clone(), reason: format!("{error}") })?;
        override_all(&mut table, overrides)?;
        Self::from_table(table, place)
    }

    /// Applies `key=value` overrides to this configuration.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn with_overrides(&self, overrides: &[String]) -> Result<Self, TrainError> {
        let mut table = toml::Table::try_from(self)
            .map_err(|error| TrainError::Config { place: "defaults".to_owned(), reason: error.to_string() })?;
        override_all(&mut table, overrides)?;
        Self::from_table(table, "command line".to_owned())
    }

    fn from_table(table: toml::Table, place: String) -> Result<Self, TrainError> {
        let config: Self = table
            .try_into()
            .map_err(|error| TrainError::Config { place: place.clone(), reason: format!("{error}") })?;
        config.validate().map_err(|reason| TrainError::Config { place, reason })?;
        Ok(config)
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// If a path is not valid Unicode.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|error| TrainError::Config {
            place: "resolved configuration".to_owned(),
            reason: error.to_string(),
        })
    }

    fn validate(&self) -> Result<(), String> {
        let at_least_one = [
            ("rollout.prompts_per_step", self.rollout.prompts_per_step),
            ("rollout.responses", self.rollout.responses),
            ("rollout.max_rounds", self.rollout.max_rounds),
            ("rollout.max_rows", self.rollout.max_rows),
            ("update.updates_per_step", self.update.updates_per_step),
            ("update.tokens_per_micro_batch", self.update.tokens_per_micro_batch),
            ("update.vocabulary_chunk", self.update.vocabulary_chunk),
            ("update.max_skipped_in_a_row", self.update.max_skipped_in_a_row),
            ("schedule.save_every", self.schedule.save_every),
            ("schedule.keep", self.schedule.keep),
            ("schedule.validation_samples", self.schedule.validation_samples),
        ];
        if let Some((key, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} is 0; use at least 1"));
        }
        let update = &self.update;
        let ranges = [
            ("update.learning_rate", update.learning_rate, update.learning_rate >= 0.0),
            ("update.weight_decay", f64::from(update.weight_decay), update.weight_decay >= 0.0),
            ("update.beta_1", f64::from(update.beta_1), (0.0..1.0).contains(&update.beta_1)),
            ("update.beta_2", f64::from(update.beta_2), (0.0..1.0).contains(&update.beta_2)),
            ("update.epsilon", f64::from(update.epsilon), update.epsilon > 0.0),
            ("update.max_gradient_norm", update.max_gradient_norm, update.max_gradient_norm > 0.0),
        ];
        if let Some((key, value, _)) = ranges.iter().find(|(_, value, holds)| !holds || value.is_nan()) {
            return Err(format!("{key} is {value}, which is out of range"));
        }
        self.data.validate()?;
        self.rollout.sampling.validate().map_err(|error| format!("rollout.sampling: {error}"))
    }
}

/// Sets dotted keys of a table from `key=value` texts.
pub(crate) fn override_all(table: &mut toml::Table, overrides: &[String]) -> Result<(), TrainError> {
    for text in overrides {
        let wrong = |reason: &str| TrainError::Config { place: text.clone(), reason: reason.to_owned() };
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("expected key=value"))?;
        let value = parse_value(value.trim());
        let mut keys: Vec<&str> = key.trim().split('.').collect();
        let last = keys.pop().filter(|last| !last.is_empty()).ok_or_else(|| wrong("the key is empty"))?;
        let mut at = &mut *table;
        for key in keys {
            let entry = at.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            at = entry.as_table_mut().ok_or_else(|| wrong("a part of the key is not a section"))?;
        }
        at.insert(last.to_owned(), value);
    }
    Ok(())
}

/// A TOML value, or a string if it is none.
fn parse_value(text: &str) -> toml::Value {
    let parsed: Result<toml::Table, _> = format!("value = {text}").parse();
    parsed.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        TrainConfig::from_table(
            "model = 'm'\noutput = 'o'\n[data]\ntrain = 't.jsonl'".parse().expect("TOML"),
            "test".to_owned(),
        )
        .expect("valid")
    }

    #[test]
    fn overrides_reach_every_level() {
        let overrides = [
            "update.learning_rate=2e-6",
            "recipe=grpo",
            "rollout.sampling.top_p = 0.9",
            "data.held_out=h.jsonl",
            "rollout.overlong_penalty.max_length=2048",
            "rollout.overlong_penalty.buffer=512",
            "reward.parts=[{ kind = 'answer' }, { kind = 'repetition', name = 'echo', weight = 0.5 }]",
        ];
        let changed = config().with_overrides(&overrides.map(str::to_owned)).expect("valid");
        assert_eq!(changed.update.learning_rate, 2e-6);
        assert_eq!(changed.recipe, "grpo");
        assert_eq!(changed.rollout.sampling.top_p, 0.9);
        assert_eq!(changed.data.held_out, Some(Selection::from_iter(["h.jsonl"])));
        let penalty = SoftOverlong::new(2048, 512, 1.0).expect("valid");
        assert_eq!(changed.rollout.overlong_penalty, Some(penalty));
        let parts: Vec<_> = changed.reward.parts.iter().map(|part| (part.name.as_str(), part.weight)).collect();
        assert_eq!(parts, [("accuracy", 1.0), ("echo", 0.5)]);
        assert_eq!(changed.with_overrides(&[]).expect("valid"), changed, "TOML there and back");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("update.learning_rat=1", "learning_rat"),
            ("rollout.responses=0", "rollout.responses is 0"),
            ("rollout.sampling.top_p=2", "top_p"),
            ("rollout.overlong_penalty={max_length = 8, buffer = 9}", "1..=8"),
            ("update.beta_2=1.5", "update.beta_2 is 1.5"),
            ("reward.format_weight=1.5", "0..=1"),
            ("reward={ format_weight = 0.1, parts = [{ kind = 'answer' }] }", "exclude each other"),
            ("nonsense", "expected key=value"),
            ("model.x=1", "not a section"),
            ("data.min_pixels=0", "data.min_pixels is 0"),
            ("data={train = 't', min_pixels = 5, max_pixels = 4}", "data.max_pixels 4"),
        ] {
            let error = config().with_overrides(&[text.to_owned()]).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
