//! Entropies and divergences of whole distributions, and their gradients, against the plain formula in f64.

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use trainer::{Gradients, KeptLogits, Positions as TokenPositions, Predictions};
use vlm_model::QwenVl;

use super::{MODEL, Positions, REFERENCE, VOCABULARY, WIDTH, assert_close, host, naive, positions, sampled};

/// The output projection, `[vocab, width]`.
fn projection(model: &QwenVl) -> Vec<f64> {
    host(&model.model.embed_tokens.weight.val())
}

/// Log-probabilities of one position in f64, from its state.
fn scores(projection: &[f64], state: &[f64], temperature: f64) -> Vec<f64> {
    let logit = |row: &[f64]| row.iter().zip(state).map(|(w, x)| w * x).sum::<f64>();
    naive(&projection.chunks(WIDTH).map(logit).collect::<Vec<f64>>(), temperature)
}

fn expectation(scores: &[f64], value: impl Fn(usize) -> f64) -> f64 {
    let terms = scores.iter().enumerate().filter(|(_, score)| score.is_finite());
    terms.map(|(id, score)| score.exp() * value(id)).sum()
}

/// Entropy of each position, and divergence from the reference.
struct Whole {
    entropy: Vec<f64>,
    divergence: Vec<f64>,
}

/// Everything the f64 formulas read.
struct Setting {
    policy: Vec<f64>,
    reference: Vec<f64>,
    clean: Vec<f64>,
    contrast: Vec<f64>,
    temperature: f64,
}

impl Setting {
    fn new(positions: &Positions, temperature: f64) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
        Self {
            policy: projection(&MODEL),
            reference: projection(&REFERENCE),
            clean: wide(&positions.clean),
            contrast: wide(&positions.contrast),
            temperature,
        }
    }

    fn whole(&self) -> Whole {
        let of = |projection: &[f64], states: &[f64]| -> Vec<Vec<f64>> {
            states.chunks(WIDTH).map(|state| scores(projection, state, self.temperature)).collect()
        };
        let (policy, reference) = (of(&self.policy, &self.clean), of(&self.reference, &self.contrast));
        Whole {
            entropy: policy.iter().map(|p| expectation(p, |id| -p[id])).collect(),
            divergence: policy.iter().zip(&reference).map(|(p, q)| expectation(p, |id| p[id] - q[id])).collect(),
        }
    }

    /// What the upstream gradients are taken of.
    fn total(&self, entropy: &[f32], divergence: &[f32]) -> f64 {
        let whole = self.whole();
        let dot = |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum::<f64>();
        dot(&whole.entropy, entropy) + dot(&whole.divergence, divergence)
    }
}

fn packed(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 10, ..ProptestConfig::default() })]

    /// In chunks of any size, values are those of the formula and gradients its finite differences, for states and projection.
    #[test]
    fn whole_distributions(positions in positions(), temperature in 0.5_f64..2.0, picks in prop::collection::vec(any::<u32>(), 6)) {
        let count = positions.count();
        let upstream: Vec<f32> = positions.upstream.iter().rev().copied().collect();
        let mut setting = Setting::new(&positions, temperature);
        let whole = setting.whole();
        let reference = REFERENCE.valid();
        let of = TokenPositions {
            hidden: positions.states(&positions.clean),
            sampled: positions.ids(),
            entropy: true,
            reference: Some((&reference, positions.states(&positions.contrast))),
        };
        let gradient_of = Predictions {
            log_probs: packed(&vec![0.0; count]),
            entropy: Some(packed(&positions.upstream)),
            reference_divergence: Some(packed(&upstream)),
        };
        let mut found: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
        for chunk in [1, 3, count, count + 1] {
            let vocabulary = sampled(temperature, chunk);
            let (ours, kept) = vocabulary.forward(&MODEL.valid(), &of);
            let scored = vocabulary.score(&MODEL.valid(), &of.hidden, &of.sampled);
            assert_close("log-probability", &host(&ours.log_probs), &host(&scored.log_probs), 1e-6);
            assert_close("entropy", &host(&ours.entropy.expect("it is wanted")), &whole.entropy, 1e-5);
            // A divergence is a difference of terms as large as the largest log-probability.
            assert_close("divergence", &host(&ours.reference_divergence.expect("it is wanted")), &whole.divergence, 5e-5);

            let mut gradients = Gradients::default();
            let states = host(&vocabulary.backward(&MODEL, &of, kept, &gradient_of, &mut gradients));
            let id = MODEL.model.embed_tokens.weight.id;
            let weight = gradients.clip(&MODEL, f64::INFINITY).gradient.get::<2>(id).expect("a gradient");
            found.push((states, host(&weight)));
        }
        let step = 1e-4;
        for pick in picks {
            let place = pick as usize % (count * WIDTH);
            let excluded = MODEL.config.tokens.prompt_only();
            let row = (0..VOCABULARY).cycle().skip(pick as usize % VOCABULARY as usize).find(|id| !excluded.contains(id)).expect("some are sampled");
            let weight = row as usize * WIDTH + pick as usize % WIDTH;
            let slope = |setting: &mut Setting, of: fn(&mut Setting) -> &mut Vec<f64>, place: usize| {
                let mut moved = |by: f64| {
                    of(setting)[place] += by;
                    let total = setting.total(&positions.upstream, &upstream);
                    of(setting)[place] -= by;
                    total
                };
                (moved(step) - moved(-step)) / (2.0 * step)
            };
            let expected = (
                slope(&mut setting, |setting| &mut setting.clean, place),
                slope(&mut setting, |setting| &mut setting.policy, weight),
            );
            for (states, weights) in &found {
                for (ours, theirs) in [(states[place], expected.0), (weights[weight], expected.1)] {
                    prop_assert!((ours - theirs).abs() <= 2e-4 * (1.0 + theirs.abs()), "{ours} but {theirs}");
                }
            }
        }
    }
}

