//! Objectives with every term, from scored groups to the gradient of the whole model.

use std::num::NonZeroUsize;

use advantage::NonNegative;
use burn::module::Module as _;
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use dependency::{BuiltInDivergence, Contrast, Metric, SampledK1, Unknown, View, VisualDependency};
use rollout::{Completion, Finish};
use serde_json::Value;
use trainer::{
    BuiltInLoss, ClipRange, ClippedSurrogate, Gspo, ImplicitPerception, ImportanceCorrection, KlEstimator, Lesson,
    Objective, Recipe, Reduction, ReferenceKl, Scored, TrainError, TruncatedImportance, UpdateConfig, UpdateReport,
    Vocabulary, is_overlong, updater,
};
use vlm_model::{Precision, QwenVl, TokenBatch, TokenGroup};

use crate::batch::{Setting, by_name, fixtures, relative_difference};

/// A policy that has gone another way.
fn other_policy(policy: &QwenVl) -> QwenVl {
    let mut other = policy.valid();
    for weight in [&mut other.visual.merger.mlp.2.weight, &mut other.model.layers[1].mlp.down_proj.weight] {
        *weight = weight.clone().map(|weight| weight * 1.5);
    }
    other
}

const fn every_term(reduction: Reduction) -> Objective {
    let half = NonNegative::literal(0.5);
    Objective {
        reduction,
        entropy_penalty: 0.06,
        entropy_bonus: 0.3,
        reference_kl: Some(ReferenceKl { estimator: KlEstimator::Full, coefficient: 0.7 }),
        perception: Some(ImplicitPerception { coefficient: half, masked_entropy: half }),
        importance: None,
    }
}

/// Gradient by name and report in passes of some size.
fn learn(
    setting: &Setting,
    lesson: &Lesson,
    tokens: usize,
) -> (std::collections::BTreeMap<String, Vec<f32>>, UpdateReport) {
    let (gradients, report) =
        updater(&UpdateConfig { tokens_per_micro_batch: tokens, ..UpdateConfig::default() }, Precision::Float32)
            .gradients(&setting.policy, lesson)
            .expect("everything is known");
    (by_name(&setting.policy, Some(&gradients.clip(&setting.policy, f64::INFINITY).gradient)), report)
}

/// Sampling log-probabilities near those recomputed.
fn sampled_by_an_engine(mut scored: Scored) -> Scored {
    let rows = scored.rows.split(&scored.clean.log_probs.to_data().iter::<f32>().collect::<Vec<f32>>());
    let completions = scored.groups.iter_mut().flat_map(|group| &mut group.completions);
    for (completion, row) in completions.zip(rows) {
        completion.log_probs = row.iter().enumerate().map(|(token, p)| p + 0.4 * ((token % 3) as f32 - 1.0)).collect();
    }
    scored
}

