//! The seam: judging one response against the truth.

use serde::{Deserialize, Serialize};

/// Judges responses: a function from a response and the truth to a verdict.
///
/// Implementers are total: any text has a verdict. The same two inputs always get the same verdict.
pub trait Reward {
    /// What `response`, the text a model wrote after the prompt, earns when `truth` was asked for.
    fn judge(&self, response: &str, truth: &Truth) -> Verdict;
}

/// What a right response has to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The expected answer as written in the data set: a number, a word or a formula. Blank truths are never met.
    pub answer: String,
}

/// What a response earned. A judge's scores all lie in `0..=1`; more is better. A penalty for length may take `overall` below 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The reward that is learnt from.
    pub overall: f32,
    /// 1 if the answer is right, else 0.
    pub accuracy: f32,
    /// 1 if the response has the demanded form, else 0.
    pub format: f32,
}
