//! Weights that fill a response up to its length, none above a cap.

use burn::tensor::Tensor;

use super::bisection::bisect;
use crate::AtLeastOne;

/// Cuts weights at `cap` and scales all others up alike, so that they still sum to the length of their response.
///
/// That is `min(scale * weight, cap)` with one scale per response. Where even the cap on every weight above 0 does not make
/// up the length, these all get the cap and the sum falls short.
///
/// # Shapes
/// - `weight`: `[responses, tokens]`, at least 0, summing to the length of the response, 0 on padding
/// - `lengths`: `[responses, 1]`
/// - returns `[responses, tokens]`, 0 on padding
pub(super) fn water_filled(weight: Tensor<2>, lengths: &Tensor<2>, cap: AtLeastOne) -> Tensor<2> {
    // No weight exceeds the length of its response, so that a cap above the longest one changes nothing.
    let cap = cap.value().min(weight.dims()[1] as f64);
    let silent = weight.clone().lower_equal_scalar(0.0);
    // In logarithms no scale is too large for f32: weights as far apart as 1e-38 and 1e3 stand within 100 of each other.
    let level = weight.clamp_min(f32::MIN_POSITIVE).log() - cap.ln();
    let filled = |rise: Tensor<2>| ((level.clone() + rise).clamp_max(0.0).exp() * cap).mask_fill(silent.clone(), 0.0);

    let all_at_the_cap = level.clone().mask_fill(silent.clone(), 0.0).min_dim(1).neg();
    let rise = bisect(lengths.zeros_like(), all_at_the_cap, |rise| filled(rise).sum_dim(1).lower(lengths.clone()));
    filled(rise)
}