/// Every term together, under every reduction, with a loss of single tokens and one of whole responses.
#[test]
fn every_objective_is_independent_of_the_micro_batch() {
    let mut setting = Setting::new(&UpdateConfig::default());
    let reference = other_policy(&setting.policy);
    let batch = sampled_by_an_engine(setting.stale());
    let credit = setting.credit(&batch);
    for (reduction, importance) in [
        (Reduction::TokenMean, None),
        (Reduction::SequenceMean, None),
        (Reduction::NonEmptySequenceMean, Some(ImportanceCorrection::Truncated(TruncatedImportance::default()))),
        (Reduction::SequenceSum, None),
        (Reduction::DrGrpo { max_length: NonZeroUsize::new(20) }, None),
        (Reduction::Selected, None),
    ] {
        if reduction == Reduction::NonEmptySequenceMean {
            setting.algorithm.loss = Box::new(Gspo::default());
        }
        setting.algorithm.objective = Objective { importance, ..every_term(reduction) };
        let lesson = Lesson { reference: Some(&reference), ..setting.lesson(&batch, &credit) };
        let (whole, report) = learn(&setting, &lesson, usize::MAX);
        let terms = [report.entropy, report.reference_kl, report.perception_kl, report.masked_entropy];
        assert!(terms.iter().all(|&term| term > 1e-3), "there is something to compare: {report:?}");
        // The engine's log-probabilities are 0.4 off for two of three tokens, and no weight reaches the cap of 2.
        let off = |token: usize| if importance.is_some() { (-0.4 * (token as f64 % 3.0 - 1.0)).exp() } else { 1.0 };
        let weights: Vec<f64> = batch.rows.lengths().iter().flat_map(|&length| (0..length).map(off)).collect();
        let mean = |power: i32| weights.iter().map(|weight| weight.powi(power)).sum::<f64>() / weights.len() as f64;
        assert!((report.importance - mean(1)).abs() < 1e-5 && report.limited == 0.0, "{report:?}");
        assert!((report.effective_share - mean(1).powi(2) / mean(2)).abs() < 1e-5, "{report:?}");
        for budget in [1, 160] {
            let (cut, other) = learn(&setting, &lesson, budget);
            for (name, values) in &cut {
                let difference = relative_difference(values, &whole[name]);
                assert!(
                    difference <= 1e-4,
                    "{reduction:?}, {budget} tokens a pass: {name} differs by {difference:.2e}"
                );
            }
            let numbers = |r: &UpdateReport| {
                [
                    r.policy_loss,
                    r.entropy,
                    r.reference_kl,
                    r.perception_kl,
                    r.masked_entropy,
                    r.effective_share,
                    r.limited,
                ]
            };
            for (ours, theirs) in numbers(&other).into_iter().zip(numbers(&report)) {
                assert!((ours - theirs).abs() <= 1e-5 * (1.0 + theirs.abs()), "{other:?} but {report:?}");
            }
        }
    }
}

/// The chunked gradient of entropy and divergence is that of plain autodiff through whole distributions of all tokens.
#[test]
fn whole_distributions_have_the_gradient_of_autodiff() {
    let mut setting = Setting::new(&UpdateConfig::default());
    let reference = other_policy(&setting.policy);
    let batch = setting.score(usize::MAX);
    let mut credit = setting.credit(&batch);
    credit.gate = credit.gate.zeros_like();
    setting.vocabulary = Vocabulary::plain(7);
    setting.algorithm.objective =
        Objective { entropy_penalty: 0.0, perception: None, ..every_term(Reduction::TokenMean) };
    let lesson = Lesson { reference: Some(&reference), ..setting.lesson(&batch, &credit) };
    let (ours, report) = learn(&setting, &lesson, 120);

    let scores = |model: &QwenVl| {
        let images: Vec<_> = setting.groups.iter().flat_map(|group| &group.task.patches).collect();
        let groups = setting.groups.iter().map(|group| TokenGroup {
            prompt: Some(group.task.prompt.clone()),
            responses: group.completions.iter().map(|completion| completion.tokens.clone()).collect(),
        });
        let tokens = TokenBatch::new(groups.collect(), model.image_features(&images)).expect("a feature per place");
        let places: Vec<i64> = tokens.predicting_places().into_iter().flatten().flatten().map(|p| p as i64).collect();
        let count = places.len();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &model.device());
        log_softmax(model.logits(model.hidden(&tokens, None).select(0, places)), 1)
    };
    let (policy, other) = (scores(&setting.policy), scores(&reference));
    let entropy = (policy.clone().exp() * policy.clone()).sum_dim(1).neg().mean();
    let divergence = (policy.clone().exp() * (policy - other)).sum_dim(1).mean();
    let value = |x: &Tensor<1>| x.to_data().iter::<f64>().next().expect("one number");
    assert!((value(&entropy) - report.entropy).abs() < 1e-5 * (1.0 + value(&entropy)), "{report:?}");
    assert!((value(&divergence) - report.reference_kl).abs() < 1e-5 * (1.0 + value(&divergence)), "{report:?}");
    assert!(report.reference_kl > 1e-3, "the two policies are not alike: {report:?}");
    let total = divergence * 0.7 - entropy * 0.3;
    let expected = by_name(&setting.policy, Some(&GradientsParams::from_grads(total.backward(), &setting.policy)));
    assert!(ours.keys().eq(expected.keys()));
    for (name, values) in &ours {
        let difference = relative_difference(values, &expected[name]);
        // A bias of the keys has hardly a gradient.
        let tolerance = if name.ends_with("k_proj.bias") { 1e-2 } else { 1e-4 };
        assert!(difference <= tolerance, "{name} differs by {difference:.2e}");
    }
}

