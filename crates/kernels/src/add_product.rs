//! The gradient of a weight, summed over parts of a batch in one place.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::gradient::accumulate;
use crate::host::{Host, in_order, is_plain, values};
use crate::matrix::{Matrix, multiply};

/// Rows of the sum that one task adds to.
const BAND: usize = 256;

/// `sum + aᵀ b`, in the dtype of the sum. On the CPU nothing of the sum's size is made besides it, if nobody else holds it.
///
/// # Shapes
/// - `sum`: `[outputs, inputs]`
/// - `a`: `[rows, outputs]`
/// - `b`: `[rows, inputs]`
/// - returns `[outputs, inputs]`
///
/// # Panics
/// If the shapes do not fit.
#[must_use]
pub fn add_product(sum: Tensor<2>, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let ([rows, outputs], [others, inputs]) = (a.dims(), b.dims());
    assert_eq!((sum.dims(), rows), ([outputs, inputs], others), "shapes of a sum and what is added");
    if is_plain(&sum) && is_plain(&a) && is_plain(&b) {
        let (sum, a, b) = (sum.into_dispatch(), a.into_dispatch(), b.into_dispatch());
        return Tensor::from_dispatch(<Dispatch as AddProduct>::add_product(sum, a, b));
    }
    accumulate(sum, a.transpose().matmul(b))
}

#[backend_extension(Flex)]
trait AddProduct: Backend {
    fn add_product(sum: FloatTensor<Self>, a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl AddProduct for Flex {
    fn add_product(sum: Host, a: Host, b: Host) -> Host {
        let (mut sum, a, b) = (in_order(sum), in_order(a), in_order(b));
        let (outputs, inputs) = (sum.layout().shape()[0], sum.layout().shape()[1]);
        let rows = a.layout().shape()[0];
        if rows * outputs * inputs == 0 {
            return sum;
        }
        let (a, b) = (values(&a), values(&b));
        let (start, end) = sum.layout().contiguous_offsets().expect("row-major order");
        // Copies if somebody else holds the memory.
        let total = &mut sum.storage_mut::<f32>()[start..end];
        total.par_chunks_mut(BAND * inputs).enumerate().for_each(|(band, total)| {
            let a = Matrix::new(&a[band * BAND..], rows, total.len() / inputs, outputs);
            multiply(total, inputs, true, a.transposed(), Matrix::new(b, rows, inputs, inputs));
        });
        sum
    }
}
