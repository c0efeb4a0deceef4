//! The policy gradient without a ratio.

use serde::{Deserialize, Serialize};

use super::{LossInput, PolicyLoss, TokenLoss};

/// `−A log π`.
///
/// Right for one optimizer step on each rollout; a second one on the same responses is not corrected for.
///
/// # Source
/// REINFORCE, Williams (1992), "Simple statistical gradient-following algorithms for connectionist reinforcement learning".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyGradient {}

impl PolicyLoss for PolicyGradient {
    fn per_token(&self, input: &LossInput) -> TokenLoss {
        let nowhere = input.response.zeros_like();
        let loss = input.advantage.clone().neg() * input.log_probs.clone();
        TokenLoss { loss, clipped_high: nowhere.clone(), clipped_low: nowhere }
    }
}