/// A policy does not diverge from itself, and nothing pulls it.
#[test]
fn a_policy_is_its_own_reference() {
    let mut setting = Setting::new(&UpdateConfig::default());
    let batch = setting.score(usize::MAX);
    let mut credit = setting.credit(&batch);
    credit.gate = credit.gate.zeros_like();
    let reference_kl = Some(ReferenceKl { estimator: KlEstimator::Full, coefficient: 1.0 });
    setting.algorithm.objective = Objective { reference_kl, ..Objective::default() };
    let reference = setting.policy.valid();
    let (gradient, report) =
        learn(&setting, &Lesson { reference: Some(&reference), ..setting.lesson(&batch, &credit) }, usize::MAX);
    assert!(report.reference_kl.abs() < 1e-5, "{report:?}");
    let norm = gradient.values().flatten().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    assert!(norm < 1e-3, "gradient norm {norm:.2e}");
}

/// What a term reads and the lesson has not is an error before anything changes.
#[test]
fn missing_numbers_are_errors() {
    let mut setting = Setting::new(&UpdateConfig::default());
    let scored = setting.score(usize::MAX);
    let credit = setting.credit(&scored);
    let every = every_term(Reduction::TokenMean);
    let none = Objective { reference_kl: None, perception: None, entropy_bonus: 0.0, ..every.clone() };
    let importance = Some(ImportanceCorrection::Truncated(TruncatedImportance::default()));
    let sampled_kl = Some(ReferenceKl { estimator: KlEstimator::K3, coefficient: 0.1 });
    for (objective, batch, term) in [
        (Objective { reference_kl: every.reference_kl, ..none.clone() }, scored.clone(), "reference_kl"),
        (
            Objective { reference_kl: sampled_kl, ..none.clone() },
            Scored { reference: None, ..scored.clone() },
            "reference_kl",
        ),
        (
            Objective { perception: every.perception, ..none.clone() },
            Scored { contrasts: Vec::new(), ..scored.clone() },
            "perception",
        ),
        (Objective { importance, ..none.clone() }, scored.clone(), "importance"),
    ] {
        setting.algorithm.objective = objective;
        let found = updater(&UpdateConfig::default(), Precision::Float32)
            .gradients(&setting.policy, &setting.lesson(&batch, &credit));
        let error = found.err().expect(term);
        assert!(matches!(error, TrainError::Objective { term: found, .. } if found == term), "{error}");
    }
}

