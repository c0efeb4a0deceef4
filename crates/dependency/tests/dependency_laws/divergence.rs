//! Laws of the divergences.

use std::f64::consts::LN_2;

use burn::tensor::{Int, Tensor, TensorData};
use dependency::{BuiltInDivergence, Divergence, ForwardKl, JensenShannon, Positive, SampledK3, entropy, forward_kl};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::device::device;

/// Two predictions of the same tokens, and which token was sampled.
#[derive(Clone, Debug)]
struct Pair {
    clean: Vec<Vec<f32>>,
    contrast: Vec<Vec<f32>>,
    sampled: Vec<usize>,
}

fn pair() -> impl Strategy<Value = Pair> {
    // Up to 1e4: a probability underflows long before, and a banned token is given such a logit.
    pair_of_sizes(&[0.01, 1.0, 5.0, 1e4])
}

/// Logits of one of these magnitudes.
fn pair_of_sizes(sizes: &'static [f32]) -> impl Strategy<Value = Pair> {
    (1..=6usize, 1..=12usize, select(sizes)).prop_flat_map(|(tokens, vocabulary, size)| {
        let logits = prop::collection::vec(prop::collection::vec(-size..=size, vocabulary), tokens);
        let sampled = prop::collection::vec(any::<Index>().prop_map(move |index| index.index(vocabulary)), tokens);
        (logits.clone(), logits, sampled).prop_map(|(clean, contrast, sampled)| Pair { clean, contrast, sampled })
    })
}

fn built_ins() -> impl Strategy<Value = BuiltInDivergence> {
    select(vec![
        BuiltInDivergence::ForwardKl(ForwardKl {}),
        BuiltInDivergence::JensenShannon(JensenShannon {}),
        BuiltInDivergence::SampledK3(SampledK3::default()),
    ])
}

fn tensor(rows: &[Vec<f32>]) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), &device())
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn measure(divergence: BuiltInDivergence, pair: &Pair) -> Vec<f32> {
    let sampled: Vec<i64> = pair.sampled.iter().map(|&token| token as i64).collect();
    let sampled = Tensor::<1, Int>::from_data(TensorData::new(sampled, [pair.sampled.len()]), &device());
    values(divergence.per_token(tensor(&pair.clean), tensor(&pair.contrast), sampled))
}

fn log_probs(logits: &[f32]) -> Vec<f64> {
    let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    logits.iter().map(|logit| logit - highest - total.ln()).collect()
}

fn naive_kl(from: &[f64], to: impl Fn(usize) -> f64) -> f64 {
    let possible = from.iter().enumerate().filter(|(_, log_prob)| log_prob.exp() > 0.0);
    possible.map(|(index, &log_prob)| log_prob.exp() * (log_prob - to(index))).sum()
}

/// The divergence of one token, written down as in the literature.
fn naive(divergence: BuiltInDivergence, clean: &[f32], contrast: &[f32], sampled: usize) -> f64 {
    let (clean, contrast) = (log_probs(clean), log_probs(contrast));
    match divergence {
        BuiltInDivergence::ForwardKl(_) => naive_kl(&clean, |index| contrast[index]),
        BuiltInDivergence::JensenShannon(_) => {
            let mixture = |index: usize| (0.5 * (clean[index].exp() + contrast[index].exp())).ln();
            0.5 * (naive_kl(&clean, mixture) + naive_kl(&contrast, mixture))
        }
        BuiltInDivergence::SampledK3(k3) => {
            let limit = k3.difference_clamp.value();
            let difference = (contrast[sampled] - clean[sampled]).clamp(-limit, limit);
            (difference.exp_m1() - difference).min(k3.cap.value())
        }
    }
}

/// Logits of size `s` have log-probabilities rounded to `s` units of 6e-8, and k3 magnifies that by up to its cap.
fn close(found: f32, expected: f64, pair: &Pair) -> bool {
    let size = pair.clean.iter().chain(&pair.contrast).flatten().fold(1.0f32, |size, logit| size.max(logit.abs()));
    let allowed = 2e-5 * expected.abs() + 2e-6 * f64::from(size).max(1.0) * (1.0 + expected.min(10.0));
    (f64::from(found) - expected).abs() <= allowed
}

