//! Group sequence policy optimization: one ratio for a whole response.

use serde::{Deserialize, Serialize};

use super::clipped_surrogate::pessimistic;
use super::{ClipRange, LossInput, PolicyLoss, TokenLoss};

/// `max(−A s, −A clip(s))` with the ratio of the whole response, `s = exp(mean over its tokens of log π − log π_old)`.
///
/// Belongs with [`super::Reduction::NonEmptySequenceMean`]. There is no second bound for negative advantages.
///
/// # Source
/// GSPO, arXiv:2507.18071, equations 5 to 7; `token_level` is its equation 13. The default bounds are those of its section 5.1.
///
/// # Departures
/// The log of the ratio is clamped to ±20, as in the released code; beyond it the gradient is zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gspo {
    /// Range of the ratio.
    pub clip: ClipRange,
    /// GSPO-token: the ratio is a constant, and each token's own log-probability carries the gradient, so that tokens of one
    /// response may have advantages of their own. The value is the same, and so is the gradient if the advantages, gates and
    /// weights of a response are equal.
    pub token_level: bool,
}

impl Default for Gspo {
    fn default() -> Self {
        Self { clip: ClipRange::known(3e-4, 4e-4), token_level: false }
    }
}

impl PolicyLoss for Gspo {
    fn per_token(&self, input: &LossInput) -> TokenLoss {
        let lengths = input.response.clone().float().sum_dim(1).clamp_min(1.0);
        let log_ratio = input.log_probs.clone() - input.old_log_probs.clone();
        let mean = (log_ratio.sum_dim(1) / lengths).expand(input.log_probs.dims());
        let log_ratio = if self.token_level {
            mean.detach() + (input.log_probs.clone() - input.log_probs.clone().detach())
        } else {
            mean
        };
        let (loss, clipped_high) = pessimistic(self.clip, log_ratio, &input.advantage.clone().neg());
        TokenLoss { loss, clipped_low: clipped_high.zeros_like(), clipped_high }
    }
}