/// Responses cut at the limit leave numerators and denominators of the loss, and stay in the advantages of their group.
#[test]
fn the_overlong_filter_leaves_responses_out() {
    let mut setting = Setting::new(&UpdateConfig::default());
    setting.algorithm.objective = Objective { entropy_penalty: 0.5, ..Objective::default() };
    let mut batch = setting.stale();
    // The third response of nine tokens reaches the limit; the first only says that it ended for its length.
    for (response, length) in [(0, 5), (2, 9)] {
        let completion = &mut batch.groups[0].completions[response];
        assert_eq!(completion.tokens.len(), length);
        completion.finish = Finish::Length;
    }
    let credit = setting.credit(&batch);
    setting.algorithm.recipe.overlong_filter = true;
    let (filtered, report) = learn(&setting, &setting.lesson(&batch, &credit), 120);

    // By hand: 28 of 37 tokens are left.
    let proxies: Vec<f64> =
        setting.score(usize::MAX).clean.log_probs.to_data().iter::<f64>().map(|log_prob| -log_prob).collect();
    let rows = batch.rows.split(&proxies);
    let left: f64 = rows.iter().enumerate().filter(|(row, _)| *row != 2).flat_map(|(_, row)| row).sum();
    assert!((report.entropy_proxy - left / 28.0).abs() < 1e-5, "{report:?} but {}", left / 28.0);
    assert!((report.importance - 1.0).abs() < 1e-6, "{report:?}");
    // The same from rows whose gates and terms are closed by hand, under a policy loss alone.
    setting.algorithm.objective.entropy_penalty = 0.0;
    let (filtered_policy, _) = learn(&setting, &setting.lesson(&batch, &credit), usize::MAX);
    setting.algorithm.recipe.overlong_filter = false;
    let mut closed = credit.clone();
    closed.gate = closed.gate.slice_assign([2..3, 0..9], Tensor::zeros([1, 9], &Device::default()));
    let (by_hand, _) = learn(&setting, &setting.lesson(&batch, &closed), usize::MAX);
    for (name, values) in &filtered_policy {
        let scaled: Vec<f32> = by_hand[name].iter().map(|x| x * 37.0 / 28.0).collect();
        let difference = relative_difference(values, &scaled);
        assert!(difference <= 1e-4, "{name} differs by {difference:.2e}");
    }
    assert!(filtered.keys().eq(filtered_policy.keys()));
    // Their gates do not count among those of the tokens that speak.
    setting.algorithm.objective.reduction = Reduction::Selected;
    let (by_hand, _) = learn(&setting, &setting.lesson(&batch, &closed), usize::MAX);
    setting.algorithm.recipe.overlong_filter = true;
    let (selected, _) = learn(&setting, &setting.lesson(&batch, &credit), usize::MAX);
    for (name, values) in &selected {
        let difference = relative_difference(values, &by_hand[name]);
        assert!(difference <= 1e-4, "{name} differs by {difference:.2e}");
    }
    // Nothing at all is left of a batch of cut responses.
    setting.algorithm.recipe.overlong_filter = true;
    for completion in batch.groups.iter_mut().flat_map(|group| &mut group.completions) {
        completion.finish = Finish::Length;
    }
    let nothing = Lesson { max_new_tokens: 0, ..setting.lesson(&batch, &credit) };
    let (gradient, report) = learn(&setting, &nothing, 120);
    assert_eq!((report.policy_loss, report.entropy_proxy), (0.0, 0.0));
    assert!(gradient.values().flatten().all(|&x| x == 0.0));
}

/// Every recorded case of an independent implementation.
#[test]
fn overlong_responses_are_those_recorded() {
    let path = fixtures().join("credit/golden.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).expect("a fixture")).expect("JSON");
    let cases = golden["cases"]["overlong_filter"].as_array().expect("a list of cases");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let limit = case["in"]["max_length"].as_u64().expect("a length") as usize;
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let rows = list(&case["in"]["lengths"]).into_iter().zip(list(&case["in"]["finished"]));
        let kept = rows.map(|(length, finished)| {
            let finish = if finished.as_bool().expect("a flag") { Finish::Stop } else { Finish::Length };
            let tokens = vec![0; length.as_u64().expect("a length") as usize];
            Value::from(!is_overlong(&Completion { tokens, log_probs: Vec::new(), finish }, limit))
        });
        assert_eq!(kept.collect::<Vec<_>>(), list(&case["out"]), "{}", case["id"]);
    }
}

