//! Nothing depends on how a batch is cut into passes.

use burn::module::Module as _;
use burn::tensor::Tensor;
use trainer::{Scored, UpdateConfig, updater};
use vlm_model::Precision;

use crate::batch::{Setting, by_name, relative_difference};

/// From one response a pass to everything at once.
const BUDGETS: [usize; 4] = [1, 90, 160, 100_000];

fn host(values: &Tensor<1>) -> Vec<f64> {
    values.to_data().iter::<f64>().collect()
}

/// Everything a scoring pass measures, by name.
fn measured(scored: &Scored) -> Vec<(&'static str, Vec<f64>)> {
    let contrast = &scored.contrasts[0];
    vec![
        ("log-probabilities", host(&scored.clean.log_probs)),
        ("entropies", host(&scored.clean.entropy)),
        ("log-probabilities under the contrast", host(&contrast.log_probs)),
        ("divergences", host(&contrast.divergences[0])),
        ("dependency", host(scored.dependency.as_ref().expect("it is measured"))),
        ("log-probabilities under the reference", host(scored.reference.as_ref().expect("there is one"))),
    ]
}

#[test]
fn scores_do_not_depend_on_the_micro_batch() {
    let setting = Setting::new(&UpdateConfig::default());
    let whole = measured(&setting.score(usize::MAX));
    for budget in BUDGETS {
        for ((what, ours), (_, theirs)) in measured(&setting.score(budget)).into_iter().zip(&whole) {
            assert_eq!(ours.len(), 37, "{what} of every token");
            let difference = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            eprintln!("{what}, at most {budget} tokens a pass: largest difference {difference:.2e}");
            // A divergence grows with the exponential of a difference of log-probabilities.
            let tolerance = if what.contains("log-prob") || what == "entropies" { 3e-5 } else { 1e-4 };
            assert!(difference <= tolerance, "{what} differ by {difference:.2e} with at most {budget} tokens a pass");
        }
    }
}

/// The reference policy looks at the images itself: its scores are those it gets as the policy.
#[test]
fn the_reference_sees_with_its_own_eyes() {
    let setting = Setting::new(&UpdateConfig::default());
    let mut other = setting.policy.valid();
    for weight in [&mut other.visual.merger.mlp.2.weight, &mut other.model.layers[1].mlp.down_proj.weight] {
        *weight = weight.clone().map(|weight| weight * 1.5);
    }
    let of_reference = host(setting.score_against(&other, 90).reference.as_ref().expect("there is one"));
    let own = host(&setting.score(90).clean.log_probs);
    let mut as_policy = Setting::new(&UpdateConfig::default());
    let features = |images: &[_]| other.image_features(&images.iter().collect::<Vec<_>>());
    as_policy.groups.iter_mut().for_each(|group| group.features = features(&group.task.patches));
    as_policy.policy = other.clone().train();
    let of_policy = host(&as_policy.score(90).clean.log_probs);
    let distance = |others: &[f64]| of_reference.iter().zip(others).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(distance(&of_policy) <= 3e-5, "they differ by {:.2e}", distance(&of_policy));
    assert!(distance(&own) > 0.1, "the two policies are not alike");
}

/// A prompt without an image looks the same in every view; one with an image does not.
#[test]
fn dependency_is_zero_without_an_image_alone() {
    let setting = Setting::new(&UpdateConfig::default());
    let scored = setting.score(usize::MAX);
    let dependency = scored.rows.split(&host(scored.dependency.as_ref().expect("it is measured")));
    assert!(dependency[4..6].iter().flatten().all(|&value| value == 0.0), "the second group has no image");
    for rows in [0..4, 6..9] {
        let values: Vec<f64> = dependency[rows].iter().flatten().copied().collect();
        assert!(values.iter().all(|&value| (0.0..=10.0).contains(&value)) && values.iter().any(|&value| value > 1e-3));
    }
    // Trajectory shaping and token filter leave the group without an image alone.
    let credit = setting.credit(&scored);
    let gates = scored.rows.split(&host(&scored.rows.pack(credit.gate)));
    let open = |row: usize| gates[row].iter().sum::<f64>();
    assert_eq!((0..9).map(open).collect::<Vec<_>>(), [2.0, 1.0, 4.0, 2.0, 4.0, 7.0, 3.0, 0.0, 1.0]);
    let advantages = scored.rows.split(&host(&scored.rows.pack(credit.advantage)));
    let deviation = 0.5 / (0.5_f64.sqrt() + 1e-6);
    assert!((advantages[4][0] - deviation).abs() < 1e-5 && (advantages[5][0] + deviation).abs() < 1e-5);
}

