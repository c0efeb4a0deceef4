//! The clipped surrogate of PPO with an asymmetric range and an optional second clip for negative advantages.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use super::{LossInput, PolicyLoss, TokenLoss};
use crate::TrainError;

/// Log-ratios are clamped to this before exponentiation; beyond it the gradient is zero.
const LOG_RATIO_LIMIT: f64 = 20.0;

/// The interval `[1 − low, 1 + high]` that the probability ratio is clipped to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawClipRange", into = "RawClipRange")]
pub struct ClipRange {
    low: f64,
    high: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClipRange {
    low: f64,
    high: f64,
}

impl TryFrom<RawClipRange> for ClipRange {
    type Error = TrainError;

    fn try_from(raw: RawClipRange) -> Result<Self, TrainError> {
        Self::new(raw.low, raw.high)
    }
}

impl From<ClipRange> for RawClipRange {
    fn from(range: ClipRange) -> Self {
        Self { low: range.low, high: range.high }
    }
}

impl ClipRange {
    /// A range with `0 ≤ low < 1` and `high ≥ 0`.
    ///
    /// # Errors
    /// If either lies outside.
    pub fn new(low: f64, high: f64) -> Result<Self, TrainError> {
        if (0.0..1.0).contains(&low) && high >= 0.0 && high.is_finite() {
            Ok(Self { low, high })
        } else {
            Err(TrainError::ClipRange { low, high })
        }
    }

    pub(crate) const fn known(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// How far below 1 the ratio may be.
    #[must_use]
    pub const fn low(self) -> f64 {
        self.low
    }

    /// How far above 1 the ratio may be.
    #[must_use]
    pub const fn high(self) -> f64 {
        self.high
    }
}

/// `max(−A r, −A clip(r))`, and where `A < 0` at most `−A · dual`.
///
/// # Source
/// PPO, arXiv:1707.06347, equation 7; the asymmetric range is DAPO's clip-higher, arXiv:2503.14476, section 3.1; the dual
/// clip is arXiv:1912.09729, equation 5. Clipping acts on the log-ratio, as in the released VPPO code
/// (`core_algos.py`, `compute_policy_loss`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClippedSurrogate {
    /// Range of the ratio.
    pub clip: ClipRange,
    /// Bound of the ratio for negative advantages, above 1; `None` sets no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dual: Option<f64>,
}

impl PolicyLoss for ClippedSurrogate {
    fn per_token(&self, input: &LossInput) -> TokenLoss {
        let log_ratio = input.log_probs.clone() - input.old_log_probs.clone();
        let blame = input.advantage.clone().neg();
        let (loss, clipped_high) = pessimistic(self.clip, log_ratio, &blame);
        let Some(dual) = self.dual else {
            return TokenLoss { loss, clipped_low: clipped_high.zeros_like(), clipped_high };
        };
        let limit = blame.clone() * dual;
        let clipped_low = blame.greater_scalar(0.0).bool_and(loss.clone().greater(limit.clone()));
        TokenLoss { loss: loss.mask_where(clipped_low.clone(), limit), clipped_high, clipped_low }
    }
}

/// `max(−A r, −A clip(r))` from the log-ratio and `−A`, and where the second is the larger.
pub(super) fn pessimistic(clip: ClipRange, log_ratio: Tensor<2>, blame: &Tensor<2>) -> (Tensor<2>, Tensor<2, Bool>) {
    let ratio = log_ratio.clone().clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp();
    let clipped = log_ratio.clamp((1.0 - clip.low).ln(), (1.0 + clip.high).ln()).exp();
    let (free, bound) = (blame.clone() * ratio, blame.clone() * clipped);
    let is_clipped = bound.clone().greater(free.clone());
    (free.mask_where(is_clipped.clone(), bound), is_clipped)
}
