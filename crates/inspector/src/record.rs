//! One response of a step, as a line of `rollouts/step-N.jsonl`.
//!
//! A number that is not finite is `null` in the file, and not a number when it is read back.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

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
    #[serde(deserialize_with = "number")]
    pub reward: f32,
    /// 1 if it is right, 0 if not, as judged.
    #[serde(deserialize_with = "number")]
    pub accuracy: f32,
    /// Each part of the reward, by its name.
    #[serde(default, deserialize_with = "named_numbers")]
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
    #[serde(deserialize_with = "numbers")]
    pub log_probs: Vec<f32>,
    /// Log-probability as seen at sampling, in nats.
    #[serde(deserialize_with = "numbers")]
    pub sampling_log_probs: Vec<f32>,
    /// Entropy of the prediction, in nats.
    #[serde(deserialize_with = "numbers")]
    pub entropy: Vec<f32>,
    /// How much the prediction depends on the image; `None` if the recipe measures none.
    #[serde(default, deserialize_with = "maybe_numbers", skip_serializing_if = "Option::is_none")]
    pub dependency: Option<Vec<f32>>,
    /// Each contrast the dependency was measured with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contrasts: Vec<ContrastRecord>,
    /// Advantage after shaping.
    #[serde(deserialize_with = "numbers")]
    pub advantage: Vec<f32>,
    /// Share of the token's gradient that counts, 0 to 1.
    #[serde(deserialize_with = "numbers")]
    pub gate: Vec<f32>,
}

/// A contrast's values for the tokens of a response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContrastRecord {
    /// The contrast's name in the recipe.
    pub name: String,
    /// Log-probability of each token under its view, in nats.
    #[serde(deserialize_with = "numbers")]
    pub log_probs: Vec<f32>,
    /// Its divergence for each token.
    #[serde(deserialize_with = "numbers")]
    pub divergence: Vec<f32>,
}

/// A number, or `null` for one that JSON cannot write.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f32::NAN))
}

/// As [`number`], of a list.
fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let values = Vec::<Option<f32>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect())
}

/// As [`numbers`], of a list that may be missing.
fn maybe_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f32>>, D::Error> {
    numbers(deserializer).map(Some)
}

/// As [`number`], of each entry.
fn named_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f32>, D::Error> {
    let values = BTreeMap::<String, Option<f32>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|(name, value)| (name, value.unwrap_or(f32::NAN))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What JSON cannot write is read back as not a number, everywhere; every other number keeps its bits.
    #[test]
    fn numbers_that_are_not_finite_are_null() {
        let odd = || vec![f32::NAN, 0.1, f32::NEG_INFINITY, f32::MIN_POSITIVE, -0.0];
        let contrast = ContrastRecord { name: "blind".to_owned(), log_probs: odd(), divergence: odd() };
        let tokens = TokenRecord {
            ids: vec![1, 2, 3, 4, 5],
            texts: vec![String::new(); 5],
            log_probs: odd(),
            sampling_log_probs: odd(),
            entropy: odd(),
            dependency: Some(odd()),
            contrasts: vec![contrast],
            advantage: odd(),
            gate: odd(),
        };
        let record = RolloutRecord {
            step: 1,
            group: 0,
            response: 0,
            problem_index: Some(7),
            place: None,
            problem: "How many?".to_owned(),
            answer: "2".to_owned(),
            text: "2".to_owned(),
            finish: Finish::Length,
            reward: f32::INFINITY,
            accuracy: f32::NAN,
            parts: BTreeMap::from([("units".to_owned(), f32::NAN)]),
            tokens: Some(tokens),
        };
        let line = serde_json::to_string(&record).expect("JSON");
        assert!(line.contains(r#""reward":null,"accuracy":null,"parts":{"units":null}"#), "{line}");
        let read: RolloutRecord = serde_json::from_str(&line).expect("reads back");
        assert!(read.reward.is_nan() && read.accuracy.is_nan() && read.parts["units"].is_nan());
        let tokens = read.tokens.as_ref().expect("tokens");
        let contrast = &tokens.contrasts[0];
        let dependency = tokens.dependency.as_ref().expect("a dependency");
        for list in [
            &tokens.log_probs,
            &tokens.sampling_log_probs,
            &tokens.entropy,
            dependency,
            &contrast.log_probs,
            &contrast.divergence,
            &tokens.advantage,
            &tokens.gate,
        ] {
            assert!(list[0].is_nan() && list[2].is_nan(), "{list:?}");
            assert_eq!([1, 3, 4].map(|at| list[at].to_bits()), [0.1, f32::MIN_POSITIVE, -0.0].map(f32::to_bits));
        }
        assert_eq!(serde_json::to_string(&read).expect("JSON"), line, "there and back");
        let bare = line.split_once(",\"tokens\"").expect("tokens stand last").0.to_owned() + "}";
        assert_eq!(serde_json::from_str::<RolloutRecord>(&bare).expect("reads").tokens, None);
    }
}
