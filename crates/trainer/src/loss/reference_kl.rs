//! Pull of the policy towards a reference policy.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Estimate of `KL(policy ‖ reference)` from the sampled token, with `d = log reference − log policy`.
///
/// # Source
/// Schulman, "Approximating KL divergence" (2020); clamps as in the released code (`core_algos.py`, `compute_kl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KlEstimator {
    /// `−d`.
    K1,
    /// `d² / 2`.
    K2,
    /// `eᵈ − d − 1` with `d` clamped to ±20 and the value to ±10.
    K3,
}

/// The reference-KL term.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceKl {
    /// The estimate.
    pub estimator: KlEstimator,
    /// Factor of the term in the loss.
    pub coefficient: f64,
}

impl ReferenceKl {
    pub(crate) fn per_token(&self, log_probs: Tensor<2>, reference: Tensor<2>) -> Tensor<2> {
        let difference = reference - log_probs;
        match self.estimator {
            KlEstimator::K1 => difference.neg(),
            KlEstimator::K2 => difference.square() / 2.0,
            KlEstimator::K3 => {
                let difference = difference.clamp(-20.0, 20.0);
                (difference.clone().exp() - difference - 1.0).clamp(-10.0, 10.0)
            }
        }
    }
}
