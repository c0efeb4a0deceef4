//! One response of a step, as a line of `rollouts/step-N.jsonl`. A value that is not finite is written as `null` and
//! read as NaN.

mod number;

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
    #[serde(deserialize_with = "number::one")]
    pub reward: f32,
    /// 1 if it is right, 0 if not, as judged.
    #[serde(deserialize_with = "number::one")]
    pub accuracy: f32,
    /// Each part of the reward, by its name.
    #[serde(default, deserialize_with = "number::named")]
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
    #[serde(deserialize_with = "number::list")]
    pub log_probs: Vec<f32>,
    /// Log-probability as seen at sampling, in nats.
    #[serde(deserialize_with = "number::list")]
    pub sampling_log_probs: Vec<f32>,
    /// Entropy of the prediction, in nats.
    #[serde(deserialize_with = "number::list")]
    pub entropy: Vec<f32>,
    /// How much the prediction depends on the image; `None` if the recipe measures none.
    #[serde(default, deserialize_with = "number::list_or_none", skip_serializing_if = "Option::is_none")]
    pub dependency: Option<Vec<f32>>,
    /// Each contrast the dependency was measured with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contrasts: Vec<ContrastRecord>,
    /// Advantage after shaping.
    #[serde(deserialize_with = "number::list")]
    pub advantage: Vec<f32>,
    /// Share of the token's gradient that counts, 0 to 1.
    #[serde(deserialize_with = "number::list")]
    pub gate: Vec<f32>,
}

/// A contrast's values for the tokens of a response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContrastRecord {
    /// The contrast's name in the recipe.
    pub name: String,
    /// Log-probability of each token under its view, in nats.
    #[serde(deserialize_with = "number::list")]
    pub log_probs: Vec<f32>,
    /// Its divergence for each token.
    #[serde(deserialize_with = "number::list")]
    pub divergence: Vec<f32>,
}

impl TokenRecord {
    /// Every list of values with its name, in the order of the fields; a contrast's with the contrast's name.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (&'static str, Option<&str>, &[f32])> {
        let first: [(_, _, &[f32]); 3] = [
            ("log_probs", None, &self.log_probs),
            ("sampling_log_probs", None, &self.sampling_log_probs),
            ("entropy", None, &self.entropy),
        ];
        let dependency = self.dependency.as_deref().map(|values| ("dependency", None, values));
        let contrasts = self.contrasts.iter().flat_map(|contrast| {
            let name = Some(contrast.name.as_str());
            [("contrast_log_probs", name, &*contrast.log_probs), ("divergence", name, &*contrast.divergence)]
        });
        let last: [(_, _, &[f32]); 2] = [("advantage", None, &self.advantage), ("gate", None, &self.gate)];
        first.into_iter().chain(dependency).chain(contrasts).chain(last)
    }

    /// Says which list is not as long as `ids`, if one is not.
    ///
    /// # Errors
    ///
    /// The list's name and both lengths.
    pub(crate) fn check(&self) -> Result<(), String> {
        let tokens = self.ids.len();
        let refuse = |name: &str, length| Err(format!("`{name}` has {length} values for {tokens} tokens"));
        if self.texts.len() != tokens {
            return refuse("texts", self.texts.len());
        }
        match self.lists().find(|(_, _, values)| values.len() != tokens) {
            Some((list, Some(contrast), values)) => refuse(&format!("{list} of {contrast}"), values.len()),
            Some((list, None, values)) => refuse(list, values.len()),
            None => Ok(()),
        }
    }
}
