//! Laws of the estimates that need the sampled token only.

use burn::tensor::Tensor;
use dependency::{
    BuiltInDivergence, Divergence as _, Positive, ProbabilityDrop, SampledAbsolute, SampledK1, SampledK2, SampledK3,
};
use proptest::prelude::*;

use crate::device::device;
use crate::divergence::{Pair, built_ins, log_probs, measure, naive_kl, pair_of_sizes, values};

/// The estimate of the first token, for every token that could have been sampled.
fn of_every_token(estimate: BuiltInDivergence, pair: &Pair) -> Vec<f64> {
    let rows = |rows: &[Vec<f32>]| vec![rows[0].clone(); rows[0].len()];
    let every =
        Pair { clean: rows(&pair.clean), contrast: rows(&pair.contrast), sampled: (0..pair.clean[0].len()).collect() };
    measure(estimate, &every).into_iter().map(f64::from).collect()
}

/// Expectation of the estimate of the first token, and the log-probabilities of both predictions.
fn expected(estimate: BuiltInDivergence, pair: &Pair) -> (f64, Vec<f64>, Vec<f64>) {
    let (clean, contrast) = (log_probs(&pair.clean[0]), log_probs(&pair.contrast[0]));
    let estimates = of_every_token(estimate, pair);
    (clean.iter().zip(estimates).map(|(log_prob, estimate)| log_prob.exp() * estimate).sum(), clean, contrast)
}

proptest! {
    /// Averaged over what could have been sampled, k1 and k3 are the KL divergence.
    #[test]
    fn k1_and_k3_are_unbiased(pair in pair_of_sizes(&[0.01, 1.0, 5.0]), third in any::<bool>()) {
        let k3 = SampledK3 { difference_clamp: Positive::literal(80.0), cap: Positive::literal(1e30) };
        let k1 = SampledK1 { cap: None };
        let estimate = if third { BuiltInDivergence::SampledK3(k3) } else { BuiltInDivergence::SampledK1(k1) };
        let (mean, clean, contrast) = expected(estimate, &pair);
        let kl = naive_kl(&clean, |index| contrast[index]);
        prop_assert!((mean - kl).abs() <= 1e-4 * (1.0 + kl), "{} but expected {}", mean, kl);
    }

    /// From log-probabilities of the sampled tokens comes what comes from the logits; only divergences of whole distributions
    /// cannot do without them.
    #[test]
    fn log_probabilities_are_enough(pair in pair_of_sizes(&[0.01, 1.0, 5.0]), divergence in built_ins()) {
        let of_sampled = |rows: &[Vec<f32>]| {
            let chosen = rows.iter().zip(&pair.sampled).map(|(row, &token)| log_probs(row)[token] as f32);
            Tensor::<1>::from_data(chosen.collect::<Vec<f32>>().as_slice(), &device())
        };
        let Some(sampled) = divergence.of_sampled() else {
            let whole = matches!(
                divergence,
                BuiltInDivergence::ForwardKl(_) | BuiltInDivergence::JensenShannon(_) | BuiltInDivergence::Entropy(_)
            );
            prop_assert!(whole, "{:?}", divergence);
            return Ok(());
        };
        let found = values(sampled.of_log_probs(of_sampled(&pair.clean), of_sampled(&pair.contrast)));
        for (found, expected) in found.into_iter().zip(measure(divergence, &pair)) {
            prop_assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{} but {}", found, expected);
        }
    }

    /// What one token loses others gain.
    #[test]
    fn probability_drops_cancel(pair in pair_of_sizes(&[0.01, 1.0, 5.0])) {
        let drops = of_every_token(BuiltInDivergence::ProbabilityDrop(ProbabilityDrop {}), &pair);
        prop_assert!(drops.iter().sum::<f64>().abs() <= 1e-5, "{:?}", drops);
        prop_assert!(drops.iter().all(|drop| drop.abs() <= 1.0 + 1e-6), "{:?}", drops);
    }

    /// k3 keeps its digits where the terms of its formula cancel: at 1e-6 they are a trillion times the result.
    #[test]
    fn k3_is_accurate_for_every_difference(magnitude in -18.0f64..3.0, negative in any::<bool>()) {
        let difference = magnitude.exp() * if negative { -1.0 } else { 1.0 };
        let difference = difference.clamp(-20.0, 20.0) as f32;
        let free = SampledK3 { cap: Positive::literal(1e30), ..SampledK3::default() };
        let found = values(free.between(Tensor::zeros([1], &device()), Tensor::from_data([difference], &device())))[0];
        let expected = excess_of_exp(f64::from(difference));
        prop_assert!((f64::from(found) - expected).abs() <= 2e-6 * expected, "{} but expected {} at {}", found, expected, difference);
    }
}