proptest! {
    /// Handing tokens over in pieces of any size gives what plain loops over the whole give.
    #[test]
    fn pieces_equal_the_naive_whole(pair in pair(), divergence in built_ins(), piece in 1..=6usize) {
        let mut found = Vec::new();
        for start in (0..pair.sampled.len()).step_by(piece) {
            let rows = start..pair.sampled.len().min(start + piece);
            found.extend(measure(divergence, &Pair {
                clean: pair.clean[rows.clone()].to_vec(),
                contrast: pair.contrast[rows.clone()].to_vec(),
                sampled: pair.sampled[rows].to_vec(),
            }));
        }
        for (token, &value) in found.iter().enumerate() {
            let expected = naive(divergence, &pair.clean[token], &pair.contrast[token], pair.sampled[token]);
            prop_assert!(close(value, expected, &pair), "{} but expected {}", value, expected);
        }
    }

    /// Divergences are finite and at least 0, however extreme the logits.
    #[test]
    fn finite_and_not_negative(pair in pair(), divergence in built_ins()) {
        let found = measure(divergence, &pair);
        prop_assert!(found.iter().all(|value| value.is_finite() && *value >= 0.0), "{:?}", found);
        if matches!(divergence, BuiltInDivergence::JensenShannon(_)) {
            prop_assert!(found.iter().all(|&value| f64::from(value) <= LN_2 + 1e-5), "{:?}", found);
        }
    }

    /// A prediction does not diverge from itself.
    #[test]
    fn zero_on_equal_predictions(mut pair in pair(), divergence in built_ins()) {
        pair.contrast = pair.clean.clone();
        let found = measure(divergence, &pair);
        prop_assert!(found.iter().all(|&value| value <= 1e-6), "{:?}", found);
        if !matches!(divergence, BuiltInDivergence::JensenShannon(_)) {
            prop_assert!(found.iter().all(|&value| value == 0.0), "{:?}", found);
        }
    }

    /// Logits are probabilities up to a constant: adding one changes nothing.
    #[test]
    fn shift_invariant(pair in pair(), divergence in built_ins(), clean in -50.0f32..50.0, contrast in -50.0f32..50.0) {
        let shift = |rows: &[Vec<f32>], by: f32| rows.iter().map(|row| row.iter().map(|logit| logit + by).collect()).collect();
        let shifted = Pair {
            clean: shift(&pair.clean, clean),
            contrast: shift(&pair.contrast, contrast),
            sampled: pair.sampled.clone(),
        };
        for (value, expected) in measure(divergence, &shifted).into_iter().zip(measure(divergence, &pair)) {
            prop_assert!(close(value, f64::from(expected), &shifted), "{} but was {}", value, expected);
        }
    }

    /// The mixture favors neither prediction.
    #[test]
    fn jensen_shannon_is_symmetric(pair in pair()) {
        let divergence = BuiltInDivergence::JensenShannon(JensenShannon {});
        let swapped = Pair { clean: pair.contrast.clone(), contrast: pair.clean.clone(), sampled: pair.sampled.clone() };
        for (value, expected) in measure(divergence, &swapped).into_iter().zip(measure(divergence, &pair)) {
            prop_assert!((value - expected).abs() <= 1e-6);
        }
    }

    /// Averaged over what could have been sampled, k3 is the KL divergence.
    #[test]
    fn k3_is_unbiased(pair in pair_of_sizes(&[0.01, 1.0, 5.0])) {
        let free = SampledK3 { difference_clamp: Positive::literal(80.0), cap: Positive::literal(1e30) };
        let (clean, contrast) = (log_probs(&pair.clean[0]), log_probs(&pair.contrast[0]));
        let mean: f64 = (0..clean.len())
            .map(|sampled| {
                let one = Pair { clean: vec![pair.clean[0].clone()], contrast: vec![pair.contrast[0].clone()], sampled: vec![sampled] };
                clean[sampled].exp() * f64::from(measure(BuiltInDivergence::SampledK3(free), &one)[0])
            })
            .sum();
        let kl = naive_kl(&clean, |index| contrast[index]);
        prop_assert!((mean - kl).abs() <= 1e-4 * (1.0 + kl), "{} but expected {}", mean, kl);
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

    /// Entropy lies between certainty and ignorance, and equals the plain loop.
    #[test]
    fn entropy_equals_the_naive_loop(pair in pair()) {
        for (value, logits) in values(entropy(tensor(&pair.clean))).into_iter().zip(&pair.clean) {
            let expected = -naive_kl(&log_probs(logits), |_| 0.0);
            prop_assert!(close(value, expected, &pair), "{} but expected {}", value, expected);
            prop_assert!(value >= 0.0 && f64::from(value) <= (logits.len() as f64).ln() + 1e-5);
        }
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

#[test]
fn banned_tokens_count_for_nothing() {
    let banned = |first: f32, second: f32| Tensor::<2>::from_data([[first, second, f32::NEG_INFINITY]], &device());
    let allowed = |first: f32, second: f32| Tensor::<2>::from_data([[first, second]], &device());
    let with = values(forward_kl(banned(1.0, 0.0), banned(0.0, 0.5)))[0];
    let without = values(forward_kl(allowed(1.0, 0.0), allowed(0.0, 0.5)))[0];
    assert!((with - without).abs() < 1e-6 && without > 0.1, "{with} but {without}");
    let certain = values(entropy(Tensor::from_data([[0.0, f32::NEG_INFINITY]], &device())));
    assert_eq!(certain, [0.0]);
}

#[test]
fn half_precision_logits_are_reduced_in_full() {
    use burn::tensor::FloatDType;
    let clean = Tensor::<2>::from_data([[8.0, 0.0, -8.0, 0.5]], &device()).cast(FloatDType::BF16);
    let contrast = Tensor::<2>::from_data([[0.0, 4.0, -2.0, 0.25]], &device()).cast(FloatDType::BF16);
    let half = values(forward_kl(clean.clone(), contrast.clone()))[0];
    let full = values(forward_kl(clean.cast(FloatDType::F32), contrast.cast(FloatDType::F32)))[0];
    assert_eq!(half, full);
}