/// Gradient, its norm, the reported parts and the updated parameters, with the vision tower trained and frozen.
#[test]
fn updates_do_not_depend_on_the_micro_batch() {
    for freeze_vision in [false, true] {
        let update = UpdateConfig { freeze_vision, learning_rate: 1e-3, ..UpdateConfig::default() };
        let setting = Setting::new(&update);
        let batch = setting.stale();
        let credit = setting.credit(&batch);
        let run = |tokens_per_micro_batch: usize| {
            let mut updater = updater(&UpdateConfig { tokens_per_micro_batch, ..update }, Precision::Float32);
            let (sum, _) =
                updater.gradients(&setting.policy, &setting.lesson(&batch, &credit)).expect("the batch fits together");
            let gradient = by_name(&setting.policy, Some(&sum.clip(&setting.policy, f64::INFINITY).gradient));
            let (policy, report) = updater
                .step(setting.policy.clone(), &setting.lesson(&batch, &credit), update.learning_rate)
                .expect("the batch fits together");
            (gradient, by_name(&policy, None), report)
        };
        let (gradient, parameters, report) = run(usize::MAX);
        assert!(report.clipped_high > 0.1 && report.gradient_norm > 0.1, "there is something to compare: {report:?}");
        assert_eq!(gradient.keys().any(|name| name.starts_with("visual.")), !freeze_vision);
        for budget in BUDGETS {
            let (other_gradient, other_parameters, other_report) = run(budget);
            let of_gradient = compare(&other_gradient, &gradient, |_| true);
            // A bias of the keys has hardly a gradient, and Adam makes steps of its rounding error.
            let is_key_bias = |name: &str| name.ends_with("k_proj.bias");
            let of_parameters = compare(&other_parameters, &parameters, |name| !is_key_bias(name));
            let of_key_biases = compare(&other_parameters, &parameters, is_key_bias);
            eprintln!(
                "at most {budget} tokens a pass, vision frozen {freeze_vision}: largest relative difference of a gradient \
                 {of_gradient:.2e}, of a parameter {of_parameters:.2e}, of a key bias {of_key_biases:.2e}"
            );
            assert!(of_gradient <= 1e-4, "at most {budget} tokens a pass: gradient differs by {of_gradient:.2e}");
            assert!(of_parameters <= 1e-4, "at most {budget} tokens a pass: parameters differ by {of_parameters:.2e}");
            assert!(of_key_biases <= 1e-3, "at most {budget} tokens a pass: key biases differ by {of_key_biases:.2e}");
            let numbers = |r: &trainer::UpdateReport| {
                [r.policy_loss, r.entropy_proxy, r.clipped_high, r.clipped_low, r.drift, r.gradient_norm]
            };
            for (ours, theirs) in numbers(&other_report).into_iter().zip(numbers(&report)) {
                assert!((ours - theirs).abs() <= 1e-5 * (1.0 + theirs.abs()), "{other_report:?} but {report:?}");
            }
        }
    }
}

type ByName = std::collections::BTreeMap<String, Vec<f32>>;

/// The largest relative difference of the parameters that count.
fn compare(ours: &ByName, theirs: &ByName, counts: impl Fn(&str) -> bool) -> f64 {
    assert!(ours.keys().eq(theirs.keys()));
    let compared = ours.iter().filter(|(name, _)| counts(name));
    compared.map(|(name, values)| relative_difference(values, &theirs[name])).fold(0.0, f64::max)
}
