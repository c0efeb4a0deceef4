//! The distribution over the vocabulary is the same in chunks of any size as at once.

mod distributions;

use std::sync::LazyLock;

use burn::module::Module as _;
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use dependency::{Divergence, ForwardKl, JensenShannon, SampledK3};
use proptest::prelude::*;
use trainer::{
    Clean, ContrastScores, Gradients, KeptLogits, Positions as TokenPositions, Predictions, ViewPair, Vocabulary,
};
use vlm_model::QwenVl;

const WIDTH: usize = 128;
const VOCABULARY: u32 = 448;

/// A small untrained model on a device with autodiff.
static MODEL: LazyLock<QwenVl> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    trainer::demo::untrained(folder.path(), 3, &Device::default().autodiff()).expect("a writable folder")
});

/// Another one, without autodiff when it is used.
static REFERENCE: LazyLock<QwenVl> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    trainer::demo::untrained(folder.path(), 4, &Device::default().autodiff()).expect("a writable folder")
});

/// Some positions: two views' hidden states and the tokens that were sampled, none of which is excluded.
#[derive(Clone, Debug)]
struct Positions {
    clean: Vec<f32>,
    contrast: Vec<f32>,
    sampled: Vec<u32>,
    upstream: Vec<f32>,
}

fn positions() -> impl Strategy<Value = Positions> {
    (1_usize..12).prop_flat_map(|count| {
        let states = || prop::collection::vec(-6.0_f32..6.0, count * WIDTH);
        let allowed = (0..VOCABULARY).prop_filter("not excluded", |id| !MODEL.config.tokens.prompt_only().contains(id));
        // Most positions may have no gradient, as behind a token filter.
        let upstream = (0..4_u8, prop::collection::vec((-1.0_f32..1.0, 0..4_u8), count));
        let upstream = upstream.prop_map(|(zeros, values)| -> Vec<f32> {
            values.into_iter().map(|(value, place)| if place < zeros { 0.0 } else { value }).collect()
        });
        (states(), states(), prop::collection::vec(allowed, count), upstream)
            .prop_map(|(clean, contrast, sampled, upstream)| Positions { clean, contrast, sampled, upstream })
    })
}

impl Positions {
    fn count(&self) -> usize {
        self.sampled.len()
    }

    fn states(&self, values: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [self.count(), WIDTH]), &Device::default())
    }

    fn ids(&self) -> Tensor<1, Int> {
        let ids: Vec<i64> = self.sampled.iter().map(|&id| i64::from(id)).collect();
        Tensor::from_data(TensorData::new(ids, [self.count()]), &Device::default())
    }
}

fn sampled(temperature: f64, chunk: usize) -> Vocabulary {
    let excluded = MODEL.config.tokens.prompt_only();
    Vocabulary::sampled(temperature, chunk, VOCABULARY as usize, &excluded, &Device::default())
}

/// What takes the excluded tokens out of logits, `[1, vocab]`.
fn exclusion() -> Tensor<2> {
    let excluded = MODEL.config.tokens.prompt_only();
    let bias: Vec<f32> = (0..VOCABULARY).map(|id| if excluded.contains(&id) { -1e9 } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(bias, [1, VOCABULARY as usize]), &Device::default())
}

fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

/// Log-probabilities of one position in f64, excluded tokens left out.
fn naive(logits: &[f64], temperature: f64) -> Vec<f64> {
    let excluded = MODEL.config.tokens.prompt_only();
    let allowed = |id: usize| !excluded.contains(&(id as u32));
    let scaled: Vec<f64> = logits.iter().map(|logit| logit / temperature).collect();
    let total: f64 = scaled.iter().enumerate().filter(|&(id, _)| allowed(id)).map(|(_, x)| x.exp()).sum();
    scaled.iter().enumerate().map(|(id, x)| if allowed(id) { x - total.ln() } else { f64::NEG_INFINITY }).collect()
}

/// One view compared with the clean one.
fn compare(
    vocabulary: &Vocabulary,
    clean: &Tensor<2>,
    view: &Tensor<2>,
    ids: &Tensor<1, Int>,
    divergences: &[&dyn Divergence],
) -> ContrastScores {
    let comparison = ViewPair { base: None, view: Some(view.clone()), divergences: divergences.to_vec() };
    let (_, mut scores) = vocabulary.compare(&MODEL.valid(), &Clean::States(clean.clone()), ids, &[comparison]);
    scores.remove(0)
}

