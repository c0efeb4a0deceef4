//! A reward that length scales along a cosine.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::RewardError;

/// Pays short right answers more than long ones and punishes short wrong answers more than long ones.
///
/// A right answer earns `max_value_correct` at length 0 and `min_value_correct` from `max_length` on, a wrong one `min_value_wrong`
/// at length 0 and `max_value_wrong` from `max_length` on, along half a cosine between. Lengths are in tokens.
///
/// # Source
/// Yeo et al., arXiv:2502.03373, section 3 (cosine reward), as in Open-R1 (`src/open_r1/rewards.py`, `get_cosine_scaled_reward`),
/// whose values are the defaults.
///
/// # Departures
/// - Open-R1 follows the cosine beyond the limit, where it rises again: twice the limit would earn as much as nothing written. Here
///   the value at the limit stays.
/// - Open-R1 counts characters and takes 1000 of them for its limit; here the limit is in tokens and has to be given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCosineLength", into = "RawCosineLength")]
pub struct CosineLength {
    max_length: usize,
    wrong: [f32; 2],
    correct: [f32; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCosineLength {
    max_length: usize,
    #[serde(default = "min_value_wrong")]
    min_value_wrong: f32,
    #[serde(default = "max_value_wrong")]
    max_value_wrong: f32,
    #[serde(default = "min_value_correct")]
    min_value_correct: f32,
    #[serde(default = "max_value_correct")]
    max_value_correct: f32,
}

const fn min_value_wrong() -> f32 {
    -1.0
}

const fn max_value_wrong() -> f32 {
    -0.5
}

const fn min_value_correct() -> f32 {
    0.5
}

const fn max_value_correct() -> f32 {
    1.0
}

impl CosineLength {
    /// A reward with Open-R1's values that reaches its end at `max_length`.
    ///
    /// # Errors
    /// [`RewardError::CosineLength`] if `max_length` is 0.
    pub fn new(max_length: usize) -> Result<Self, RewardError> {
        Self::with_values(
            max_length,
            [min_value_wrong(), max_value_wrong()],
            [min_value_correct(), max_value_correct()],
        )
    }

    /// A reward between the least and the greatest value for wrong answers, and for correct ones.
    ///
    /// # Errors
    /// - [`RewardError::CosineLength`] if `max_length` is 0.
    /// - [`RewardError::CosineValues`] if a least value is above its greatest, or one is not finite.
    pub fn with_values(max_length: usize, wrong: [f32; 2], correct: [f32; 2]) -> Result<Self, RewardError> {
        if max_length == 0 {
            return Err(RewardError::CosineLength);
        }
        for [least, greatest] in [wrong, correct] {
            if !(least <= greatest && least.is_finite() && greatest.is_finite()) {
                return Err(RewardError::CosineValues { least, greatest });
            }
        }
        Ok(Self { max_length, wrong, correct })
    }

    /// What a response of `tokens` tokens earns.
    #[must_use]
    pub fn score(&self, is_right: bool, tokens: usize) -> f32 {
        let progress = tokens.min(self.max_length) as f64 / self.max_length as f64;
        // 1 at length 0, 0 at the limit.
        let shortness = 0.5 * (1.0 + (progress * PI).cos());
        let [long, short] = if is_right { self.correct } else { [self.wrong[1], self.wrong[0]] };
        let (long, short) = (f64::from(long), f64::from(short));
        (shortness * short + (1.0 - shortness) * long) as f32
    }
}

impl TryFrom<RawCosineLength> for CosineLength {
    type Error = RewardError;

    fn try_from(raw: RawCosineLength) -> Result<Self, RewardError> {
        let RawCosineLength { max_length, min_value_wrong, max_value_wrong, min_value_correct, max_value_correct } =
            raw;
        Self::with_values(max_length, [min_value_wrong, max_value_wrong], [min_value_correct, max_value_correct])
    }
}

impl From<CosineLength> for RawCosineLength {
    fn from(reward: CosineLength) -> Self {
        let [min_value_wrong, max_value_wrong] = reward.wrong;
        let [min_value_correct, max_value_correct] = reward.correct;
        Self { max_length: reward.max_length, min_value_wrong, max_value_wrong, min_value_correct, max_value_correct }
    }
}
