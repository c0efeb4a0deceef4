//! Clipped importance-sampling policy optimization: the weight is clipped, never the gradient.

use advantage::{Fraction, NonNegative};
use serde::{Deserialize, Serialize};

use super::{LossInput, PolicyLoss, TokenLoss};

/// Log-ratios are clamped to this before exponentiation.
const LOG_RATIO_LIMIT: f64 = 20.0;

/// `−A · sg(clip(r, 1 − low, 1 + high)) · log π`: REINFORCE whose importance weight is held within bounds and is a constant to
/// the gradient, so that every token keeps one.
///
/// Belongs with [`super::Reduction::TokenMean`].
///
/// # Source
/// CISPO, arXiv:2506.13585, equations 4 and 5. The paper sets no lower bound (`low` 1) and does not publish the upper one;
/// EasyR1's example clips to 1 to 5 (`low` 0, `high` 4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cispo {
    /// How far below 1 the weight may be; at 1 there is no lower bound.
    pub low: Fraction,
    /// How far above 1 the weight may be.
    pub high: NonNegative,
}

impl PolicyLoss for Cispo {
    fn per_token(&self, input: &LossInput) -> TokenLoss {
        let log_ratio = (input.log_probs.clone() - input.old_log_probs.clone()).detach();
        let ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp();
        let weight = ratio.clone().clamp(1.0 - self.low.value(), 1.0 + self.high.value());
        let clipped_high = ratio.not_equal(weight.clone());
        let loss = input.advantage.clone().neg() * weight * input.log_probs.clone();
        TokenLoss { loss, clipped_low: clipped_high.zeros_like(), clipped_high }
    }
}
