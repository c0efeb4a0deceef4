//! One response of a step, as a line of `rollouts/step-N.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A response to a problem, what it earned, and what is known of its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// Step that sampled it, from 1.
    pub step: usize,
    /// Its group among those the step trained on, from 0. Random draws of contrasts are addressed by it.
    pub group: usize,
    /// Its place in the group, from 0.
    pub response: usize,
    /// Index of the problem in the training data; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem_index: Option<usize>,
    /// Where the problem stands, for people: file and row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The problem's text.
    pub problem: String,
    /// The right answer.
    pub answer: String,
    /// The response's text.
    pub text: String,
    /// How it ended.
    pub finish: Finish,
    /// What it earned in all.
    pub reward: f32,
    /// 1 if it is right, 0 if not, as judged.
    pub accuracy: f32,
    /// Each part of the reward, by its name.
    #[serde(default)]
    pub parts: BTreeMap<String, f32>,
    /// Its tokens, if they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenRecord>,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// With an end token.
    Stop,
    /// At the length limit.
    Length,
}

/// What is known of each token of a response. All lists are as long as `ids`, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Token ids.
    pub ids: Vec<u32>,
    /// The text each token adds; a character that spans tokens stands at its last one.
    pub texts: Vec<String>,
    /// Log-probability before the update, recomputed, in nats.
    pub log_probs: Vec<f32>,
    /// Log-probability as seen at sampling, in nats.
    pub sampling_log_probs: Vec<f32>,
    /// Entropy of the prediction, in nats.
    pub entropy: Vec<f32>,
    /// How much the prediction depends on the image; `None` if the recipe measures none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<Vec<f32>>,
    /// Each contrast the dependency was measured with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contrasts: Vec<ContrastRecord>,
    /// Advantage after shaping.
    pub advantage: Vec<f32>,
    /// Share of the token's gradient that counts, 0 to 1.
    pub gate: Vec<f32>,
}

/// A contrast's values for the tokens of a response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContrastRecord {
    /// The contrast's name in the recipe.
    pub name: String,
    /// Log-probability of each token under its view, in nats.
    pub log_probs: Vec<f32>,
    /// Its divergence for each token.
    pub divergence: Vec<f32>,
}
