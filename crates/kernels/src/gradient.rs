//! What is done to a gradient as a whole: shares are added to it, it is measured and scaled.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{AllocationProperty, FloatDType, Tensor};
use rayon::prelude::*;

use crate::host::{Host, TASK, in_dtype, in_order, is_plain, tensor, values, vectorized};

/// The sum of both, of one shape, in the place of `sum` if nothing else holds it and in its dtype.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn accumulate<const D: usize>(sum: Tensor<D>, share: Tensor<D>) -> Tensor<D> {
    assert_eq!(sum.dims(), share.dims(), "shapes of a sum and of its share");
    if is_plain(&sum) && is_plain(&share) {
        return Tensor::from_dispatch(<Dispatch as Gradient>::accumulate(sum.into_dispatch(), share.into_dispatch()));
    }
    let dtype = sum.dtype();
    sum + in_dtype(share, dtype)
}

/// All values times `factor`, in their place if nothing else holds them.
#[must_use]
pub fn scale<const D: usize>(x: Tensor<D>, factor: f64) -> Tensor<D> {
    if is_plain(&x) {
        return Tensor::from_dispatch(<Dispatch as Gradient>::scale(x.into_dispatch(), factor));
    }
    x * factor
}

/// Sums of the squares of all values, each over some of them; not finite if a value of theirs is not, or too large.
///
/// # Shapes
/// - returns `[sums]`, in f32; a number of sums that depends on the shape alone
#[must_use]
pub fn square_sums<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    if is_plain(&x) {
        return Tensor::from_dispatch(<Dispatch as Gradient>::square_sums(x.into_dispatch()));
    }
    x.cast(FloatDType::F32).square().sum()
}

#[backend_extension(Flex)]
trait Gradient: Backend {
    fn accumulate(sum: FloatTensor<Self>, share: FloatTensor<Self>) -> FloatTensor<Self>;
    fn scale(x: FloatTensor<Self>, factor: f64) -> FloatTensor<Self>;
    fn square_sums(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Gradient for Flex {
    fn accumulate(sum: Host, share: Host) -> Host {
        let (mut sum, share) = (owned(sum), in_order(share));
        owned_values(&mut sum).par_chunks_mut(TASK).zip(values(&share).par_chunks(TASK)).for_each(|(sum, share)| {
            vectorized(
                #[inline(always)]
                || sum.iter_mut().zip(share).for_each(|(sum, share)| *sum += share),
            );
        });
        sum
    }

    fn scale(x: Host, factor: f64) -> Host {
        let mut x = owned(x);
        let factor = factor as f32;
        owned_values(&mut x).par_chunks_mut(TASK).for_each(|x| {
            vectorized(
                #[inline(always)]
                || x.iter_mut().for_each(|x| *x *= factor),
            );
        });
        x
    }

    fn square_sums(x: Host) -> Host {
        let x = in_order(x);
        let sums: Vec<f32> = values(&x)
            .par_chunks(TASK)
            .map(|x| {
                vectorized(
                    #[inline(always)]
                    || square_sum(x),
                )
            })
            .collect();
        let count = sums.len();
        tensor(sums, [count])
    }
}

/// In f64, so that small values count beside large ones.
#[inline(always)]
fn square_sum(x: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0_f64; LANES];
    let parts = x.chunks_exact(LANES);
    let square = |x: f32| f64::from(x) * f64::from(x);
    let rest: f64 = parts.remainder().iter().map(|&x| square(x)).sum();
    for part in parts {
        for lane in 0..LANES {
            lanes[lane] += square(part[lane]);
        }
    }
    (lanes.iter().sum::<f64>() + rest) as f32
}

/// The same values in row-major order, in memory that nothing else holds: the tensor itself if that is so. A mapped file is
/// left: writing to its memory would keep both it and a copy.
pub(crate) fn owned(x: Host) -> Host {
    let is_mapped = x.data_arc().property() == AllocationProperty::File;
    if x.is_unique() && x.as_slice::<f32>().is_some() && !is_mapped {
        return x;
    }
    let x = in_order(x);
    let mut copy = vec![0.0; values(&x).len()];
    copy.par_chunks_mut(TASK).zip(values(&x).par_chunks(TASK)).for_each(|(copy, x)| copy.copy_from_slice(x));
    tensor(copy, x.layout().shape().clone())
}

/// The values of a tensor made by [`owned`].
///
/// # Panics
/// If it was not.
pub(crate) fn owned_values(x: &mut Host) -> &mut [f32] {
    let (start, end) = x.layout().contiguous_offsets().expect("values in row-major order");
    &mut x.try_storage_mut::<f32>().expect("values with one owner")[start..end]
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bytes, DType, TensorData};

    use super::*;

    #[test]
    fn values_stay_in_their_place_unless_they_are_shared() {
        let x = tensor(vec![1.0, 2.0, 3.0, 4.0], [2, 2]);
        let place = values(&x).as_ptr();
        let x = Flex::scale(x, 2.0);
        assert_eq!((values(&x).as_ptr(), values(&x)), (place, [2.0, 4.0, 6.0, 8.0].as_slice()));
        let view = x.transpose(0, 1);
        let doubled = Flex::scale(view.clone(), 2.0);
        assert_ne!(values(&doubled).as_ptr(), place);
        assert_eq!(values(&doubled), [4.0, 12.0, 8.0, 16.0]);
        let sum = Flex::accumulate(x, view);
        assert_eq!(values(&sum), [4.0, 10.0, 10.0, 16.0]);
        assert_ne!(values(&sum).as_ptr(), place);
    }

    #[test]
    fn a_mapped_file_is_left_for_memory_of_its_own() {
        let file = bytes::Bytes::from(1.0_f32.to_ne_bytes().repeat(4));
        let data = Bytes::from_shared(file.clone(), AllocationProperty::File);
        let x = Host::from_data(TensorData::from_bytes(data, [4], DType::F32));
        assert_eq!(values(&x).as_ptr().cast(), file.as_ptr());
        let scaled = Flex::scale(x, 3.0);
        assert_eq!(values(&scaled), [3.0; 4]);
        assert_ne!(scaled.data_arc().property(), AllocationProperty::File);
    }
}
