//! Implicit perception: the policy is drawn away from what it says without seeing the image well.

use advantage::NonNegative;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::reference_kl::k3;

/// The perception terms of PAPO: `− coefficient · KL + masked_entropy · H`.
///
/// `KL` is the mean k3 estimate of the divergence of the current policy, which carries gradients, from the policy that sampled
/// under the recipe's first contrast, which is a constant; it is maximised. `H` is the mean negative log-probability of the
/// tokens under that contrast. The other half of PAPO's double entropy, that of the current policy on the image as it is, is
/// [`super::Objective::entropy_penalty`].
///
/// Responses to a prompt without an image have no part in `KL`, but count in the denominator of its mean.
///
/// # Source
/// PAPO, arXiv:2507.06448, as released (`dp_actor.py`): k3's log-ratio is clamped to ±20 and its value to ±10. The coefficients
/// of its runs are 0.01 to 0.02 and 0.03 to 0.05; its authors call a `coefficient` of 0.04 prone to collapse.
///
/// # Departures
/// The paper prints the ratio within k3 the other way round; this is the released code's, the one that estimates the
/// divergence. `H` is a constant, as in the released code, and changes the reported loss only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImplicitPerception {
    /// Factor of the divergence (the paper's gamma).
    pub coefficient: NonNegative,
    /// Factor of the contrast's entropy (the paper's second eta).
    pub masked_entropy: NonNegative,
}

impl ImplicitPerception {
    /// The divergence at each token.
    pub(super) fn divergence(log_probs: Tensor<2>, contrast: Tensor<2>) -> Tensor<2> {
        k3(contrast.detach() - log_probs)
    }
}
