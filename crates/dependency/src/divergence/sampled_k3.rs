//! An estimate of the KL divergence that needs the sampled token only.

use burn::tensor::{FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Divergence, SampledDivergence, of_sampled, within};
use crate::Positive;

/// `exp(d) - 1 - d`, where `d` is the contrast's log-probability of the sampled token less the clean one's.
///
/// At least 0, and unbiased for `KL(clean || contrast)` if the token was sampled from the clean prediction. It grows much faster
/// where the contrast finds the token likelier (`d > 0`) than where it finds it less likely. Where `d` is not a number, as for
/// two log-probabilities of negative infinity, neither is the result.
///
/// # Source
/// J. Schulman, "Approximating KL Divergence" (2020), estimator k3; VPPO, arXiv:2510.09285, appendix B, with the clamps of its
/// released code (`verl/workers/actor/dp_actor.py`, where it goes by "low-variance KL"); PGPO, arXiv:2604.01840, appendix A.1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampledK3 {
    /// `d` is taken into `-difference_clamp..=difference_clamp` (nats).
    pub difference_clamp: Positive,
    /// The result is at most this (nats).
    pub cap: Positive,
}

impl Default for SampledK3 {
    fn default() -> Self {
        Self { difference_clamp: const { Positive::literal(20.0) }, cap: const { Positive::literal(10.0) } }
    }
}

impl Divergence for SampledK3 {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1> {
        let (clean, contrast) = of_sampled(clean, contrast, &sampled);
        self.between(clean, contrast)
    }

    fn of_sampled(&self) -> Option<&dyn SampledDivergence> {
        Some(self)
    }
}

impl SampledDivergence for SampledK3 {
    fn of_log_probs(&self, clean: Tensor<1>, contrast: Tensor<1>) -> Tensor<1> {
        self.between(clean, contrast)
    }
}

impl SampledK3 {
    /// The same from log-probabilities of the sampled tokens, where logits are not at hand.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: the same shape, any float dtype; reduced in f32
    /// - returns that shape, f32
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn between<const D: usize>(&self, clean: Tensor<D>, contrast: Tensor<D>) -> Tensor<D> {
        let difference = contrast.cast(FloatDType::F32) - clean.cast(FloatDType::F32);
        let difference = within(difference, Some(self.difference_clamp));
        within(excess_of_exp(difference), Some(self.cap))
    }
}

/// `exp(d) - 1 - d`, accurate to a few units in the last place for every `d` whose exponential is finite.
///
/// Near 0 the difference cancels, so within 1 its Taylor series is summed, `d^2/2 (1 + d/3 (1 + d/4 (...)))`; the first term
/// left out is 5e-8 of the sum.
fn excess_of_exp<const D: usize>(d: Tensor<D>) -> Tensor<D> {
    const LAST_POWER: i32 = 10;
    let near = d.clone().abs().lower_scalar(1.0);
    let series = (3..=LAST_POWER).rev().fold(d.ones_like(), |tail, power| tail * d.clone() / power + 1.0);
    let series = series * d.clone().square() * 0.5;
    let direct = d.clone().exp() - 1.0 - d;
    direct.mask_where(near, series)
}
