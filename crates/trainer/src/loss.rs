//! Policy losses: per-token values to be minimised, from two streams (advantage and gate) and log-probabilities.
//!
//! A loss does not know where its advantages come from. Weights are taken over the whole optimizer batch, so the sum over
//! micro-batches does not depend on how the batch is cut.
//!
//! | paper | equation | component | recipe | departure |
//! |---|---|---|---|---|
//! | PPO, arXiv:1707.06347; DAPO, arXiv:2503.14476; arXiv:1912.09729 | 7; clip-higher; dual clip, 5 | [`ClippedSurrogate`] | `grpo` and those over it | clips log-ratios |
//! | GSPO, arXiv:2507.18071 | 5 to 7; 13, token level | [`Gspo`] | `gspo` | |
//! | CISPO, arXiv:2506.13585 | 4 and 5 | [`Cispo`] | `cispo` | |
//! | REINFORCE | policy gradient | [`PolicyGradient`] | | |
//! | EasyR1, verl; Dr. GRPO, arXiv:2503.20783 | released code; section 3.2 | [`Reduction`] | all | the last divides by responses too |
//! | Schulman, "Approximating KL divergence" | k1, k2, k3; full | [`ReferenceKl`], [`KlEstimator`] | `reinforce-pp` | |
//! | VPPO, arXiv:2510.09285 | entropy penalty, a proxy | [`Objective`]`::entropy_penalty` | `vppo` | |
//! | A3C, arXiv:1602.01783 | entropy bonus | [`Objective`]`::entropy_bonus` | | |
//! | PAPO, arXiv:2507.06448 | implicit perception | [`ImplicitPerception`] | `papo` | responses without an image have none |
//! | verl's rollout correction | TIS, MIS | [`ImportanceCorrection`] | | masked tokens stay in denominators |

mod cispo;
mod clipped_surrogate;
mod gspo;
mod importance;
mod input;
mod objective;
mod perception;
mod policy_gradient;
mod reduction;
mod reference_kl;

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

pub use cispo::Cispo;
pub use clipped_surrogate::{ClipRange, ClippedSurrogate};
pub use gspo::Gspo;
pub use importance::{ImportanceCorrection, ImportanceLevel, MaskedImportance, TruncatedImportance};
pub use input::LossInput;
pub use objective::{LossOutput, Objective};
pub use perception::ImplicitPerception;
pub use policy_gradient::PolicyGradient;
pub use reduction::{Counts, Reduction, Weights};
pub use reference_kl::{KlEstimator, ReferenceKl};

/// The policy-gradient term of an objective.
pub trait PolicyLoss {
    /// The loss of every token, to be minimised, before gate, importance correction and reduction.
    fn per_token(&self, input: &LossInput) -> TokenLoss;
}

/// What a [`PolicyLoss`] says of every token.
///
/// # Shapes
/// All `[responses, tokens]`.
#[derive(Clone, Debug)]
pub struct TokenLoss {
    /// To be minimised; carries gradients.
    pub loss: Tensor<2>,
    /// Where the ratio was held within its range, at either end.
    pub clipped_high: Tensor<2, Bool>,
    /// Where a second bound, for negative advantages, acts.
    pub clipped_low: Tensor<2, Bool>,
}

/// The built-in losses, as they are named in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BuiltInLoss {
    /// The clipped surrogate of PPO.
    ClippedSurrogate(ClippedSurrogate),
    /// The clipped ratio of whole responses.
    Gspo(Gspo),
    /// REINFORCE with a clipped weight.
    Cispo(Cispo),
    /// REINFORCE.
    PolicyGradient(PolicyGradient),
}

impl PolicyLoss for BuiltInLoss {
    fn per_token(&self, input: &LossInput) -> TokenLoss {
        match self {
            Self::ClippedSurrogate(loss) => loss.per_token(input),
            Self::Gspo(loss) => loss.per_token(input),
            Self::Cispo(loss) => loss.per_token(input),
            Self::PolicyGradient(loss) => loss.per_token(input),
        }
    }
}
