//! How to sample: a value that could be written to disk.

use serde::{Deserialize, Serialize};

use crate::RolloutError;

/// Settings of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token. At least 0.
    pub temperature: f64,
    /// Keeps the smallest set of tokens whose probability reaches this share, in (0, 1]; 1 keeps all.
    pub top_p: f64,
    /// Keeps this many of the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// A response that reaches this length is cut. At least 1.
    pub max_new_tokens: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 1.0, top_k: 0, max_new_tokens: 256 }
    }
}

impl Sampling {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the first setting out of range.
    pub fn validate(&self) -> Result<(), RolloutError> {
        let checks = [
            (
                "temperature",
                self.temperature,
                self.temperature >= 0.0 && self.temperature.is_finite(),
                "use a finite number of at least 0",
            ),
            ("top_p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "use a number above 0 and at most 1"),
            ("max_new_tokens", self.max_new_tokens as f64, self.max_new_tokens > 0, "use at least 1"),
        ];
        match checks.into_iter().find(|&(_, _, holds, _)| !holds) {
            Some((name, value, _, expected)) => Err(RolloutError::Sampling { name, value, expected }),
            None => Ok(()),
        }
    }
}
