//! The plainest estimate of the KL divergence that needs the sampled token only.

use burn::tensor::{FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Divergence, SampledDivergence, of_sampled, within};
use crate::Positive;

/// The clean log-probability of the sampled token less the contrast's; negative where the contrast finds the token likelier.
///
/// Unbiased for `KL(clean || contrast)` if the token was sampled from the clean prediction. Infinite where one of the two
/// predictions gives the token probability 0, not a number where both do.
///
/// # Source
/// J. Schulman, "Approximating KL Divergence" (2020), estimator k1; `kl` in the released VPPO code
/// (`verl/trainer/core_algos.py`), which does not limit it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampledK1 {
    /// The result is taken into `-cap..=cap` (nats); not limited if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<Positive>,
}

impl Divergence for SampledK1 {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1> {
        let (clean, contrast) = of_sampled(clean, contrast, &sampled);
        self.between(clean, contrast)
    }

    fn of_sampled(&self) -> Option<&dyn SampledDivergence> {
        Some(self)
    }
}

impl SampledDivergence for SampledK1 {
    fn of_log_probs(&self, clean: Tensor<1>, contrast: Tensor<1>) -> Tensor<1> {
        self.between(clean, contrast)
    }
}

impl SampledK1 {
    /// The same from log-probabilities of the sampled tokens, where logits are not at hand.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: the same shape, any float dtype; reduced in f32
    /// - returns that shape, f32
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn between<const D: usize>(&self, clean: Tensor<D>, contrast: Tensor<D>) -> Tensor<D> {
        within(clean.cast(FloatDType::F32) - contrast.cast(FloatDType::F32), self.cap)
    }
}
