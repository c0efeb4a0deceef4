//! Numbers that a response's length decides.

use burn::tensor::{Bool, Int, Tensor};

use crate::groups::indices;

/// What `of` makes of the number of tokens of every response: `[responses, 1]`.
///
/// Computed on the host in full precision for every length that the mask allows, and looked up on the device.
pub(super) fn by_length(response: &Tensor<2, Bool>, of: impl Fn(usize) -> usize) -> Tensor<2, Int> {
    let [responses, tokens] = response.dims();
    let table = (0..=tokens).map(of).collect();
    let lengths = response.clone().int().sum_dim(1).reshape([responses]);
    indices(table, &response.device()).select(0, lengths).unsqueeze_dim(1)
}
