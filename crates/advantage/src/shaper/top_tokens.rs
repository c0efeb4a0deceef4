//! The highest-scoring tokens of every response.

use burn::tensor::{Bool, Tensor};

use super::by_length::by_length;
use crate::Fraction;

/// True on the `share` of each response's tokens with the highest scores: `[responses, tokens]`.
///
/// Of a response of `n` tokens exactly `ceil(share * n)`. Of equal scores the earlier token is taken; a score that is not a
/// number ranks with negative infinity. The last score to be taken is found by sorting, which devices without a sorting
/// kernel do on the host.
pub(super) fn top_tokens(scores: &Tensor<2>, response: &Tensor<2, Bool>, share: Fraction) -> Tensor<2, Bool> {
    let last = scores.clone().is_nan().bool_or(response.clone().bool_not());
    let scores = scores.clone().mask_fill(last, f32::NEG_INFINITY);

    let count = by_length(response, |length| ceiling(share, length));
    let rank_of_last = count.clone().sub_scalar(1).clamp_min(0);
    let threshold = scores.clone().sort_descending(1).gather(1, rank_of_last).expand(response.dims());
    let above = scores.clone().greater(threshold.clone());
    let level = scores.equal(threshold).bool_and(response.clone());
    let room = (count - above.clone().int().sum_dim(1)).expand(response.dims());
    let first_ones = level.clone().int().cumsum(1).lower_equal(room);
    above.bool_or(level.bool_and(first_ones))
}

/// `ceil(share * length)`, unmoved by the rounding error of `share`.
fn ceiling(share: Fraction, length: usize) -> usize {
    (share.value() * length as f64 - 1e-9).ceil().max(0.0) as usize
}
