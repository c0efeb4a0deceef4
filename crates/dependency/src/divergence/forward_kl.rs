//! The KL divergence over the whole vocabulary.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Divergence, in_f32};

/// `KL(clean || contrast)`: how surprising the clean prediction is to one who sees the contrast.
///
/// Does not read which token was sampled.
///
/// # Source
/// VPPO, arXiv:2510.09285, equation 3; PGPO, arXiv:2604.01840, equation 1. Both papers' code computes [`SampledK3`] instead.
///
/// [`SampledK3`]: crate::SampledK3
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardKl {}

impl Divergence for ForwardKl {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, _sampled: Tensor<1, Int>) -> Tensor<1> {
        forward_kl(clean, contrast)
    }
}

/// `KL(clean || contrast)` of two next-token distributions, in nats.
///
/// Outcomes of probability 0 under `clean` contribute 0. Infinite where `contrast` gives probability 0 to an outcome that
/// `clean` finds possible; that takes a logit of negative infinity, for logits up to 1e4 in magnitude it is finite. Accurate to
/// about 1e-6, which is what cancellation in f32 leaves.
///
/// # Shapes
/// - `clean`, `contrast`: `[tokens, vocab]`, logits, any float dtype; reduced in f32
/// - returns `[tokens]`, f32, at least 0
///
/// # Panics
/// If the shapes differ.
pub fn forward_kl(clean: Tensor<2>, contrast: Tensor<2>) -> Tensor<1> {
    kernels::forward_kl(in_f32(clean), in_f32(contrast))
}
