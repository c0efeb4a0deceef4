//! What is read of a distribution, and its gradient: fused as composed, and both as the plain formula in f64.

use burn::tensor::{Device, Int, Tensor, TensorData};
use kernels::{Softmax, Upstream, entropy, forward_kl, jensen_shannon};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// Two predictions of the same outcomes, some of which are excluded and some impossible.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    outcomes: usize,
    temperature: f64,
    size: f32,
    logits: Vec<f32>,
    others: Vec<f32>,
    chosen: Vec<usize>,
    excluded: Vec<u32>,
    /// With respect to log-probability, entropy and divergence of each row.
    upstream: [Vec<f32>; 3],
}

/// Few and many outcomes, around the widths of vectors and blocks; logits from next to nothing to extreme ones.
fn cases() -> impl Strategy<Value = Case> {
    let outcomes = prop_oneof![1_usize..40, 2040_usize..2080, 4000_usize..4200];
    let sizes = prop::sample::select(vec![0.01_f32, 3.0, 30.0, 1e4]);
    let temperatures = prop_oneof![Just(1.0), 0.3_f64..3.0];
    (1_usize..12, outcomes, temperatures, sizes, any::<u64>()).prop_map(|(rows, outcomes, temperature, size, seed)| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // The first outcome is always possible.
        let excluded: Vec<u32> = (1..outcomes as u32).filter(|_| random.random_bool(0.1)).collect();
        let mut logits = |impossible: f64| -> Vec<f32> {
            let mut values: Vec<f32> = (0..rows * outcomes).map(|_| random.random_range(-size..size)).collect();
            for (place, value) in values.iter_mut().enumerate() {
                if place % outcomes > 0 && random.random_bool(impossible) {
                    *value = f32::NEG_INFINITY;
                }
            }
            values
        };
        // What is impossible for the other prediction alone would be infinitely surprising.
        let (mut logits, others) = (logits(0.1), logits(0.05));
        for (value, other) in logits.iter_mut().zip(&others) {
            if other.is_infinite() {
                *value = f32::NEG_INFINITY;
            }
        }
        let chosen: Vec<usize> = (0..rows)
            .map(|row| {
                let possible = |outcome: &usize| {
                    logits[row * outcomes + outcome].is_finite() && !excluded.contains(&(*outcome as u32))
                };
                let drawn = random.random_range(0..outcomes);
                if possible(&drawn) { drawn } else { 0 }
            })
            .collect();
        let mut slopes = || (0..rows).map(|_| random.random_range(-1.0..1.0)).collect();
        let upstream = [slopes(), slopes(), slopes()];
        Case { rows, outcomes, temperature, size, logits, others, chosen, excluded, upstream }
    })
}

fn column(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::default())
}

fn host<const D: usize>(values: Tensor<D>) -> Vec<f64> {
    values.into_data().iter::<f64>().collect()
}