#[track_caller]
fn assert_close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}[{index}]: {a} but {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 10, ..ProptestConfig::default() })]

    /// Log-probabilities and entropies are those of an f64 softmax over the tokens that can be sampled.
    #[test]
    fn scores_are_those_of_a_softmax(positions in positions(), temperature in 0.5_f64..2.0) {
        let (policy, states) = (MODEL.valid(), positions.states(&positions.clean));
        let logits = host(&policy.logits(states.clone()));
        let distributions: Vec<Vec<f64>> =
            logits.chunks(VOCABULARY as usize).map(|logits| naive(logits, temperature)).collect();
        let expected: Vec<f64> =
            distributions.iter().zip(&positions.sampled).map(|(scores, &id)| scores[id as usize]).collect();
        let entropy = |scores: &Vec<f64>| scores.iter().filter(|s| s.is_finite()).map(|s| -s.exp() * s).sum::<f64>();
        let entropies: Vec<f64> = distributions.iter().map(entropy).collect();
        for chunk in 1..=positions.count() + 1 {
            let ours = sampled(temperature, chunk).score(&policy, &states, &positions.ids());
            assert_close("log-probability", &host(&ours.log_probs), &expected, 1e-5);
            assert_close("entropy", &host(&ours.entropy), &entropies, 1e-5);
        }
    }

    /// Divergences in chunks are those of all positions at once, at the sampling temperature.
    #[test]
    fn contrasts_do_not_depend_on_the_chunk(positions in positions(), temperature in 0.5_f64..2.0) {
        let policy = MODEL.valid();
        let (clean, contrast) = (positions.states(&positions.clean), positions.states(&positions.contrast));
        let (kl, js, k3) = (ForwardKl::default(), JensenShannon::default(), SampledK3::default());
        let divergences: [&dyn Divergence; 3] = [&kl, &js, &k3];
        let at_once = |states: &Tensor<2>| (policy.logits(states.clone()) + exclusion()) / temperature;
        let (clean_logits, contrast_logits) = (at_once(&clean), at_once(&contrast));
        let log_probs = log_softmax(contrast_logits.clone(), 1).gather(1, positions.ids().unsqueeze_dim(1));
        for chunk in 1..=positions.count() + 1 {
            let ours = compare(&sampled(temperature, chunk), &clean, &contrast, &positions.ids(), &divergences);
            assert_close("log-probability", &host(&ours.log_probs), &host(&log_probs), 1e-5);
            prop_assert_eq!(ours.divergences.len(), 3);
            for (ours, divergence) in ours.divergences.iter().zip(divergences) {
                let theirs = divergence.per_token(clean_logits.clone(), contrast_logits.clone(), positions.ids());
                assert_close("divergence", &host(ours), &host(&theirs), 2e-5);
            }
        }
    }

    /// The gradient that is carried back in chunks is that of plain autodiff over all positions, for the states and for the
    /// output projection.
    #[test]
    fn backward_does_not_depend_on_the_chunk(positions in positions(), temperature in 0.5_f64..2.0) {
        let model = &*MODEL;
        let upstream = Tensor::<1>::from_data(TensorData::new(positions.upstream.clone(), [positions.count()]), &Device::default());
        let leaf = positions.states(&positions.clean).autodiff().require_grad();
        let logits = (model.logits(leaf.clone()) + exclusion()) / temperature;
        let log_probs: Tensor<1> = log_softmax(logits, 1).gather(1, positions.ids().unsqueeze_dim(1)).squeeze_dim(1);
        let mut found = (log_probs * upstream.clone()).sum().backward();
        let states_expected = host(&leaf.grad_remove(&mut found).expect("a gradient"));
        let projection = model.model.embed_tokens.weight.id;
        let weight_expected = GradientsParams::from_grads(found, model).get::<2>(projection).expect("a gradient");

        let states = positions.states(&positions.clean);
        for chunk in 1..=positions.count() + 1 {
            let mut gradients = Gradients::default();
            let positions = TokenPositions { hidden: states.clone(), sampled: positions.ids(), entropy: false, reference: None };
            let upstream = Predictions { log_probs: upstream.clone(), entropy: None, reference_divergence: None };
            let ours = sampled(temperature, chunk).backward(model, &positions, KeptLogits::default(), &upstream, &mut gradients);
            assert_close("states", &host(&ours), &states_expected, 1e-5);
            let weight = gradients.clip(model, f64::INFINITY).gradient.get::<2>(projection).expect("a gradient");
            assert_close("projection", &host(&weight), &host(&weight_expected), 1e-5);
        }
    }
}