/// `exp(d) - 1 - d` in f64: near 0 even there only the series has digits left.
fn excess_of_exp(d: f64) -> f64 {
    if d.abs() > 0.5 {
        return d.exp_m1() - d;
    }
    let mut term = 1.0;
    (1..25)
        .map(|power| {
            term *= d / f64::from(power);
            if power > 1 { term } else { 0.0 }
        })
        .sum()
}

#[test]
fn k3_by_hand() {
    let log_probs = |values: [f32; 4]| Tensor::<1>::from_data(values, &device());
    let infinite = f32::NEG_INFINITY;
    let found = values(
        SampledK3::default()
            .between(log_probs([-1.0, -3.0, -0.5, infinite]), log_probs([-1.0, -1.0, infinite, infinite])),
    );
    assert_eq!(found[0], 0.0);
    assert!((found[1] - (2.0f32.exp() - 3.0)).abs() < 1e-5, "{}", found[1]);
    assert_eq!(found[2], 10.0);
    assert!(found[3].is_nan());
}

/// The clean and the contrast log-probability of a token.
type Case = (f32, f32);

const INFINITE: f32 = f32::INFINITY;

/// Clean likelier, contrast likelier, impossible under one or the other.
const CASES: [Case; 4] = [(-1.0, -3.0), (-2.5, -0.5), (-0.5, -INFINITE), (-INFINITE, -0.5)];

/// Each case's result, and that of two impossible predictions.
fn by_hand(between: impl Fn(Tensor<1>, Tensor<1>) -> Tensor<1>) -> (Vec<f32>, f32) {
    let both = (-INFINITE, -INFINITE);
    let (clean, contrast): (Vec<f32>, Vec<f32>) = CASES.into_iter().chain([both]).unzip();
    let tensor = |log_probs: Vec<f32>| Tensor::<1>::from_data(log_probs.as_slice(), &device());
    let mut found = values(between(tensor(clean), tensor(contrast)));
    let impossible = found.pop().expect("the last case");
    (found, impossible)
}

#[test]
fn k1_by_hand() {
    let (found, impossible) = by_hand(|clean, contrast| SampledK1::default().between(clean, contrast));
    assert_eq!(found, [2.0, -2.0, INFINITE, -INFINITE]);
    assert!(impossible.is_nan());
    let cap = Some(Positive::literal(1.25));
    let (found, impossible) = by_hand(|clean, contrast| SampledK1 { cap }.between(clean, contrast));
    assert_eq!(found, [1.25, -1.25, 1.25, -1.25]);
    assert!(impossible.is_nan());
}

#[test]
fn k2_by_hand() {
    let (found, impossible) = by_hand(|clean, contrast| SampledK2::default().between(clean, contrast));
    assert_eq!(found, [2.0, 2.0, INFINITE, INFINITE]);
    assert!(impossible.is_nan());
    let cap = Some(Positive::literal(1.25));
    let (found, impossible) = by_hand(|clean, contrast| SampledK2 { cap }.between(clean, contrast));
    assert_eq!(found, [1.25; 4]);
    assert!(impossible.is_nan());
}

#[test]
fn absolute_by_hand() {
    let (found, impossible) = by_hand(|clean, contrast| SampledAbsolute::default().between(clean, contrast));
    assert_eq!(found, [2.0, 2.0, INFINITE, INFINITE]);
    assert!(impossible.is_nan());
    let cap = Some(Positive::literal(1.25));
    let (found, impossible) = by_hand(|clean, contrast| SampledAbsolute { cap }.between(clean, contrast));
    assert_eq!(found, [1.25; 4]);
    assert!(impossible.is_nan());
}

#[test]
fn drop_by_hand() {
    let (found, impossible) = by_hand(|clean, contrast| ProbabilityDrop {}.between(clean, contrast));
    for (found, (clean, contrast)) in found.into_iter().zip(CASES) {
        assert!((found - (clean.exp() - contrast.exp())).abs() < 1e-6, "{found} for {clean} and {contrast}");
    }
    assert_eq!(impossible, 0.0);
}