impl Case {
    fn tensor(&self, values: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [self.rows, self.outcomes]), &Device::default())
    }

    fn chosen(&self) -> Tensor<1, Int> {
        let chosen: Vec<i64> = self.chosen.iter().map(|&outcome| outcome as i64).collect();
        Tensor::from_data(TensorData::new(chosen, [self.rows]), &Device::default())
    }

    fn softmax(&self) -> Softmax {
        Softmax::new(self.temperature, self.outcomes, &self.excluded, &Device::default())
    }

    /// As for tensors that operations follow, which take the composition.
    fn composed(&self) -> (Softmax, Tensor<2>, Tensor<2>, Tensor<1, Int>) {
        let device = Device::default().autodiff();
        let softmax = Softmax::new(self.temperature, self.outcomes, &self.excluded, &device);
        let chosen = Tensor::from_data(self.chosen().into_data(), &device);
        (softmax, self.tensor(&self.logits).autodiff().require_grad(), self.tensor(&self.others).autodiff(), chosen)
    }

    /// Log-probabilities of one row in f64, −∞ at impossible and excluded outcomes.
    fn log_probs(&self, logits: &[f32], row: usize) -> Vec<f64> {
        let row = &logits[row * self.outcomes..(row + 1) * self.outcomes];
        let adjust = |(outcome, &logit): (usize, &f32)| {
            let excluded = self.excluded.contains(&(outcome as u32));
            if excluded { f64::NEG_INFINITY } else { f64::from(logit) / self.temperature }
        };
        let logits: Vec<f64> = row.iter().enumerate().map(adjust).collect();
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total = logits.iter().map(|logit| (logit - highest).exp()).sum::<f64>().ln();
        logits.iter().map(|logit| logit - highest - total).collect()
    }

    /// Log-probability, entropy and divergence of each row, and the gradient of their weighted sum.
    fn oracle(&self) -> ([Vec<f64>; 3], Vec<f64>) {
        let (mut known, mut gradient) = ([vec![], vec![], vec![]], vec![]);
        for row in 0..self.rows {
            let (p, q) = (self.log_probs(&self.logits, row), self.log_probs(&self.others, row));
            let mean = |value: &dyn Fn(usize) -> f64| -> f64 {
                (0..p.len()).filter(|&o| p[o].exp() > 0.0).map(|o| p[o].exp() * value(o)).sum()
            };
            let (entropy, divergence) = (mean(&|o| -p[o]), mean(&|o| p[o] - q[o]));
            let [u, w, r] = [0, 1, 2].map(|kind| f64::from(self.upstream[kind][row]));
            for outcome in 0..p.len() {
                let share = p[outcome].exp();
                let (log_prob, chosen) = (p[outcome], f64::from(u8::from(outcome == self.chosen[row])));
                let of_all = match share > 0.0 {
                    true => share * (r * (log_prob - q[outcome] - divergence) - w * (log_prob + entropy) - u),
                    false => 0.0,
                };
                gradient.push((of_all + u * chosen) / self.temperature);
            }
            known[0].push(p[self.chosen[row]]);
            known[1].push(entropy);
            known[2].push(divergence);
        }
        (known, gradient)
    }

    /// What rounding leaves of a number made from logits of this size. Probabilities are as wrong as logits are coarse, which
    /// shows where they weigh numbers as large as the logits.
    #[track_caller]
    fn assert_close(&self, what: &str, found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len(), "{what}");
        let size = f64::from(self.size) / self.temperature.min(1.0);
        let coarse = if size > 100.0 { 1e-7 * size * size } else { 0.0 };
        for (place, (a, b)) in found.iter().zip(expected).enumerate() {
            let allowed = 1e-6 * (1.0 + size) * (1.0 + b.abs().min(10.0)) + 2e-5 * b.abs() + coarse;
            assert!((a - b).abs() <= allowed, "{what}[{place}]: {a} but {b}, logits of {}", self.size);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn predictions(case in cases()) {
        let ([log_probs, entropies, divergences], _) = case.oracle();
        let others = case.softmax().adjusted(case.tensor(&case.others));
        let fused = case.softmax().predict(case.tensor(&case.logits), case.chosen());
        case.assert_close("log-probability", &host(fused.log_probs.clone()), &log_probs);
        case.assert_close("entropy", &host(fused.entropy()), &entropies);
        case.assert_close("entropy of logits", &host(entropy(fused.logits.clone())), &entropies);
        case.assert_close("divergence", &host(forward_kl(fused.logits.clone(), others.clone())), &divergences);

        let (softmax, logits, others_again, chosen) = case.composed();
        let composed = softmax.predict(logits, chosen);
        case.assert_close("log-probability, composed", &host(composed.log_probs.clone()), &log_probs);
        case.assert_close("entropy, composed", &host(composed.entropy()), &entropies);
        let divergence = forward_kl(composed.logits.clone(), softmax.adjusted(others_again.clone()));
        case.assert_close("divergence, composed", &host(divergence), &divergences);
        let mixed = jensen_shannon(composed.logits, softmax.adjusted(others_again));
        case.assert_close("mixture", &host(jensen_shannon(fused.logits, others)), &host(mixed));
    }

    /// Fused, composed in closed form, and by automatic differentiation of the composition.
    #[test]
    fn gradients(case in cases(), entropy in any::<bool>(), divergence in any::<bool>()) {
        let mut case = case;
        for (kind, wanted) in [(1, entropy), (2, divergence)] {
            if !wanted {
                case.upstream[kind].fill(0.0);
            }
        }
        let upstream = |others: Tensor<2>, lift: &dyn Fn(Tensor<1>) -> Tensor<1>| {
            let of = |kind: usize| lift(column(&case.upstream[kind]));
            Upstream {
                log_probs: of(0),
                entropy: entropy.then(|| of(1)),
                divergence: divergence.then(|| (of(2), others)),
            }
        };
        let (_, expected) = case.oracle();
        let others = case.softmax().adjusted(case.tensor(&case.others));
        let adjusted = case.softmax().adjusted(case.tensor(&case.logits));
        let fused = case.softmax().gradient(adjusted, case.chosen(), upstream(others, &|values| values));
        case.assert_close("fused", &host(fused), &expected);

        let (softmax, logits, others, chosen) = case.composed();
        let others = softmax.adjusted(others);
        let composed = softmax.gradient(
            softmax.adjusted(logits.clone()),
            chosen.clone(),
            upstream(others.clone(), &Tensor::autodiff),
        );
        case.assert_close("composed", &host(composed), &expected);

        // Where every logit is finite: of an infinite one, differentiation makes not-a-number.
        if case.logits.iter().all(|logit| logit.is_finite()) {
            let known = softmax.predict(logits.clone(), chosen);
            let [u, w, r] = [0, 1, 2].map(|kind| column(&case.upstream[kind]).autodiff());
            let total = known.log_probs.clone() * u + known.entropy() * w + forward_kl(known.logits, others) * r;
            let gradient = logits.grad(&total.sum().backward()).expect("a gradient");
            case.assert_close("differentiated", &host(gradient), &expected);
        }
    }

    /// Rows are computed as if they were alone, whatever else is in the chunk: on the CPU to the last bit.
    #[test]
    fn rows_are_independent(case in cases(), row in any::<prop::sample::Index>()) {
        let check = |what, all: Vec<f64>, alone: Vec<f64>| match Device::default() == Device::flex() {
            true => assert_eq!(all, alone, "{what}"),
            false => case.assert_close(what, &all, &alone),
        };
        let row = row.index(case.rows);
        let all = case.softmax().predict(case.tensor(&case.logits), case.chosen());
        let alone = case.softmax().predict(
            case.tensor(&case.logits).narrow(0, row, 1),
            case.chosen().narrow(0, row, 1),
        );
        check("log-probability", host(all.log_probs.clone().narrow(0, row, 1)), host(alone.log_probs.clone()));
        check("entropy", host(all.entropy().narrow(0, row, 1)), host(alone.entropy()));
        let upstream = |first: usize, count: usize| Upstream {
            log_probs: column(&case.upstream[0]).narrow(0, first, count),
            entropy: Some(column(&case.upstream[1]).narrow(0, first, count)),
            divergence: None,
        };
        let adjusted = case.softmax().adjusted(case.tensor(&case.logits));
        let whole = case.softmax().gradient(adjusted.clone(), case.chosen(), upstream(0, case.rows));
        let alone = case.softmax().gradient(
            adjusted.narrow(0, row, 1),
            case.chosen().narrow(0, row, 1),
            upstream(row, 1),
        );
        check("gradient", host(whole.narrow(0, row, 1)), host(alone));
    }
}

