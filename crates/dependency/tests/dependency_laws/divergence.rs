//! Laws that hold for all or most divergences.

use std::f64::consts::LN_2;
use std::num::NonZeroUsize;

use burn::tensor::{Int, Tensor, TensorData};
use dependency::{
    BuiltInDivergence, Divergence, EntropyOf, ForwardKl, JensenShannon, Positive, ProbabilityDrop, SampledAbsolute,
    SampledK1, SampledK2, SampledK3, Side, entropy, forward_kl, in_chunks,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::device::device;

/// Two predictions of the same tokens, and which token was sampled.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) clean: Vec<Vec<f32>>,
    pub(crate) contrast: Vec<Vec<f32>>,
    pub(crate) sampled: Vec<usize>,
}

impl Pair {
    fn sampled(&self) -> Tensor<1, Int> {
        let sampled: Vec<i64> = self.sampled.iter().map(|&token| token as i64).collect();
        Tensor::from_data(TensorData::new(sampled, [self.sampled.len()]), &device())
    }

    fn swapped(self) -> Self {
        Self { clean: self.contrast, contrast: self.clean, sampled: self.sampled }
    }
}

fn pair() -> impl Strategy<Value = Pair> {
    // Up to 1e4: a probability underflows long before, and a banned token is given such a logit.
    pair_of_sizes(&[0.01, 1.0, 5.0, 1e4])
}

/// Logits of one of these magnitudes.
pub(crate) fn pair_of_sizes(sizes: &'static [f32]) -> impl Strategy<Value = Pair> {
    (1..=6usize, 1..=12usize, select(sizes)).prop_flat_map(|(tokens, vocabulary, size)| {
        let logits = prop::collection::vec(prop::collection::vec(-size..=size, vocabulary), tokens);
        let sampled = prop::collection::vec(any::<Index>().prop_map(move |index| index.index(vocabulary)), tokens);
        (logits.clone(), logits, sampled).prop_map(|(clean, contrast, sampled)| Pair { clean, contrast, sampled })
    })
}

const CAP: Positive = Positive::literal(1.5);

pub(crate) fn built_ins() -> impl Strategy<Value = BuiltInDivergence> {
    select(vec![
        BuiltInDivergence::ForwardKl(ForwardKl {}),
        BuiltInDivergence::JensenShannon(JensenShannon {}),
        BuiltInDivergence::SampledK3(SampledK3::default()),
        BuiltInDivergence::SampledK1(SampledK1::default()),
        BuiltInDivergence::SampledK1(SampledK1 { cap: Some(CAP) }),
        BuiltInDivergence::SampledK2(SampledK2::default()),
        BuiltInDivergence::SampledK2(SampledK2 { cap: Some(CAP) }),
        BuiltInDivergence::SampledAbsolute(SampledAbsolute::default()),
        BuiltInDivergence::SampledAbsolute(SampledAbsolute { cap: Some(CAP) }),
        BuiltInDivergence::ProbabilityDrop(ProbabilityDrop {}),
        BuiltInDivergence::Entropy(EntropyOf { of: Side::Clean }),
        BuiltInDivergence::Entropy(EntropyOf { of: Side::Contrast }),
    ])
}

fn tensor(rows: &[Vec<f32>]) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), &device())
}

pub(crate) fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

pub(crate) fn measure(divergence: BuiltInDivergence, pair: &Pair) -> Vec<f32> {
    values(divergence.per_token(tensor(&pair.clean), tensor(&pair.contrast), pair.sampled()))
}

pub(crate) fn log_probs(logits: &[f32]) -> Vec<f64> {
    let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    logits.iter().map(|logit| logit - highest - total.ln()).collect()
}

pub(crate) fn naive_kl(from: &[f64], to: impl Fn(usize) -> f64) -> f64 {
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
        BuiltInDivergence::SampledK1(k1) => {
            let limit = k1.cap.map_or(f64::INFINITY, Positive::value);
            (clean[sampled] - contrast[sampled]).clamp(-limit, limit)
        }
        BuiltInDivergence::SampledK2(k2) => {
            let limit = k2.cap.map_or(f64::INFINITY, Positive::value);
            ((clean[sampled] - contrast[sampled]).powi(2) / 2.0).min(limit)
        }
        BuiltInDivergence::SampledAbsolute(absolute) => {
            let limit = absolute.cap.map_or(f64::INFINITY, Positive::value);
            (clean[sampled] - contrast[sampled]).abs().min(limit)
        }
        BuiltInDivergence::ProbabilityDrop(_) => clean[sampled].exp() - contrast[sampled].exp(),
        BuiltInDivergence::Entropy(EntropyOf { of: Side::Clean }) => -naive_kl(&clean, |_| 0.0),
        BuiltInDivergence::Entropy(EntropyOf { of: Side::Contrast }) => -naive_kl(&contrast, |_| 0.0),
    }
}

