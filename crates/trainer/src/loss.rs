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
/// All `[responses, tokens]`; what stands in the padding is never read.
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

/// The whole objective: clipped surrogate, entropy penalty and reference KL under one reduction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// The policy-gradient term.
    pub surrogate: ClippedSurrogate,
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
    /// Evaluates the objective on some rows.
    ///
    /// # Source
    /// VPPO, arXiv:2510.09285, equation 6 with the token mean of the released `verl/workers/actor/dp_actor.py`.
    ///
    /// # Panics
    /// If the objective has a reference KL and the input no reference log-probabilities.
    #[must_use]
    pub fn evaluate(&self, input: &LossInput) -> LossOutput {
        let padding = input.response.clone().bool_not();
        let clean = |x: Tensor<2>| x.mask_fill(padding.clone(), 0.0);
        let reduce = |x: Tensor<2>| (clean(x) * input.weight.clone()).sum();
        let log_probs = clean(input.log_probs.clone());
        let old = clean(input.old_log_probs.clone());

        let surrogate = self.surrogate.per_token(log_probs.clone() - old.clone(), clean(input.advantage.clone()));
        let policy = reduce(surrogate.loss * clean(input.gate.clone()));
        let proxy = reduce(log_probs.clone().neg());
        let mut total = policy.clone();
        if self.entropy_penalty != 0.0 {
            total = total + proxy.clone() * self.entropy_penalty;
        }
        let mut divergence = policy.zeros_like();
        if let Some(kl) = &self.reference_kl {
            let reference = input.reference_log_probs.clone().expect("the step scores the reference policy");
            divergence = reduce(kl.per_token(log_probs.clone(), clean(reference)));
            total = total + divergence.clone() * kl.coefficient;
        }
        let drift = reduce((old - log_probs).detach());
        let high = reduce(surrogate.clipped_high.float());
        let low = reduce(surrogate.clipped_low.float());
        let parts = [policy, proxy, divergence, high, low, drift].map(Tensor::detach).to_vec();
        LossOutput { total, parts: Tensor::cat(parts, 0) }
    }
}
