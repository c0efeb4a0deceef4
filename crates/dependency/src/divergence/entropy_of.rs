//! How undecided one of the two predictions is.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Divergence, entropy};

/// The Shannon entropy of one of the two predictions: a signal rather than a divergence.
///
/// It compares nothing. It stands here because it is made from the same logits as the divergences, so it costs no further
/// pass; read it beside them, or select tokens by it. In `0..=log(vocab)` up to rounding. Does not read which token was
/// sampled.
///
/// # Source
/// VPPO, arXiv:2510.09285, compares its selection of tokens with one by entropy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntropyOf {
    /// Whose entropy.
    pub of: Side,
}

/// One of two predictions that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The first, as a rule from the image as it is.
    Clean,
    /// The second, from changed evidence.
    Contrast,
}

impl Divergence for EntropyOf {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, _sampled: Tensor<1, Int>) -> Tensor<1> {
        entropy(match self.of {
            Side::Clean => clean,
            Side::Contrast => contrast,
        })
    }
}
