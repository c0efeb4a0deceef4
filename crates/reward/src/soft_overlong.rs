//! What a response that comes near the length limit loses.

use serde::{Deserialize, Serialize};

use crate::RewardError;

/// Takes reward off long responses: nothing up to `max_length - buffer`, from there on evenly more until `factor` is lost at
/// `max_length`, and no more beyond.
///
/// Lengths are in whatever the caller counts, tokens as a rule. What comes out is added to a reward, which may fall below 0 by it.
///
/// # Source
/// DAPO, arXiv:2503.14476, equation 13 (soft overlong punishment), where the limit is 20480 tokens, the buffer 4096 and the
/// factor 1 beside a reward of 1 or -1. VPPO, PGPO and PAPO do without it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawSoftOverlong", into = "RawSoftOverlong")]
pub struct SoftOverlong {
    max_length: usize,
    buffer: usize,
    factor: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSoftOverlong {
    max_length: usize,
    buffer: usize,
    #[serde(default = "whole")]
    factor: f32,
}

/// Weight of the penalty where none is given.
const fn whole() -> f32 {
    1.0
}

impl SoftOverlong {
    /// A penalty that sets in `buffer` before `max_length` and rises to `factor`.
    ///
    /// # Errors
    /// - [`RewardError::OverlongBuffer`] unless `buffer` lies in `1..=max_length`.
    /// - [`RewardError::OverlongFactor`] if `factor` is negative or not finite.
    pub fn new(max_length: usize, buffer: usize, factor: f32) -> Result<Self, RewardError> {
        if buffer == 0 || buffer > max_length {
            return Err(RewardError::OverlongBuffer { buffer, max_length });
        }
        if !(factor >= 0.0 && factor.is_finite()) {
            return Err(RewardError::OverlongFactor { factor });
        }
        Ok(Self { max_length, buffer, factor })
    }

    /// What a response of this length earns for its length, in `-factor..=0`.
    #[must_use]
    pub fn penalty(&self, length: usize) -> f32 {
        let over = length.saturating_sub(self.max_length - self.buffer).min(self.buffer);
        // Nothing over is 0 and not -0.
        if over == 0 { 0.0 } else { -self.factor * (over as f64 / self.buffer as f64) as f32 }
    }
}

impl TryFrom<RawSoftOverlong> for SoftOverlong {
    type Error = RewardError;

    fn try_from(raw: RawSoftOverlong) -> Result<Self, RewardError> {
        Self::new(raw.max_length, raw.buffer, raw.factor)
    }
}

impl From<SoftOverlong> for RawSoftOverlong {
    fn from(penalty: SoftOverlong) -> Self {
        Self { max_length: penalty.max_length, buffer: penalty.buffer, factor: penalty.factor }
    }
}
