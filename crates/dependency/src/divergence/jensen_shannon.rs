//! The Jensen-Shannon divergence over the whole vocabulary.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Divergence, in_f32};

/// Mean divergence of the clean and the contrast prediction from their mixture; symmetric, at most `log(2)`.
///
/// Does not read which token was sampled.
///
/// # Source
/// VPPO, arXiv:2510.09285, table 12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JensenShannon {}

impl Divergence for JensenShannon {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, _sampled: Tensor<1, Int>) -> Tensor<1> {
        jensen_shannon(clean, contrast)
    }
}

/// Jensen-Shannon divergence of two next-token distributions, in nats.
///
/// With `m = (p + q) / 2`, `log(p / m)` is `log(2) + log_sigmoid(log p - log q)`: no probability is ever divided or
/// taken the logarithm of, so nothing underflows. Outcomes of probability 0 are allowed on either side.
///
/// # Shapes
/// - `clean`, `contrast`: `[tokens, vocab]`, logits, any float dtype; reduced in f32
/// - returns `[tokens]`, f32, in `0..=log(2)` up to rounding
///
/// # Panics
/// If the shapes differ.
pub fn jensen_shannon(clean: Tensor<2>, contrast: Tensor<2>) -> Tensor<1> {
    kernels::jensen_shannon(in_f32(clean), in_f32(contrast))
}
