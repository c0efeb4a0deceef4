//! Where each token's dependency stands within its response.

use burn::tensor::{Bool, Tensor};

use crate::{CreditError, Evidence};

/// Keeps denominators above 0.
pub(super) const EPSILON: f64 = 1e-8;

/// How far from 0 six terms of the logarithm's series reach: the seventh is below a digit of f32 there.
const SERIES_END: f64 = 1.0 / 16.0;

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
        let log = log_of_one_plus(evidence.dependency(shaper)?.clone());
        let lowest = log.clone().mask_fill(padding.clone(), f32::MAX).min_dim(1);
        let highest = log.clone().mask_fill(padding, f32::MIN).max_dim(1);
        let unknown = unknown(&log, response);
        Ok(Self { above: log - lowest.clone(), range: highest - lowest, unknown })
    }

    /// The dependency rescaled to `0..=1` within each response: `[responses, tokens]`; 0 where all are equal.
    pub(super) fn rescaled(&self) -> Tensor<2> {
        self.above.clone() / (self.range.clone() + EPSILON)
    }
}

/// All tokens of the responses that have a value which is not finite: `[responses, tokens]`.
pub(super) fn unknown(values: &Tensor<2>, response: &Tensor<2, Bool>) -> Tensor<2, Bool> {
    let not_finite = values.clone().is_finite().bool_not().bool_and(response.clone());
    not_finite.any_dim(1).expand(response.dims()).bool_and(response.clone())
}

/// `log(1 + x)` to the last digits of an `x` near 0 too.
///
/// Some devices form `1 + x` first, which loses every dependency below 1e-7; near 0 stands the series instead. Where it is cut
/// off it is 1e-8 of its value away.
fn log_of_one_plus(x: Tensor<2>) -> Tensor<2> {
    let far = x.clone().abs().lower_scalar(SERIES_END).bool_not();
    let tail = [5.0, 4.0, 3.0, 2.0, 1.0]
        .into_iter()
        .fold(x.full_like(1.0 / 6.0), |sum, n: f64| (x.clone() * sum).neg() + n.recip());
    (x.clone() * tail).mask_where(far, x.log1p())
}
