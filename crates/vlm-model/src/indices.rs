//! Index lists on a device.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Uploads a list of indices.
pub(crate) fn index_tensor(indices: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    Tensor::from_data(TensorData::new(values, [indices.len()]), device)
}
