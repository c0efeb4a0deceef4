//! Fused element-wise operations and products are the composed ones.

#[path = "../laws/mod.rs"]
mod laws;
mod threads;

use burn::tensor::activation::silu;
use burn::tensor::{Device, FloatDType, Tensor};
use kernels::Addends;
use laws::{assert_equal, assert_same_gradients, double, normal};
use proptest::prelude::*;

fn rotated(x: Tensor<3>, cos: &Tensor<3>, sin: &Tensor<3>) -> Tensor<3> {
    let half = x.dims()[2] / 2;
    let (first, second) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
    let rotated_first = first.clone() * cos.clone() - second.clone() * sin.clone();
    Tensor::cat(vec![rotated_first, second * cos.clone() + first * sin.clone()], 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn gate(rows in 1_usize..70, width in 1_usize..600, seed: u64) {
        let (gate, up) = (normal([rows, width], seed), normal([width, rows], seed.wrapping_add(1)));
        // One input is a view that is not in row-major order.
        let composed = |gate: Tensor<2>, up: Tensor<2>| silu(gate) * up.transpose();
        let fused = |gate, up: Tensor<2>| kernels::swiglu(gate, up.transpose());
        assert_equal(fused(gate.clone(), up.clone()), composed(gate.clone(), up.clone()), 1e-6);
        assert_equal(fused(double(&gate), double(&up)), double(&composed(gate.clone(), up.clone())), 1e-6);
        assert_same_gradients(&gate, &up, fused, composed, 1e-6);
    }

    #[test]
    fn rotation(tokens in 1_usize..80, heads in 1_usize..6, half in 1_usize..40, seed: u64) {
        let x = normal([tokens, heads, 2 * half], seed);
        let angles = normal([tokens, 1, half], seed.wrapping_add(1)) * 10.0;
        let (cos, sin) = (angles.clone().cos(), angles.sin());
        assert_equal(kernels::rotate(x.clone(), &cos, &sin), rotated(x.clone(), &cos, &sin), 1e-6);
        let turned = kernels::rotate(double(&x), &double(&cos), &double(&sin));
        assert_equal(turned, double(&rotated(x.clone(), &cos, &sin)), 1e-6);
        let scale = normal([1, 1, 1], seed.wrapping_add(2));
        assert_same_gradients(
            &x, &scale,
            |x, scale| kernels::rotate(x * scale, &cos, &sin),
            |x, scale| rotated(x * scale, &cos, &sin),
            2e-5,
        );
    }

    /// Onto a sum that somebody else holds, too, which is left as it is.
    #[test]
    fn added_product(rows in 0_usize..40, inputs in 1_usize..70, outputs in 1_usize..600, seed: u64) {
        let sum = normal([outputs, inputs], seed);
        // One factor is a view that is not in row-major order.
        let (a, b) = (normal([outputs, rows], seed.wrapping_add(1)).transpose(), normal([rows, inputs], seed.wrapping_add(2)));
        let held = sum.clone();
        let composed = if rows == 0 { sum.clone() } else { sum.clone() + a.clone().transpose().matmul(b.clone()) };
        assert_equal(kernels::add_product(held.clone(), a.clone(), b.clone()), composed.clone(), 1e-5);
        assert_equal(held, sum.clone(), 0.0);
        let again = kernels::add_product(kernels::add_product(sum, a.clone(), b.clone()), a.neg(), b);
        assert_equal(again, composed.zeros_like() + normal([outputs, inputs], seed), 1e-5);
    }

    /// Below and above the number of rows that are multiplied one by one, with and without a remainder.
    #[test]
    fn product(rows in 0_usize..40, input in 1_usize..200, output in 1_usize..100, seed: u64) {
        let (x, weight) = (normal([rows, input], seed), normal([output, input], seed.wrapping_add(1)));
        let composed = |x: Tensor<2>, weight: Tensor<2>| x.matmul(weight.transpose());
        let fused = |x, weight| kernels::linear(x, weight, Addends::default());
        assert_equal(fused(x.clone(), weight.clone()), composed(x.clone(), weight.clone()), 1e-5);
        assert_equal(fused(double(&x), double(&weight)), double(&composed(x.clone(), weight.clone())), 1e-5);
        assert_same_gradients(&x, &weight, fused, composed, 1e-5);
    }

    /// A bias, a residual and both, which a product is added to.
    #[test]
    fn addends(rows in 0_usize..160, input in 1_usize..60, output in 1_usize..70, which in 1_usize..4, seed: u64) {
        let (x, weight) = (normal([rows, input], seed), normal([output, input], seed.wrapping_add(1)));
        // The residual is a view that is not in row-major order.
        let (bias, onto) = (normal([output], seed.wrapping_add(2)), normal([output, rows], seed.wrapping_add(3)));
        let addends = |bias: Tensor<1>, onto: Tensor<2>| Addends {
            bias: (which & 1 > 0).then_some(bias),
            onto: (which & 2 > 0).then_some(onto.transpose()),
        };
        let composed = |x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, onto: Tensor<2>| {
            let Addends { bias, onto } = addends(bias, onto);
            let product = x.matmul(weight.transpose());
            let product = bias.map_or(product.clone(), |bias| product + bias.unsqueeze());
            onto.map_or(product.clone(), |onto| product + onto)
        };
        let fused = |x, weight, bias, onto| kernels::linear(x, weight, addends(bias, onto));
        let found = fused(x.clone(), weight.clone(), bias.clone(), onto.clone());
        let expected = composed(x.clone(), weight.clone(), bias.clone(), onto.clone());
        assert_equal(found, expected.clone(), 1e-5);
        assert_equal(fused(double(&x), double(&weight), double(&bias), double(&onto)), double(&expected), 1e-5);
        // All four inputs are followed, two by two.
        let lift = |x: &Tensor<2>| x.clone().autodiff();
        assert_same_gradients(
            &x, &weight,
            |x, weight| fused(x, weight, bias.clone().autodiff(), lift(&onto)),
            |x, weight| composed(x, weight, bias.clone().autodiff(), lift(&onto)),
            1e-5,
        );
        // Nothing times an addend that is left out gives it a gradient of zeros.
        let zero = |x: Tensor<2>, bias: &Tensor<1>, onto: &Tensor<2>| {
            x + (bias.clone().sum() + onto.clone().sum()).unsqueeze() * 0.0
        };
        assert_same_gradients(
            &bias, &onto,
            |bias, onto| zero(fused(lift(&x), lift(&weight), bias.clone(), onto.clone()), &bias, &onto),
            |bias, onto| zero(composed(lift(&x), lift(&weight), bias.clone(), onto.clone()), &bias, &onto),
            1e-5,
        );
    }
}

/// Values and slopes are those of the exact function, which its approximation by a hyperbolic tangent misses by up to 5e-4.
#[test]
fn gelu_is_exact() {
    /// `x`, `x Φ(x)` and its derivative `Φ(x) + x φ(x)`, to nine places.
    const KNOWN: [[f64; 3]; 9] = [
        [-3.0, -0.004_049_694, -0.011_945_647],
        [-1.5, -0.100_210_802, -0.127_469_192],
        [-1.0, -0.158_655_254, -0.083_315_471],
        [-0.5, -0.154_268_769, 0.132_504_875],
        [0.0, 0.0, 0.5],
        [0.5, 0.345_731_231, 0.867_495_125],
        [1.0, 0.841_344_746, 1.083_315_471],
        [1.5, 1.399_789_198, 1.127_469_192],
        [3.0, 2.995_950_306, 1.011_945_647],
    ];
    let column = |index: usize| Tensor::<1>::from_data(KNOWN.map(|known| known[index] as f32), &Device::default());
    let check = |x: Tensor<1>| {
        let x = x.autodiff().require_grad();
        let output = kernels::gelu(x.clone());
        let slopes = x.grad(&output.clone().sum().backward()).expect("a gradient");
        assert_equal(output.inner().cast(FloatDType::F32), column(1), 1e-6);
        assert_equal(slopes.cast(FloatDType::F32), column(2), 1e-6);
    };
    check(column(0));
    // On the CPU what is not f32 takes the composition, as all does elsewhere; shaders have no error function for 64 bits.
    if Device::default() == Device::flex() {
        check(double(&column(0)));
    }
}
