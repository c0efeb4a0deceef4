//! Whitening: mean 0 and deviation 1 over all response tokens of a batch.

use burn::tensor::Tensor;

use crate::Evidence;

/// Added to the variance, and to the count that divides the mean.
const EPSILON: f64 = 1e-8;

/// `(value - mean) / sqrt(variance + 1e-8)` over all response tokens: `[responses, tokens]`, 0 on padding.
///
/// The variance divides by tokens - 1, or by 1 if there is a single token. As in the released code, the mean divides by
/// tokens + 1e-8; it therefore falls short by a trifle, which is all that is left where all values are equal. One value that
/// is not finite leaves no finite value in the batch.
///
/// # Source
/// `masked_whiten` in `verl/utils/torch_functional.py` of the released VPPO code, arXiv:2510.09285.
pub(super) fn whitened(values: Tensor<2>, evidence: &Evidence) -> Tensor<2> {
    let padding = evidence.response().clone().bool_not();
    let count = evidence.lengths().sum_dim(0);
    // Dividing before adding keeps the sums of large values finite.
    let over_tokens = |values: Tensor<2>, divisor: Tensor<2>| {
        (values / divisor).mask_fill(padding.clone(), 0.0).sum_dim(1).sum_dim(0)
    };
    // Counting from the lowest value costs no digits when values share an offset.
    let lowest = values.clone().mask_fill(padding.clone(), f32::MAX).min_dim(1).min_dim(0);
    let above = values - lowest.clone();
    let mean = over_tokens(above.clone(), count.clone());
    // Of the whole mean, but 1e-8 of what stands above the lowest is nothing beside the deviation.
    let shortfall = lowest * EPSILON / count.clone();
    let centered = above - mean + shortfall;
    let variance = over_tokens(centered.clone().square(), count.sub_scalar(1.0).clamp_min(1.0));
    (centered / (variance + EPSILON).sqrt()).mask_fill(padding.clone(), 0.0)
}