/// Whether it may be negative.
fn is_signed(divergence: BuiltInDivergence) -> bool {
    matches!(divergence, BuiltInDivergence::SampledK1(_) | BuiltInDivergence::ProbabilityDrop(_))
}

/// Logits of size `s` have log-probabilities rounded to `s` units of 6e-8, and k3 magnifies that by up to its cap. A square
/// magnifies it by its root, which the relative part allows for.
fn close(found: f32, expected: f64, pair: &Pair) -> bool {
    let finite = pair.clean.iter().chain(&pair.contrast).flatten().filter(|logit| logit.is_finite());
    let size = finite.fold(1.0f32, |size, logit| size.max(logit.abs()));
    let allowed = 2e-5 * expected.abs() + 2e-6 * f64::from(size) * (1.0 + expected.abs().min(10.0));
    f64::from(found) == expected || (f64::from(found) - expected).abs() <= allowed
}

proptest! {
    /// Handing tokens over in pieces of any size gives what plain loops over the whole give.
    #[test]
    fn pieces_equal_the_naive_whole(pair in pair(), divergence in built_ins(), piece in 1..=7usize) {
        let mut asked = Vec::new();
        let found = values(in_chunks(&divergence, &pair.sampled(), chunk(piece), |tokens| {
            asked.push(tokens.clone());
            (tensor(&pair.clean[tokens.clone()]), tensor(&pair.contrast[tokens]))
        }));
        prop_assert_eq!(found.len(), pair.sampled.len());
        for (token, &value) in found.iter().enumerate() {
            let expected = naive(divergence, &pair.clean[token], &pair.contrast[token], pair.sampled[token]);
            prop_assert!(close(value, expected, &pair), "{} but expected {}", value, expected);
        }
        prop_assert!(asked.iter().all(|tokens| !tokens.is_empty() && tokens.len() <= piece), "{:?}", asked);
        prop_assert_eq!(asked.len(), pair.sampled.len().div_ceil(piece));
    }

    /// The same pieces give the very same numbers as the whole: a row is summed as if it were alone, but for the rounding of
    /// log-probabilities where a device sums differently.
    #[test]
    fn every_chunk_size_gives_the_same(pair in pair(), divergence in built_ins()) {
        let whole = measure(divergence, &pair);
        for piece in 1..=whole.len() + 1 {
            let found = values(in_chunks(&divergence, &pair.sampled(), chunk(piece), |tokens| {
                (tensor(&pair.clean[tokens.clone()]), tensor(&pair.contrast[tokens]))
            }));
            prop_assert_eq!(found.len(), whole.len());
            for (&value, &whole) in found.iter().zip(&whole) {
                prop_assert!(close(value, f64::from(whole), &pair), "{} but {} at once", value, whole);
            }
        }
    }

    /// Tokens that cannot be sampled, under one prediction or both: what is left is compared as the literature says, and only
    /// what the clean prediction finds possible and the contrast impossible is infinitely surprising.
    #[test]
    fn impossible_tokens(
        mut pair in pair_of_sizes(&[0.01, 1.0, 5.0]),
        banned in prop::collection::vec((any::<bool>(), any::<bool>()), 11),
        divergence in select(vec![
            BuiltInDivergence::ForwardKl(ForwardKl {}),
            BuiltInDivergence::JensenShannon(JensenShannon {}),
            BuiltInDivergence::ProbabilityDrop(ProbabilityDrop {}),
            BuiltInDivergence::Entropy(EntropyOf { of: Side::Clean }),
            BuiltInDivergence::Entropy(EntropyOf { of: Side::Contrast }),
        ]),
    ) {
        // The first token stays possible.
        for row in &mut pair.clean {
            row.iter_mut().skip(1).zip(&banned).filter(|(_, (clean, _))| *clean).for_each(|(logit, _)| *logit = f32::NEG_INFINITY);
        }
        for row in &mut pair.contrast {
            row.iter_mut().skip(1).zip(&banned).filter(|(_, (_, contrast))| *contrast).for_each(|(logit, _)| *logit = f32::NEG_INFINITY);
        }
        for (token, value) in measure(divergence, &pair).into_iter().enumerate() {
            let expected = naive(divergence, &pair.clean[token], &pair.contrast[token], pair.sampled[token]);
            prop_assert!(close(value, expected, &pair), "{} but expected {}", value, expected);
        }
    }

    /// Divergences are finite and, but for the signed ones, at least 0, however extreme the logits.
    #[test]
    fn finite_and_not_negative(pair in pair(), divergence in built_ins()) {
        let found = measure(divergence, &pair);
        prop_assert!(found.iter().all(|value| value.is_finite()), "{:?}", found);
        prop_assert!(is_signed(divergence) || found.iter().all(|&value| value >= 0.0), "{:?}", found);
        if matches!(divergence, BuiltInDivergence::JensenShannon(_)) {
            prop_assert!(found.iter().all(|&value| f64::from(value) <= LN_2 + 1e-5), "{:?}", found);
        }
    }

    /// A prediction does not diverge from itself.
    #[test]
    fn zero_on_equal_predictions(mut pair in pair(), divergence in built_ins()) {
        // An entropy compares nothing.
        if matches!(divergence, BuiltInDivergence::Entropy(_)) {
            return Ok(());
        }
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

    /// Exchanging the predictions changes nothing or the sign.
    #[test]
    fn symmetric_or_antisymmetric(pair in pair(), divergence in select(vec![
        BuiltInDivergence::JensenShannon(JensenShannon {}),
        BuiltInDivergence::SampledK1(SampledK1 { cap: Some(CAP) }),
        BuiltInDivergence::SampledK2(SampledK2 { cap: Some(CAP) }),
        BuiltInDivergence::SampledAbsolute(SampledAbsolute::default()),
        BuiltInDivergence::ProbabilityDrop(ProbabilityDrop {}),
    ])) {
        let sign = if is_signed(divergence) { -1.0 } else { 1.0 };
        let there = measure(divergence, &pair);
        for (value, expected) in measure(divergence, &pair.swapped()).into_iter().zip(there) {
            prop_assert!((sign * value - expected).abs() <= 1e-6);
        }
    }

    /// The entropy of one prediction does not read the other.
    #[test]
    fn entropy_is_of_one_side(mut pair in pair(), of in select(vec![Side::Clean, Side::Contrast])) {
        let divergence = BuiltInDivergence::Entropy(EntropyOf { of });
        let before = measure(divergence, &pair);
        let other = match of {
            Side::Clean => &mut pair.contrast,
            Side::Contrast => &mut pair.clean,
        };
        other.iter_mut().flatten().for_each(|logit| *logit = f32::NAN);
        prop_assert_eq!(measure(divergence, &pair), before);
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

fn chunk(tokens: usize) -> NonZeroUsize {
    NonZeroUsize::new(tokens).expect("at least 1")
}

#[test]
fn an_empty_response_has_no_divergences() {
    let sampled = Tensor::<1, Int>::from_data(TensorData::new(Vec::<i64>::new(), [0]), &device());
    let found = in_chunks(&ForwardKl {}, &sampled, chunk(3), |tokens| panic!("there are no logits of {tokens:?}"));
    assert_eq!(found.dims(), [0]);
}

#[test]
fn a_chunk_may_be_larger_than_any_response() {
    let pair = Pair { clean: vec![vec![1.0, 0.0]; 2], contrast: vec![vec![0.0, 0.0]; 2], sampled: vec![0, 1] };
    let found = in_chunks(&ForwardKl {}, &pair.sampled(), NonZeroUsize::MAX, |tokens| {
        assert_eq!(tokens, 0..2);
        (tensor(&pair.clean), tensor(&pair.contrast))
    });
    assert_eq!(values(found), measure(BuiltInDivergence::ForwardKl(ForwardKl {}), &pair));
}

#[test]
#[should_panic(expected = "0..2")]
fn logits_of_other_tokens_are_refused() {
    let pair = Pair { clean: vec![vec![1.0, 0.0]; 3], contrast: vec![vec![0.0, 0.0]; 3], sampled: vec![0, 1, 0] };
    in_chunks(&ForwardKl {}, &pair.sampled(), chunk(2), |_| (tensor(&pair.clean), tensor(&pair.contrast)));
}

#[test]
fn impossible_predictions_are_not_numbers() {
    let nothing = || Tensor::<2>::from_data([[f32::NEG_INFINITY, f32::NEG_INFINITY]], &device());
    let something = || Tensor::<2>::from_data([[1.0, 0.0]], &device());
    for (clean, contrast) in [(nothing(), something()), (something(), nothing()), (nothing(), nothing())] {
        assert!(values(forward_kl(clean, contrast))[0].is_nan());
    }
    assert!(values(entropy(nothing()))[0].is_nan());
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
    for half in [FloatDType::BF16, FloatDType::F16].into_iter().filter(|&half| device().supports_dtype(half)) {
        let clean = Tensor::<2>::from_data([[8.0, 0.0, -8.0, 0.5]], &device()).cast(half);
        let contrast = Tensor::<2>::from_data([[0.0, 4.0, -2.0, 0.25]], &device()).cast(half);
        let found = values(forward_kl(clean.clone(), contrast.clone()))[0];
        let full = values(forward_kl(clean.cast(FloatDType::F32), contrast.cast(FloatDType::F32)))[0];
        assert_eq!(found, full, "{half:?}");
    }
}
