//! The fused normalization is the composed one.

mod laws;

use burn::tensor::Tensor;
use laws::{assert_equal, assert_same_gradients, double, normal};
use proptest::prelude::*;

fn composed(x: Tensor<2>, scale: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let factor = (x.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    x * factor * scale.unsqueeze()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn equals_the_composition(rows in 1_usize..70, width in 1_usize..600, seed: u64) {
        let (x, scale) = (normal([rows, width], seed), normal([width], seed.wrapping_add(1)));
        let expected = composed(x.clone(), scale.clone(), 1e-6);
        assert_equal(kernels::rms_norm(x.clone(), scale.clone(), 1e-6), expected.clone(), 1e-5);
        // Reduced in f32 whatever the inputs are.
        assert_equal(kernels::rms_norm(double(&x), double(&scale), 1e-6), double(&expected), 1e-5);
    }

    /// In a row of one value the gradient is a difference of terms up to `1 / √ε` times as large as itself, whose roundings would be
    /// all that is compared; a larger `ε` bounds them.
    #[test]
    fn has_the_gradients_of_the_composition(rows in 1_usize..70, width in 1_usize..600, seed: u64) {
        let epsilon = if width == 1 { 1e-2 } else { 1e-6 };
        let inputs = (normal([rows, width], seed), normal([width], seed.wrapping_add(1)));
        assert_same_gradients(
            &inputs.0, &inputs.1,
            |x, scale| kernels::rms_norm(x, scale, epsilon),
            |x, scale| composed(x, scale, epsilon),
            1e-4,
        );
    }
}
