//! Fused passes over a gradient are the composed ones.

use burn::optim::{AdamWConfig, AdamWState, Optimizer as _};
use burn::tensor::{Device, Tensor, TensorData};
use kernels::{AdamWFactors, AdamWValues, accumulate, adamw, scale, square_sums};
use proptest::prelude::*;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

fn random(shape: [usize; 2], seed: u64) -> Tensor<2> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| random.random_range(-2.0..2.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

fn bits<const D: usize>(x: &Tensor<D>) -> Vec<u32> {
    x.to_data().iter::<f32>().map(f32::to_bits).collect()
}

/// A number of values that is in one task, or in two with a rest.
fn shape() -> impl Strategy<Value = [usize; 2]> {
    [1_usize..40, 1_usize..900]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// burn's own steps, to the last bit; values that someone else holds stay as they are.
    #[test]
    fn steps_are_those_of_burn(shape in shape(), seed: u64, weight_decay in 0_f32..0.5, learning_rate in 1e-6_f64..0.1) {
        let config = AdamWConfig::new().with_beta_2(0.99).with_epsilon(1e-8).with_weight_decay(weight_decay);
        let theirs = config.build();
        let start = random(shape, seed);
        let untouched = bits(&start);
        let (mut parameter, mut state) = (start.clone(), None::<AdamWState<2>>);
        let mut ours = AdamWValues {
            parameter: start.clone(),
            moment_1: start.zeros_like(),
            moment_2: start.zeros_like(),
        };
        for time in 1..=3 {
            // The gradient is a view that is not in row-major order.
            let gradient = random([shape[1], shape[0]], seed.wrapping_add(time)).transpose();
            (parameter, state) = theirs.step(learning_rate, parameter, gradient.clone(), state);
            let factors = AdamWFactors {
                learning_rate,
                weight_decay: f64::from(weight_decay),
                beta_1: 0.9,
                beta_2: 0.99,
                epsilon: 1e-8,
                time: time as i32,
            };
            ours = adamw(ours, gradient, factors);
        }
        let momentum = state.expect("three steps were taken").momentum;
        prop_assert_eq!(bits(&ours.parameter), bits(&parameter));
        prop_assert_eq!(bits(&ours.moment_1), bits(&momentum.moment_1));
        prop_assert_eq!(bits(&ours.moment_2), bits(&momentum.moment_2));
        prop_assert_eq!(bits(&start), untouched);
    }

    #[test]
    fn sums_and_scales(shape in shape(), seed: u64, factor in -2_f64..2.0) {
        let (sum, share) = (random(shape, seed), random([shape[1], shape[0]], seed.wrapping_add(1)));
        let both = sum.clone() + share.clone().transpose();
        prop_assert_eq!(bits(&accumulate(sum.clone(), share.transpose())), bits(&both));
        prop_assert_eq!(bits(&scale(sum.clone(), factor)), bits(&(sum.clone() * factor)));
        // Part of a larger tensor, which begins inside of it.
        let part = random([shape[0] + 1, shape[1]], seed).narrow(0, 1, shape[0]);
        prop_assert_eq!(bits(&scale(part.clone(), factor)), bits(&(part * factor)));
        let expected: f64 = sum.to_data().iter::<f64>().map(|x| x * x).sum();
        let found: f64 = square_sums(sum.transpose()).into_data().iter::<f64>().sum();
        prop_assert!((found - expected).abs() <= 1e-6 * expected.max(1e-9), "{} and {}", found, expected);
    }
}

#[test]
fn what_is_not_finite_is_seen() {
    let x = random([3, 7001], 1);
    for (value, at) in [(f32::NAN, 0), (f32::INFINITY, 21_002), (f32::MAX, 20_000)] {
        let mut values: Vec<f32> = x.to_data().iter::<f32>().collect();
        values[at] = value;
        let found: f64 =
            square_sums(Tensor::<1>::from_floats(values.as_slice(), &x.device())).into_data().iter::<f64>().sum();
        assert!(!found.is_finite(), "{value} at {at}: {found}");
    }
}
