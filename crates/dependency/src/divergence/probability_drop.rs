//! How much probability the sampled token loses.

use burn::tensor::{FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Divergence, SampledDivergence, of_sampled};

/// The clean probability of the sampled token less the contrast's: a share in `-1..=1`, not nats.
///
/// Negative where the contrast finds the token likelier. Probabilities of 0 are probabilities like any other: two of them
/// give 0.
///
/// # Source
/// VPPO, arXiv:2510.09285, table 12, where it does worse than the divergences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbabilityDrop {}

impl Divergence for ProbabilityDrop {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1> {
        let (clean, contrast) = of_sampled(clean, contrast, &sampled);
        self.between(clean, contrast)
    }

    fn of_sampled(&self) -> Option<&dyn SampledDivergence> {
        Some(self)
    }
}

impl SampledDivergence for ProbabilityDrop {
    fn of_log_probs(&self, clean: Tensor<1>, contrast: Tensor<1>) -> Tensor<1> {
        self.between(clean, contrast)
    }
}

impl ProbabilityDrop {
    /// The same from log-probabilities of the sampled tokens, where logits are not at hand.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: the same shape, any float dtype; reduced in f32
    /// - returns that shape, f32
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn between<const D: usize>(&self, clean: Tensor<D>, contrast: Tensor<D>) -> Tensor<D> {
        clean.cast(FloatDType::F32).exp() - contrast.cast(FloatDType::F32).exp()
    }
}