/// Tokens that belong to prompts have probability zero, and their exclusion leaves entropies and divergences finite.
#[test]
fn excluded_tokens_have_no_probability() {
    let policy = MODEL.valid();
    let excluded = policy.config.tokens.prompt_only();
    let states = Tensor::<2>::full([excluded.len(), WIDTH], 0.7, &Device::default());
    let ids = Tensor::<1, Int>::from_ints(excluded.map(i64::from), &Device::default());
    for temperature in [0.0, 0.1, 1.0, 3.0] {
        let vocabulary = sampled(temperature, 2);
        let scores = vocabulary.score(&policy, &states, &ids);
        assert!(host(&scores.log_probs).iter().all(|&log_prob| log_prob.is_finite() && log_prob.exp() == 0.0));
        let entropies = host(&scores.entropy);
        assert!(
            entropies.iter().all(|&entropy| (0.0..=f64::from(VOCABULARY).ln()).contains(&entropy)),
            "{entropies:?}"
        );
        let (kl, k3) = (ForwardKl::default(), SampledK3::default());
        let compared = compare(&vocabulary, &states, &(states.clone() * -1.0), &ids, &[&kl, &k3]);
        assert!(compared.divergences.iter().flat_map(host).all(|value| value.is_finite() && value >= 0.0));
    }
    let counted: f64 = (0..VOCABULARY)
        .filter(|id| !excluded.contains(id))
        .map(|id| {
            let id = Tensor::<1, Int>::from_ints([i64::from(id)], &Device::default());
            host(&sampled(0.7, 1).score(&policy, &states.clone().narrow(0, 0, 1), &id).log_probs)[0].exp()
        })
        .sum();
    assert!((counted - 1.0).abs() < 1e-5, "all other tokens together have probability {counted}");
}

/// Log-probabilities of the clean view are enough for divergences that read the sampled token alone; either side may be the
/// clean view, and any number of comparisons shares it.
#[test]
fn known_log_probabilities_take_the_place_of_states() {
    let policy = MODEL.valid();
    let states = |scale: f32| {
        let values: Vec<f32> = (0..5 * WIDTH).map(|i| scale * ((i * 37 % 101) as f32 / 50.0 - 1.0)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [5, WIDTH]), &Device::default())
    };
    let ids = Tensor::<1, Int>::from_ints([5, 6, 7, 8, 9], &Device::default());
    for chunk in [1, 2, 5, 9] {
        let vocabulary = sampled(0.8, chunk);
        let (k3, kl) = (SampledK3::default(), ForwardKl::default());
        fn comparisons<'a>(divergence: &'a dyn Divergence, states: &dyn Fn(f32) -> Tensor<2>) -> Vec<ViewPair<'a>> {
            let of = |base: Option<f32>, view: Option<f32>| ViewPair {
                base: base.map(states),
                view: view.map(states),
                divergences: vec![divergence],
            };
            vec![of(None, Some(2.0)), of(Some(2.0), Some(-1.0)), of(Some(-1.0), None), of(None, None)]
        }
        let comparisons = |divergence| comparisons(divergence, &states);
        let from_states = vocabulary.compare(&policy, &Clean::States(states(1.0)), &ids, &comparisons(&k3));
        let known = Clean::LogProbs(from_states.0.log_probs.clone());
        let from_log_probs = vocabulary.compare(&policy, &known, &ids, &comparisons(&k3));
        assert_eq!(host(&from_log_probs.0.log_probs), host(&from_states.0.log_probs));
        assert!(host(&from_log_probs.0.entropy).iter().all(|entropy| entropy.is_nan()));
        for (ours, theirs) in from_log_probs.1.iter().zip(&from_states.1) {
            assert_eq!(host(&ours.log_probs), host(&theirs.log_probs));
            assert_eq!(host(&ours.divergences[0]), host(&theirs.divergences[0]));
        }
        assert!(host(&from_states.1[3].divergences[0]).iter().all(|&value| value == 0.0));
        let whole = vocabulary.compare(&policy, &Clean::States(states(1.0)), &ids, &comparisons(&kl)).1;
        for (index, comparison) in comparisons(&kl).into_iter().enumerate() {
            let alone = vocabulary.compare(&policy, &Clean::States(states(1.0)), &ids, &[comparison]).1;
            assert_eq!(host(&alone[0].divergences[0]), host(&whole[index].divergences[0]));
        }
    }
}

/// A greedy rollout is scored at temperature 1.
#[test]
fn greedy_rollouts_are_scored_at_temperature_one() {
    let policy = MODEL.valid();
    let states = Tensor::<2>::full([1, WIDTH], 0.3, &Device::default());
    let ids = Tensor::<1, Int>::from_ints([5], &Device::default());
    let of = |temperature| host(&sampled(temperature, 1).score(&policy, &states, &ids).log_probs);
    assert_eq!(of(0.0), of(1.0));
    assert_ne!(of(0.5), of(1.0));
}
