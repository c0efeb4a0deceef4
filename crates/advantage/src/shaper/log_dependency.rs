//! Where each token's dependency stands within its response.

use burn::tensor::{Bool, Tensor};

use crate::{CreditError, Evidence};

/// Keeps denominators above 0.
pub(super) const EPSILON: f64 = 1e-8;

/// `log(1 + dependency)`, which tames its heavy tail, seen from the least dependent token of the response.
pub(super) struct LogDependency {
    /// How far each token stands above the lowest of its response: `[responses, tokens]`, anything on padding.
    pub(super) above: Tensor<2>,
    /// How far the highest stands above the lowest: `[responses, 1]`, below 0 without tokens.
    pub(super) range: Tensor<2>,
    /// True on all tokens of responses in which one has no finite logarithm: `[responses, tokens]`.
    pub(super) unknown: Tensor<2, Bool>,
}

impl LogDependency {
    /// Reads the dependency in the name of `shaper`.
    pub(super) fn new(evidence: &Evidence, shaper: &'static str) -> Result<Self, CreditError> {
        let response = evidence.response();
        let padding = response.clone().bool_not();
        let log = evidence.dependency(shaper)?.clone().log1p();
        let lowest = log.clone().mask_fill(padding.clone(), f32::MAX).min_dim(1);
        let highest = log.clone().mask_fill(padding, f32::MIN).max_dim(1);
        let not_finite = log.clone().is_finite().bool_not().bool_and(response.clone());
        let unknown = not_finite.any_dim(1).expand(response.dims()).bool_and(response.clone());
        Ok(Self { above: log - lowest.clone(), range: highest - lowest, unknown })
    }

    /// The dependency rescaled to `0..=1` within each response: `[responses, tokens]`; 0 where all are equal.
    pub(super) fn rescaled(&self) -> Tensor<2> {
        self.above.clone() / (self.range.clone() + EPSILON)
    }
}
