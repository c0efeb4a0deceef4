//! Policy losses: per-token values to be minimised, from two streams (advantage and gate) and log-probabilities.
//!
//! A loss does not know where its advantages come from. Weights are taken over the whole optimizer batch, so the sum over
//! micro-batches does not depend on how the batch is cut.

mod clipped_surrogate;
mod reduction;
mod reference_kl;

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

pub use clipped_surrogate::{ClipRange, ClippedSurrogate};
pub use reduction::Reduction;
pub use reference_kl::{KlEstimator, ReferenceKl};

/// What a loss reads, for some rows of an optimizer batch.
///
/// # Shapes
/// All `[responses, tokens]`; what stands in the padding is never read, and is 0 when a [`PolicyLoss`] sees it.
#[derive(Clone, Debug)]
pub struct LossInput {
    /// Log-probabilities under the current policy; carries gradients.
    pub log_probs: Tensor<2>,
    /// Log-probabilities under the policy that sampled.
    pub old_log_probs: Tensor<2>,
    /// Log-probabilities under the reference policy, if the objective has a term for it.
    pub reference_log_probs: Option<Tensor<2>>,
    /// Advantage of each token ("how loud").
    pub advantage: Tensor<2>,
    /// Share in [0, 1] with which each token takes part in the policy gradient ("who speaks").
    pub gate: Tensor<2>,
    /// True where a token is.
    pub response: Tensor<2, Bool>,
    /// Weight of a token of each row in the batch's reduction, `[responses, 1]`.
    pub weight: Tensor<2>,
}

/// The policy-gradient term of an objective.
pub trait PolicyLoss {
    /// The loss of every token, to be minimised, before gate and reduction.
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
    /// Where the ratio was held within its range.
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
}

impl PolicyLoss for BuiltInLoss {
    fn per_token(&self, input: &LossInput) -> TokenLoss {
        match self {
            Self::ClippedSurrogate(loss) => loss.per_token(input),
        }
    }
}

/// What is minimised besides the policy-gradient term, and how tokens are averaged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// How tokens are averaged. The average counts all response tokens, gated or not.
    pub reduction: Reduction,
    /// Coefficient of the mean negative log-probability of the sampled tokens. 0 leaves it out.
    ///
    /// The VPPO paper calls it an entropy penalty; it is a likelihood-raising proxy and not the entropy's gradient.
    #[serde(default)]
    pub entropy_penalty: f64,
    /// Pull towards a reference policy; `None` leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_kl: Option<ReferenceKl>,
}

/// The objective's value and parts, each a sum already weighted by the reduction.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// The value to be minimised; carries gradients. Shape `[1]`.
    pub total: Tensor<1>,
    /// `[surrogate, entropy proxy, reference KL, clipped high, clipped low, approximate KL]`, shape `[6]`; the last three
    /// are means over tokens under the same weights.
    pub parts: Tensor<1>,
}

impl Objective {
    /// Evaluates the objective, with `loss` as its policy-gradient term, on some rows.
    ///
    /// # Source
    /// VPPO, arXiv:2510.09285, equation 6 with the token mean of the released `verl/workers/actor/dp_actor.py`.
    ///
    /// # Panics
    /// If the objective has a reference KL and the input no reference log-probabilities.
    #[must_use]
    pub fn evaluate(&self, loss: &dyn PolicyLoss, input: &LossInput) -> LossOutput {
        let padding = input.response.clone().bool_not();
        let clean = |x: &Tensor<2>| x.clone().mask_fill(padding.clone(), 0.0);
        let input = &LossInput {
            log_probs: clean(&input.log_probs),
            old_log_probs: clean(&input.old_log_probs),
            reference_log_probs: input.reference_log_probs.as_ref().map(clean),
            advantage: clean(&input.advantage),
            gate: clean(&input.gate),
            ..input.clone()
        };
        let reduce = |x: Tensor<2>| (clean(&x) * input.weight.clone()).sum();
        let log_probs = input.log_probs.clone();

        let surrogate = loss.per_token(input);
        let policy = reduce(surrogate.loss * input.gate.clone());
        let proxy = reduce(log_probs.clone().neg());
        let mut total = policy.clone();
        if self.entropy_penalty != 0.0 {
            total = total + proxy.clone() * self.entropy_penalty;
        }
        let mut divergence = policy.zeros_like();
        if let Some(kl) = &self.reference_kl {
            let reference = input.reference_log_probs.clone().expect("the step scores the reference policy");
            divergence = reduce(kl.per_token(log_probs.clone(), reference));
            total = total + divergence.clone() * kl.coefficient;
        }
        let drift = reduce((input.old_log_probs.clone() - log_probs).detach());
        let high = reduce(surrogate.clipped_high.float());
        let low = reduce(surrogate.clipped_low.float());
        let parts = [policy, proxy, divergence, high, low, drift].map(Tensor::detach).to_vec();
        LossOutput { total, parts: Tensor::cat(parts, 0) }
    }
}
