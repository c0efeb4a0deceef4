//! Everything the figures of an evaluation depend on.

use std::collections::BTreeMap;

use dataset::Dataset;
use reward::SoftOverlong;
use rollout::Sampling;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vlm_model::Precision;

use super::fingerprint::{files_of_model, problem_set};
use crate::TrainError;
use crate::config::TrainConfig;
use crate::recipe::{Difference, differences};

/// Settings of the section `data` that say where problems are found, not how they are asked.
const FILES: [&str; 6] = ["train", "held_out", "layout", "image_folder", "images_outside_folder", "limits"];

/// What an evaluation asks, of whom and how: two evaluations with the same protocol have the same figures.
///
/// Files count by what is in them, not by where they lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The program and its version.
    pub program: String,
    /// The preset, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// SHA-256 of each file of the model's folder, by name.
    pub model: BTreeMap<String, String>,
    /// The problems.
    pub problems: ProblemSet,
    /// How a problem becomes a prompt: the section `data` of a configuration, less where the files lie.
    pub prompt: Value,
    /// Temperature, filters and length limit.
    pub sampling: Sampling,
    /// Responses to each problem.
    pub samples: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// The judge: the section `reward` of a configuration. A program of the user's counts by its command line, not by what is in it.
    pub reward: Value,
    /// Whether a response that was cut at the length limit is judged like any other.
    pub judge_truncated: bool,
    /// What long responses lose of their reward; the accuracy does not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlong_penalty: Option<SoftOverlong>,
    /// Responses written side by side, which decides on the last bits of floating-point sums.
    pub max_rows: usize,
    /// `cpu`, `wgpu` or `cuda:0`; the same problems on another device may sample other tokens.
    pub device: String,
    /// What layers compute in.
    #[serde(default)]
    pub precision: Precision,
}

/// A set of problems, as two evaluations have it in common or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemSet {
    /// How many they are.
    pub count: usize,
    /// SHA-256 over their texts, answers and images, in order.
    pub sha256: String,
}

impl Protocol {
    /// The protocol of a configuration: its model answers the first `count` problems of `dataset` as its validation does.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn new(
        config: &TrainConfig,
        preset: Option<&str>,
        dataset: &Dataset,
        count: usize,
    ) -> Result<Self, TrainError> {
        let json = |source| TrainError::Json { place: "resolved configuration".to_owned(), source };
        let mut prompt = serde_json::to_value(&config.data).map_err(json)?;
        if let Value::Object(data) = &mut prompt {
            data.retain(|key, _| !FILES.contains(&key.as_str()));
        }
        Ok(Self {
            program: concat!("sightline ", env!("CARGO_PKG_VERSION")).to_owned(),
            preset: preset.map(str::to_owned),
            model: files_of_model(&config.model)?,
            problems: problem_set(dataset, count)?,
            prompt,
            sampling: config.rollout.sampling.clone(),
            samples: config.schedule.validation_samples,
            seed: config.seed,
            reward: serde_json::to_value(&config.reward).map_err(json)?,
            judge_truncated: config.rollout.judge_truncated,
            overlong_penalty: config.rollout.overlong_penalty,
            max_rows: config.rollout.max_rows,
            device: config.device.clone(),
            precision: config.precision,
        })
    }

    /// Where another protocol differs from this one, in the order of its fields.
    ///
    /// # Errors
    /// If a number in either is not finite.
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, TrainError> {
        let value = |protocol: &Self| {
            serde_json::to_value(protocol).map_err(|source| TrainError::Json { place: "protocol".to_owned(), source })
        };
        Ok(differences(&value(self)?, &value(other)?))
    }
}
