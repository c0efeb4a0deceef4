//! The seam: judging responses against the truth.

use serde::{Deserialize, Serialize};

use crate::Ungraded;

/// Judges responses: a function from answers to verdicts.
///
/// Implementers are total: every answer gets a verdict or a reason why it has none, in the order of the answers, within a time that
/// they bound themselves.
pub trait Reward {
    /// What each of `answers` earns; as many outcomes as answers, in their order. Answers of one group come together, so that
    /// a reward may compare them.
    fn judge(&self, answers: &[Answer<'_>]) -> Vec<Result<Verdict, Ungraded>>;
}

/// A response and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The problem's text.
    pub problem: &'a str,
    /// The text a model wrote after the prompt.
    pub response: &'a str,
    /// What a right response has to say.
    pub truth: &'a Truth,
    /// Length of the response, in tokens.
    pub tokens: usize,
    /// Which prompt it answers: answers with the same number answer the same one.
    pub group: usize,
}

/// What a right response has to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The expected answer as written in the data set: a number, a word or a formula. Blank truths are never met.
    pub answer: String,
}

/// What a response earned; more is better.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The reward that is learnt from. Finite; penalties may take it below 0.
    pub overall: f32,
    /// How right the answer is, in `0..=1`: 1 if it is right and 0 if it is wrong, unless a user's reward says something between.
    pub accuracy: f32,
    /// What it is made of, before weights, in the order of the reward's parts; each is logged under its name.
    pub parts: Vec<Part>,
}

/// A component of a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name among the metrics.
    pub name: String,
    /// Its value before the weight; finite.
    pub value: f32,
}

impl Verdict {
    /// Whether the answer is entirely right.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.accuracy >= 1.0
    }

    /// The value of the first part of that name, if there is one.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<f32> {
        self.parts.iter().find(|part| part.name == name).map(|part| part.value)
    }
}
