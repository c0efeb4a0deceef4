//! Root finding without leaving the device.

use burn::tensor::{Bool, Tensor};

/// An interval as wide as 100 shrinks to 2e-8, less than f32 resolves above 1/4.
const HALVINGS: usize = 32;

/// The point between `low` and `high` up to which every row's point is too low: `[responses, 1]`, as are all arguments.
///
/// `too_low` must not turn true again above a point where it is false. Where it is nowhere false the answer is exactly
/// `high`. The number of halvings is fixed, so that no value is read on the host.
pub(super) fn bisect(
    mut low: Tensor<2>,
    mut high: Tensor<2>,
    too_low: impl Fn(Tensor<2>) -> Tensor<2, Bool>,
) -> Tensor<2> {
    for _ in 0..HALVINGS {
        let middle = (low.clone() + high.clone()) * 0.5;
        let rise = too_low(middle.clone());
        low = low.mask_where(rise.clone(), middle.clone());
        high = middle.mask_where(rise, high);
    }
    high
}
