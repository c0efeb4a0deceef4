//! What the laws share: inputs, and how two computations are compared.
//!
//! Inputs are of about unit size, so f32 rounds each operation by 6e-8. Element-wise operations are allowed some twenty
//! roundings (1e-6), sums of up to a few hundred products in another order 1e-5, and gradients that pass through two such
//! sums, or a root of one, up to ten times that.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Random values of about unit size.
pub(crate) fn normal<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    // A sum of uniform numbers is normal enough.
    let value = |_| (0..4).map(|_| random.random::<f32>() - 0.5).sum::<f32>() * 1.7;
    let values: Vec<f32> = (0..count).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

/// The same in f64, which no fused kernel takes, so that the composition computes it.
pub(crate) fn double<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().cast(FloatDType::F64)
}

/// Asserts that the largest difference is at most `tolerance` times the largest value, or times a tenth of the inputs' size.
#[track_caller]
pub(crate) fn assert_equal<const D: usize>(found: Tensor<D>, expected: Tensor<D>, tolerance: f64) {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (found.into_data(), expected.into_data());
    let size = expected.iter::<f64>().map(f64::abs).fold(0.1, f64::max);
    let difference = found.iter::<f64>().zip(expected.iter::<f64>()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(difference <= tolerance * size, "{difference:e} beside values of {size:e}");
}

/// Asserts that two functions have the same gradients with respect to both inputs, for a random weighting of the output, and for
/// one under which most of its rows count for nothing: all of the first half, and two of three in the second.
#[track_caller]
pub(crate) fn assert_same_gradients<const A: usize, const B: usize, const O: usize>(
    a: &Tensor<A>,
    b: &Tensor<B>,
    found: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<O>,
    expected: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<O>,
    tolerance: f64,
) {
    let gradients = |f: &dyn Fn(Tensor<A>, Tensor<B>) -> Tensor<O>, all: bool| {
        let (a, b) = (a.clone().autodiff().require_grad(), b.clone().autodiff().require_grad());
        let output = f(a.clone(), b.clone());
        let rows = output.dims()[0];
        let counts = (0..rows)
            .map(|row| f32::from(u8::from(all || (2 * row >= rows && (rows - 1 - row).is_multiple_of(3)))))
            .collect();
        let mut shape = [1; O];
        shape[0] = rows;
        let counts = Tensor::<O>::from_data(TensorData::new::<f32, _>(counts, shape), &Device::default());
        let weights = (normal(output.dims(), 77) * counts).autodiff();
        let found = (output * weights).sum().backward();
        (a.grad(&found).expect("a gradient"), b.grad(&found).expect("a gradient"))
    };
    for all in [true, false] {
        let (found, expected) = (gradients(&found, all), gradients(&expected, all));
        assert_equal(found.0, expected.0, tolerance);
        assert_equal(found.1, expected.1, tolerance);
    }
}