/// What is not asked for is not computed, and no gradient of it is read.
#[test]
fn nothing_is_computed_unasked() {
    let hidden = Tensor::<2>::full([3, WIDTH], 0.3, &Device::default());
    let ids = Tensor::from_data([5_i64, 6, 7], &Device::default());
    let positions = TokenPositions { hidden, sampled: ids, entropy: false, reference: None };
    let vocabulary = sampled(1.0, 2);
    let ours = vocabulary.predictions(&MODEL.valid(), &positions);
    assert!(ours.entropy.is_none() && ours.reference_divergence.is_none());
    let upstream = |rest: Option<Tensor<1>>| Predictions {
        log_probs: packed(&[1.0, -1.0, 0.5]),
        entropy: rest.clone(),
        reference_divergence: rest,
    };
    let backward = |upstream| {
        let kept = KeptLogits::default();
        host(&vocabulary.backward(&MODEL, &positions, kept, &upstream, &mut Gradients::default()))
    };
    assert_eq!(backward(upstream(Some(packed(&[1.0, 2.0, 3.0])))), backward(upstream(None)));
}

/// Whatever lies at positions without a gradient, if they are many: they have none, and the others' is as if they were alone.
#[test]
fn positions_without_a_gradient_are_not_looked_at() {
    let hidden = |value: &[f32]| {
        let rows = value.iter().map(|&value| Tensor::<2>::full([1, WIDTH], value, &Device::default())).collect();
        Tensor::cat(rows, 0)
    };
    let found = |states: &[f32], slopes: &[f32], kept: bool| {
        let ids: Vec<i64> = (5..).take(states.len()).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [states.len()]), &Device::default());
        let positions = TokenPositions { hidden: hidden(states), sampled: ids, entropy: true, reference: None };
        let (vocabulary, mut gradients) = (sampled(1.0, 4), Gradients::default());
        let kept = if kept { vocabulary.forward(&MODEL.valid(), &positions).1 } else { KeptLogits::default() };
        let entropy = slopes.iter().map(|slope| 2.0 * slope).collect::<Vec<f32>>();
        let upstream =
            Predictions { log_probs: packed(slopes), entropy: Some(packed(&entropy)), reference_divergence: None };
        let of_states = host(&vocabulary.backward(&MODEL, &positions, kept, &upstream, &mut gradients));
        let clipped = gradients.clip(&MODEL, f64::INFINITY);
        let of_weight = clipped.gradient.get::<2>(MODEL.model.embed_tokens.weight.id).expect("a gradient");
        (of_states, host(&of_weight))
    };
    let alone = found(&[0.3, -0.2], &[1.0, -0.5], false);
    for kept in [false, true] {
        let among = found(&[0.3, -0.2, f32::NAN, f32::INFINITY], &[1.0, -0.5, 0.0, 0.0], kept);
        assert_close("projection", &among.1, &alone.1, 1e-6);
        assert_close("states", &among.0[..2 * WIDTH], &alone.0, 1e-6);
        assert!(among.0[2 * WIDTH..].iter().all(|&slope| slope == 0.0));
        // Where nothing has one, the projection has one of zeros, so that its moments decay as those of all others do.
        let (of_states, of_weight) = found(&[0.3, f32::NAN, f32::NAN], &[0.0; 3], kept);
        assert!(of_states.iter().chain(&of_weight).all(|&slope| slope == 0.0));
    }
}

/// A distribution does not diverge from itself, however sharp it is, and excluded tokens make nothing infinite.
#[test]
fn sharp_distributions_are_finite() {
    let policy = MODEL.valid();
    let states = Tensor::<2>::full([2, WIDTH], 40.0, &Device::default());
    let ids = Tensor::from_data([5_i64, 6], &Device::default());
    for (others, apart) in [(states.clone(), false), (states.clone() * -1.0, true)] {
        let positions = TokenPositions {
            hidden: states.clone(),
            sampled: ids.clone(),
            entropy: true,
            reference: Some((&policy, others)),
        };
        let vocabulary = sampled(0.1, 1);
        let (ours, kept) = vocabulary.forward(&policy, &positions);
        let divergence = host(&ours.reference_divergence.clone().expect("it is wanted"));
        assert!(divergence.iter().all(|&d| if apart { d.is_finite() && d > 1.0 } else { d == 0.0 }), "{divergence:?}");
        let entropy = host(&ours.entropy.clone().expect("it is wanted"));
        assert!(entropy.iter().all(|&entropy| (0.0..=f64::from(VOCABULARY).ln()).contains(&entropy)), "{entropy:?}");
        let ones = ours.log_probs.ones_like();
        let upstream =
            Predictions { log_probs: ones.clone(), entropy: Some(ones.clone()), reference_divergence: Some(ones) };
        let gradient = host(&vocabulary.backward(&MODEL, &positions, kept, &upstream, &mut Gradients::default()));
        assert!(gradient.iter().all(|slope| slope.is_finite()));
    }
}
