//! The size of a difference of log-probabilities.

use burn::tensor::{FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Divergence, SampledDivergence, of_sampled, within};
use crate::Positive;

/// How far apart the two log-probabilities of the sampled token are, whichever is higher.
///
/// At least 0. Infinite where one of the predictions gives the token probability 0, not a number where both do.
///
/// # Source
/// `abs` in the released VPPO code (`verl/trainer/core_algos.py`), which does not limit it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampledAbsolute {
    /// The result is at most this (nats); not limited if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<Positive>,
}

impl Divergence for SampledAbsolute {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1> {
        let (clean, contrast) = of_sampled(clean, contrast, &sampled);
        self.between(clean, contrast)
    }

    fn of_sampled(&self) -> Option<&dyn SampledDivergence> {
        Some(self)
    }
}

impl SampledDivergence for SampledAbsolute {
    fn of_log_probs(&self, clean: Tensor<1>, contrast: Tensor<1>) -> Tensor<1> {
        self.between(clean, contrast)
    }
}

impl SampledAbsolute {
    /// The same from log-probabilities of the sampled tokens, where logits are not at hand.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: the same shape, any float dtype; reduced in f32
    /// - returns that shape, f32
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn between<const D: usize>(&self, clean: Tensor<D>, contrast: Tensor<D>) -> Tensor<D> {
        within((contrast.cast(FloatDType::F32) - clean.cast(FloatDType::F32)).abs(), self.cap)
    }
}