/// A tensor that somebody else holds is left as it is.
#[test]
fn nothing_held_is_written_over() {
    let logits = Tensor::<2>::from_floats([[1.0, 2.0, 3.0]], &Device::default());
    let chosen = || Tensor::<1, Int>::from_ints([1], &Device::default());
    let softmax = Softmax::new(0.5, 3, &[0], &Device::default());
    let _ = softmax.predict(logits.clone(), chosen());
    let _ = softmax.adjusted(logits.clone());
    let upstream = Upstream { log_probs: column(&[1.0]), entropy: None, divergence: None };
    let _ = softmax.gradient(logits.clone(), chosen(), upstream);
    assert_eq!(host(logits), [1.0, 2.0, 3.0]);
}

#[track_caller]
fn assert_near<const D: usize>(found: Tensor<D>, expected: &[f32]) {
    let found: Vec<f32> = found.into_data().iter().collect();
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 2e-6), "{found:?} but {expected:?}");
}

#[test]
fn by_hand() {
    let device = Device::default();
    let logits = || Tensor::<2>::from_floats([[0.0, 3.0_f32.ln(), 7.0]], &device);
    let chosen = || Tensor::<1, Int>::from_ints([1], &device);
    let softmax = Softmax::new(1.0, 3, &[2], &device);
    let known = softmax.predict(logits(), chosen());
    let entropy = 0.25 * 4.0_f32.ln() + 0.75 * (4.0_f32 / 3.0).ln();
    assert_near(known.log_probs.clone(), &[0.75_f32.ln()]);
    assert_near(known.entropy(), &[entropy]);
    let upstream = Upstream { log_probs: column(&[2.0]), entropy: None, divergence: None };
    let gradient = softmax.gradient(softmax.adjusted(logits()), chosen(), upstream);
    assert_near(gradient, &[-0.5, 0.5, 0.0]);
    // At half the temperature odds are squared, and slopes doubled.
    let colder = Softmax::new(0.5, 3, &[2], &device);
    assert_near(colder.predict(logits(), chosen()).log_probs, &[0.9_f32.ln()]);
    let upstream = Upstream { log_probs: column(&[1.0]), entropy: None, divergence: None };
    let gradient = colder.gradient(colder.adjusted(logits()), chosen(), upstream);
    assert_near(gradient, &[-0.2, 0.2, 0.0]);
}

