//! Pull of the policy towards a reference policy.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How `KL(policy ‖ reference)` is measured at a token, with `d = log reference − log policy` of the sampled token.
///
/// # Source
/// Schulman, "Approximating KL divergence" (2020); clamps as in the released code (`core_algos.py`, `compute_kl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KlEstimator {
    /// `−d`. Unbiased; its gradient as a loss term is that of `log policy` and knows nothing of the reference.
    K1,
    /// `d² / 2`. Biased; its gradient is an unbiased estimate of the divergence's.
    K2,
    /// `eᵈ − d − 1` with `d` clamped to ±20 and the value to ±10, beyond which there is no gradient. Unbiased, never negative.
    K3,
    /// No estimate: the divergence of the whole distributions, `Σ p (log p − log q)` over the vocabulary. Costs a pass of
    /// the reference policy in every update, and its logits a chunk at a time.
    Full,
}

impl KlEstimator {
    /// The estimate from the sampled tokens' log-probabilities; `None` if this is no estimate from them.
    pub(crate) fn sampled<const D: usize>(self, log_probs: Tensor<D>, reference: Tensor<D>) -> Option<Tensor<D>> {
        let difference = reference - log_probs;
        match self {
            Self::K1 => Some(difference.neg()),
            Self::K2 => Some(difference.square() / 2.0),
            Self::K3 => Some(k3(difference)),
            Self::Full => None,
        }
    }
}

pub(super) fn k3<const D: usize>(difference: Tensor<D>) -> Tensor<D> {
    let difference = difference.clamp(-20.0, 20.0);
    (difference.clone().exp() - difference - 1.0).clamp(-10.0, 10.0)
}

/// A divergence from a reference policy and what a nat of it costs: in the loss, or in the rewards of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceKl {
    /// How it is measured.
    pub estimator: KlEstimator,
    /// Its factor, finite.
    pub coefficient: f64,
}