/// What the policy that sampled lost or gained against the reference is paid token by token, in all three estimates.
#[test]
fn rewards_pay_for_divergence() {
    let setting = Setting::new(&UpdateConfig::default());
    let scored = setting.score_against(&other_policy(&setting.policy), usize::MAX);
    let host = |x: Tensor<1>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
    let old = host(scored.clean.log_probs.clone());
    let reference = host(scored.reference.clone().expect("it is scored"));
    let value = |estimator: KlEstimator, difference: f64| match estimator {
        KlEstimator::K1 => -difference,
        KlEstimator::K2 => difference.powi(2) / 2.0,
        _ => (difference.clamp(-20.0, 20.0).exp() - 1.0 - difference.clamp(-20.0, 20.0)).min(10.0),
    };
    for estimator in [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3] {
        let evidence =
            scored.evidence(Some(ReferenceKl { estimator, coefficient: 0.2 })).expect("a reference is known");
        let paid = host(scored.rows.pack(evidence.token_rewards().expect("they are given")));
        assert!(paid.iter().any(|paid| paid.abs() > 1e-3), "there is something to pay");
        for ((paid, old), reference) in paid.iter().zip(&old).zip(&reference) {
            let expected = -0.2 * value(estimator, reference - old);
            assert!((paid - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{paid} but {expected}");
        }
    }
    assert!(scored.evidence(None).expect("no empty group").token_rewards().is_none());
    let full = Some(ReferenceKl { estimator: KlEstimator::Full, coefficient: 0.2 });
    let error = scored.evidence(full).expect_err("no estimate from sampled tokens").to_string();
    assert!(error.contains("reward_kl") && error.contains("k3"), "{error}");
    let alone = Scored { reference: None, ..scored };
    let kl = Some(ReferenceKl { estimator: KlEstimator::K1, coefficient: 0.2 });
    let error = alone.evidence(kl).expect_err("no reference").to_string();
    assert!(error.contains("reward_kl") && error.contains("reference"), "{error}");
}

/// A recipe's demands are known before anything is computed.
#[test]
fn recipes_are_checked() {
    let kl = |estimator| Some(ReferenceKl { estimator, coefficient: 0.1 });
    let plain = trainer::vppo().build();
    assert!(plain.check().is_ok() && !plain.needs_reference() && !plain.scores_reference());
    let full = Recipe { objective: every_term(Reduction::TokenMean), ..trainer::vppo() }.build();
    assert!(full.check().is_ok() && full.needs_reference() && !full.scores_reference());
    for estimator in [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3] {
        let mut sampled = trainer::vppo();
        sampled.objective.reference_kl = kl(estimator);
        let sampled = sampled.build();
        assert!(sampled.check().is_ok() && sampled.needs_reference() && sampled.scores_reference());
        let rewards = Recipe { reward_kl: kl(estimator), ..trainer::vppo() }.build();
        assert!(rewards.check().is_ok() && rewards.needs_reference() && rewards.scores_reference());
    }
    let nan = |estimator| Some(ReferenceKl { estimator, coefficient: f64::NAN });
    let vppo = trainer::vppo;
    let contrast = Contrast::new("blind", View::Blind, BuiltInDivergence::SampledK1(SampledK1::default()));
    let signed = Metric::VisualDependency(VisualDependency { contrast, unknown: Unknown::Keep });
    assert!(Recipe { dependency: Some(signed.clone()), ..vppo() }.build().check().is_ok(), "no logarithm is taken");
    let clip = ClipRange::new(0.2, 0.2).expect("a range");
    let weak = ClippedSurrogate { clip, dual: Some(1.0) };
    let with = |objective| Recipe { objective, ..vppo() };
    for (recipe, term) in [
        (with(Objective { entropy_penalty: f64::NAN, ..Objective::default() }), "entropy_penalty"),
        (with(Objective { entropy_bonus: f64::INFINITY, ..Objective::default() }), "entropy_bonus"),
        (with(Objective { reference_kl: nan(KlEstimator::K3), ..Objective::default() }), "reference_kl"),
        (Recipe { reward_kl: nan(KlEstimator::K1), ..vppo() }, "reward_kl"),
        (Recipe { reward_kl: kl(KlEstimator::Full), ..vppo() }, "reward_kl"),
        (Recipe { dependency: None, shapers: Vec::new(), ..with(every_term(Reduction::TokenMean)) }, "perception"),
        (Recipe { dependency: None, ..vppo() }, "shapers"),
        (Recipe { dependency: Some(signed), ..trainer::pgpo() }, "shapers"),
        (Recipe { loss: BuiltInLoss::ClippedSurrogate(weak), ..vppo() }, "loss.dual"),
    ] {
        let error = recipe.build().check().expect_err(term).to_string();
        assert!(error.contains(&format!("`{term}`")), "{error}");
    }
}