/// Not-a-number in a row stays in the row; a row without a possible outcome is not a number; an infinite surprise is infinite.
#[test]
fn what_is_not_a_number() {
    let device = Device::default();
    let (nan, never) = (f32::NAN, f32::NEG_INFINITY);
    let logits = || Tensor::<2>::from_floats([[nan, 0.0, 1.0], [never, never, never], [0.0, 0.0, 1.0]], &device);
    let chosen = || Tensor::<1, Int>::from_ints([1, 1, 1], &device);
    let known = Softmax::plain().predict(logits(), chosen());
    let upstream = Upstream { log_probs: column(&[1.0; 3]), entropy: Some(column(&[1.0; 3])), divergence: None };
    let gradient = host(Softmax::plain().gradient(logits(), chosen(), upstream));
    let even = || Tensor::<2>::from_floats([[0.0; 3]; 3], &device);
    for values in [
        host(known.log_probs.clone()),
        host(known.entropy()),
        host(forward_kl(logits(), even())),
        host(forward_kl(even(), logits())),
        host(jensen_shannon(logits(), even())),
        host(jensen_shannon(even(), logits())),
        gradient.iter().step_by(3).copied().collect(),
    ] {
        let finite: Vec<bool> = values.iter().map(|value| value.is_finite()).collect();
        assert!(values[0].is_nan() && values[1].is_nan() && finite[2], "{values:?}");
    }
    let sure = Tensor::<2>::from_floats([[0.0, never]], &device);
    let open = Tensor::<2>::from_floats([[0.0, 0.0]], &device);
    assert_eq!(host(forward_kl(open.clone(), sure.clone())), [f64::INFINITY]);
    assert!((host(forward_kl(sure.clone(), open.clone()))[0] - 2.0_f64.ln()).abs() < 1e-6);
    assert!(host(jensen_shannon(sure.clone(), open))[0] < 2.0_f64.ln());
    assert_eq!(host(forward_kl(sure.clone(), sure)), [0.0]);
}

/// Excluded outcomes have probability 0 and a finite logarithm of it, and nothing flows back to them.
#[test]
fn excluded_outcomes() {
    let device = Device::default();
    let softmax = Softmax::new(0.7, 4, &[1, 3], &device);
    let logits = || Tensor::<2>::from_floats([[0.5, 1e4, -0.5, f32::NAN]], &device);
    let chosen = || Tensor::<1, Int>::from_ints([1], &device);
    let known = softmax.predict(logits(), chosen());
    let log_prob = host(known.log_probs.clone())[0];
    assert!(log_prob.is_finite() && log_prob < -1e8, "{log_prob}");
    assert!(host(known.entropy())[0] < 2.0_f64.ln());
    let upstream = Upstream { log_probs: column(&[1.0]), entropy: None, divergence: None };
    let gradient = host(softmax.gradient(softmax.adjusted(logits()), chosen(), upstream));
    assert_eq!([gradient[1], gradient[3]], [0.0, 0.0]);
    assert!(gradient[0] < 0.0 && gradient[2] < 0.0, "{gradient:?}");
}

#[test]
fn no_rows() {
    let empty = || Tensor::<2>::zeros([0, 5], &Device::default());
    let chosen = Tensor::<1, Int>::zeros([0], &Device::default());
    let known = Softmax::new(2.0, 5, &[1], &Device::default()).predict(empty(), chosen);
    assert_eq!((known.log_probs.dims(), known.entropy().dims()), ([0], [0]));
    assert_eq!(forward_kl(empty(), empty()).dims(), [0]);
}

#[test]
#[should_panic(expected = "not among the 3")]
fn outcomes_must_be_among_the_logits() {
    let device = Device::flex();
    let _ = Softmax::plain().predict(Tensor::zeros([1, 3], &device), Tensor::<1, Int>::from_ints([3], &device));
}
