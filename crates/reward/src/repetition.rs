//! What a response loses by repeating itself.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::RewardError;

/// Longest n-gram that is counted, in words.
const LONGEST: usize = 64;

/// Takes reward off a response for every n-gram of words that it says again: `max_penalty·(1 − distinct/all)`, in
/// `max_penalty..=0`. Words are what stands between blanks, in lower case; a response too short to repeat an n-gram loses nothing.
///
/// # Source
/// Yeo et al., arXiv:2502.03373, appendix C.2, as in Open-R1 (`src/open_r1/rewards.py`, `get_repetition_penalty_reward`), whose
/// recipes set 3 words and a penalty of -1, the defaults here.
///
/// # Departures
/// Python also splits words at the control characters U+001C to U+001F.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRepetition", into = "RawRepetition")]
pub struct Repetition {
    words: usize,
    max_penalty: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRepetition {
    words: usize,
    max_penalty: f32,
}

impl Default for RawRepetition {
    fn default() -> Self {
        Self { words: 3, max_penalty: -1.0 }
    }
}

impl Default for Repetition {
    fn default() -> Self {
        let RawRepetition { words, max_penalty } = RawRepetition::default();
        Self { words, max_penalty }
    }
}

impl Repetition {
    /// A penalty that falls to `max_penalty`, at most 0, for a response that says the same `words` words over and over.
    ///
    /// # Errors
    /// - [`RewardError::RepetitionWords`] unless `words` lies in `1..=64`.
    /// - [`RewardError::RepetitionPenalty`] if `max_penalty` is above 0 or not finite.
    pub fn new(words: usize, max_penalty: f32) -> Result<Self, RewardError> {
        if !(1..=LONGEST).contains(&words) {
            return Err(RewardError::RepetitionWords { words, longest: LONGEST });
        }
        if !(max_penalty <= 0.0 && max_penalty.is_finite()) {
            return Err(RewardError::RepetitionPenalty { max_penalty });
        }
        Ok(Self { words, max_penalty })
    }

    /// What `response` earns for its repetitions, in `max_penalty..=0`.
    #[must_use]
    pub fn score(&self, response: &str) -> f32 {
        let response = response.to_lowercase();
        let words: Vec<&str> = response.split_whitespace().collect();
        let all = words.windows(self.words);
        let count = all.len();
        let repeated = count - all.collect::<HashSet<_>>().len();
        // Nothing repeated is 0 and not -0.
        if repeated == 0 { 0.0 } else { self.max_penalty * (repeated as f64 / count as f64) as f32 }
    }
}

impl TryFrom<RawRepetition> for Repetition {
    type Error = RewardError;

    fn try_from(raw: RawRepetition) -> Result<Self, RewardError> {
        Self::new(raw.words, raw.max_penalty)
    }
}

impl From<Repetition> for RawRepetition {
    fn from(repetition: Repetition) -> Self {
        Self { words: repetition.words, max_penalty: repetition.max_penalty }
    }
}
