//! A run's configuration: one typed value, read from TOML, changed by `key=value`, written beside the run.

mod data;
mod documentation;
mod draft;
mod import;
mod keys;
mod ranges;
mod suggestion;

use std::path::{Path, PathBuf};

use dataset::Selection;
use reward::{RewardConfig, SoftOverlong};
use rollout::Sampling;
use serde::{Deserialize, Serialize};
use toml::Table;
use vlm_model::Precision;

use self::draft::Draft;
use crate::TrainError;
use crate::recompute::Recompute;

pub use data::DataConfig;
pub use documentation::{documentation, explanation};
pub(crate) use draft::override_all;
pub use import::{Fate, ImportedConfig, ImportedKey};
pub use keys::{Key, RecipeKey};

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
    /// What layers compute in. Parameters, their moments, sums of their gradients, norms and softmax are f32 in any case.
    #[serde(default)]
    pub precision: Precision,
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
    /// What is kept of the responses.
    #[serde(default)]
    pub record: RecordConfig,
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
    /// Mebibytes of image features kept while the vision tower is; 0 keeps none.
    pub feature_cache_mib: usize,
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
    /// Tokens of a forward and backward pass. Changes speed and memory, and the result by rounding alone.
    pub tokens_per_micro_batch: usize,
    /// Positions whose vocabulary logits exist at once. Changes speed and memory, and the result by rounding alone.
    pub vocabulary_chunk: usize,
    /// Whether layers are computed again in the backward pass, so that less is kept for it. Changes speed and memory alone.
    pub recompute: Recompute,
    /// What a pass may keep for its backward pass, in GiB, before layers are computed again instead. 0 allows half of the
    /// memory that is free on the CPU, and nothing on a GPU, whose free memory is not known.
    pub activation_gib: f64,
    /// Keeps the vision tower as it is.
    pub freeze_vision: bool,
    /// Takes the old log-probabilities from sampling and saves the clean pass of scoring, where the recipe reads nothing else of
    /// it. They are off by what decoding rounds otherwise; the update's forward pass measures by how much.
    pub reuse_sampling_log_probs: bool,
    /// Mean gap, in nats, above which log-probabilities seen at sampling are not reused any more.
    pub max_sampling_gap: f64,
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

/// What a run keeps of the responses it trained on, in `rollouts/step-N.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    /// Steps between recordings; 0 records nothing.
    pub every: usize,
    /// Groups of a recorded step, from its first, whose responses are kept with all that is known of each token. Of the others
    /// the text and the verdict are kept.
    pub token_groups: usize,
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
            feature_cache_mib: 1024,
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
            recompute: Recompute::Auto,
            activation_gib: 0.0,
            freeze_vision: false,
            reuse_sampling_log_probs: false,
            max_sampling_gap: 0.01,
            max_skipped_in_a_row: 10,
        }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { steps: 200, save_every: 20, keep: 3, keep_best: true, validate_every: 0, validation_samples: 8 }
    }
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self { every: 1, token_groups: 4 }
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
            precision: Precision::default(),
            seed: 0,
            data: DataConfig { held_out: Some(held_out), ..DataConfig::default() },
            rollout: RolloutConfig::default(),
            reward: RewardConfig::default(),
            update: UpdateConfig::default(),
            schedule: ScheduleConfig::default(),
            record: RecordConfig::default(),
        }
    }

    /// Reads a TOML file and applies `key=value` overrides, in order; keys are dotted, values are TOML (a bare word counts
    /// as a string).
    ///
    /// # Errors
    /// Names the file and line, or the override, and what is wrong; unknown keys are errors and answered with the nearest
    /// valid one.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, TrainError> {
        let text = crate::limits::read_text(path)?;
        Draft::of_file(&path.display().to_string(), &text, overrides)?.understood()
    }

    /// Reads TOML from memory; `place` says in messages where it comes from.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str, place: &str) -> Result<Self, TrainError> {
        Draft::of_file(place, text, &[])?.understood()
    }

    /// Applies `key=value` overrides to this configuration.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn with_overrides(&self, overrides: &[String]) -> Result<Self, TrainError> {
        let table = Table::try_from(self)
            .map_err(|error| TrainError::Config { place: "defaults".to_owned(), reason: error.to_string() })?;
        Draft::of_table(table, overrides)?.understood()
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// If a path is not valid Unicode.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|error| unwritable(&error))
    }

    /// The configuration as it is written in TOML, where a number of single precision has as few digits as it needs.
    ///
    /// # Errors
    /// As [`Self::to_toml`].
    pub fn to_table(&self) -> Result<Table, TrainError> {
        self.to_toml()?.parse().map_err(|error: toml::de::Error| unwritable(&error))
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> TrainError {
    TrainError::Config { place: "resolved configuration".to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        TrainConfig::parse("model = 'm'\noutput = 'o'\n[data]\ntrain = 't.jsonl'", "test").expect("valid")
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
