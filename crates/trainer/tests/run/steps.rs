//! Single steps of a run: rollouts, filters, reference policies and validation.

use advantage::{AdvantageEstimator, CreditError, Evidence};
use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};
use reward::{Answer, Part, Reason, Reward, SoftOverlong, Ungraded, Verdict};
use rollout::Finish;
use trainer::{
    KlEstimator, MetricsFile, Objective, Recipe, ReferenceKl, Source, TrainConfig, TrainError, TrainObserver as _,
    Trainer, built_in, dapo, grpo, vppo,
};
use vlm_model::{Precision, QwenVl};

use crate::workspace::{EveryOther, Workspace, device_name};

/// The bits of all parameters, one after another.
fn bits(model: &QwenVl) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>().map(f32::to_bits));
        }
    }
    let mut bits = Bits(Vec::new());
    model.visit(&mut bits);
    bits.0
}

/// Log-probabilities seen at sampling, token by token behind a cache, are those recomputed for training in one pass.
#[test]
fn rollout_and_training_agree() {
    let workspace = Workspace::new();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/checkpoints/tiny-tied-f32-saved");
    for (name, temperature) in [("one", 1.0), ("low", 0.7), ("high", 1.3)] {
        let mut config = workspace.config(name, "grpo");
        config.model = fixture.into();
        config.rollout.sampling.temperature = temperature;
        config.rollout.sampling.max_new_tokens = 24;
        let report = Trainer::start(config).expect("starts").step().expect("a step");
        eprintln!("temperature {temperature}: largest gap {:.2e}, mean {:.2e}", report.gap_max, report.gap_mean);
        assert!(report.gap_max <= 3e-5, "gap of {:.2e} at temperature {temperature}", report.gap_max);
        assert!(report.gap_mean > 0.0 && report.gap_mean <= report.gap_max, "it is measured");
        assert!(report.entropy > 0.1 && report.kept_groups == 2 && report.response_length > 1.0);
    }
}

/// A band that no group passes makes a step without an update, not an error; every number of its report is one.
#[test]
fn a_band_can_filter_everything() {
    let workspace = Workspace::new();
    let banded: Vec<Recipe> = built_in().into_iter().filter(|recipe| recipe.accuracy_band.is_some()).collect();
    assert!(banded.len() >= 5, "{} recipes", banded.len());
    for recipe in banded {
        let mut trainer = Trainer::start(workspace.config(&recipe.name, &recipe.name)).expect("starts");
        let before = bits(&trainer.policy);
        let report = trainer.step().expect("not an error");
        assert_eq!((report.kept_groups, report.sampled_groups), (0, 4), "two rounds of two");
        assert_eq!((report.updates, report.skipped_updates), (0, 0));
        assert!(report.gradient_norm.is_nan() && report.policy_loss.is_nan() && report.selected.is_nan(), "{report:?}");
        assert_eq!((report.step, trainer.step), (1, 1));
        assert_eq!(bits(&trainer.policy), before);
        assert!(trainer.updater.optimizer.to_record().is_empty());
        let line = serde_json::to_value(&report).expect("a JSON object");
        let numbers = line.as_object().expect("an object");
        let is_finite = |value: &serde_json::Value| value.is_null() || value.as_f64().is_some_and(f64::is_finite);
        assert!(numbers.len() > 20 && numbers.values().all(is_finite), "{line}");
        assert!(line["actor/grad_norm"].is_null() && line["response_length/mean"].is_null(), "{line}");
        assert!(line["reward/overall"].is_number() && line["perf/total_num_tokens"] == 0, "{line}");
    }
}

/// An advantage that is not a number spoils a step's update and nothing else.
#[test]
fn steps_that_are_not_finite_are_counted_and_skipped() {
    struct Broken;
    impl AdvantageEstimator for Broken {
        fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
            Ok(evidence.response().clone().float() * f32::NAN)
        }
    }
    let workspace = Workspace::new();
    let mut trainer = Trainer::start(workspace.config("run", "grpo")).expect("starts");
    let before = bits(&trainer.policy);
    trainer.algorithm.estimator = Box::new(Broken);
    let report = trainer.step().expect("not an error");
    assert_eq!((report.skipped_updates, report.updates), (2, 0), "both optimizer steps");
    let line = serde_json::to_value(&report).expect("a JSON object");
    assert!(line["actor/grad_norm"].is_null() && line["actor/pg_loss"].is_null(), "there is none: {line}");
    assert_eq!(bits(&trainer.policy), before);
    trainer.algorithm.estimator = Box::new(EveryOther);
    let report = trainer.step().expect("a step");
    assert!(report.skipped_updates == 0 && report.gradient_norm > 0.0);
    assert_ne!(bits(&trainer.policy), before);
}

/// The k3 pull towards the policy the run began with is zero at first and grows as the policy moves away.
#[test]
fn a_reference_policy_is_pulled_towards() {
    let workspace = Workspace::new();
    let divergences = |coefficient: f64| {
        let reference_kl = Some(ReferenceKl { estimator: KlEstimator::K3, coefficient });
        let objective = Objective { reference_kl, ..grpo().objective };
        let name = format!("grpo-k3-{coefficient}");
        let recipe = workspace.recipe(&Recipe { name: name.clone(), objective, ..grpo() });
        let mut config = workspace.config(&name, &recipe);
        (config.update.updates_per_step, config.update.learning_rate) = (1, 3e-4);
        let mut trainer = Trainer::start(config).expect("starts");
        trainer.algorithm.estimator = Box::new(EveryOther);
        (0..6).map(|_| trainer.step().expect("a step").reference_kl).collect::<Vec<f64>>()
    };
    let (weak, strong) = (divergences(1e-6), divergences(5.0));
    eprintln!("reference KL over six steps: weak pull {weak:?}, strong pull {strong:?}");
    assert!(weak[0].abs() < 1e-9 && strong[0].abs() < 1e-9, "policy and reference begin alike");
    assert!(weak[1] > 1e-4 && weak[5] > weak[1]);
    assert!(strong[5] < 0.7 * weak[5], "the pull holds the policy back");
}

/// Responses cut at the length limit are judged like any other, or earn nothing, as configured.
#[test]
fn truncated_responses_may_earn_nothing() {
    struct Generous;
    impl Reward for Generous {
        fn judge(&self, answers: &[Answer<'_>]) -> Vec<Result<Verdict, Ungraded>> {
            let right = || Ok(Verdict { overall: 1.0, accuracy: 1.0, parts: Vec::new() });
            answers.iter().map(|_| right()).collect()
        }
    }
    let workspace = Workspace::new();
    for judge_truncated in [true, false] {
        let mut config = workspace.config(&format!("judge-{judge_truncated}"), "grpo");
        config.rollout.judge_truncated = judge_truncated;
        let trainer = Trainer::start(config).expect("starts");
        let policy = trainer.policy.valid();
        let source = Source {
            policy: &policy,
            processor: &trainer.processor,
            reward: &Generous,
            config: &trainer.config,
            features: None,
        };
        let task = trainer.problems.task(0, &source).expect("readable").expect("a good problem");
        let groups = source.answer(vec![task], 64, &[5]).expect("can be sampled");
        assert_eq!((groups.len(), groups[0].verdicts.len()), (1, 64));
        for (completion, verdict) in groups[0].completions.iter().zip(&groups[0].verdicts) {
            let earns = judge_truncated || completion.finish == Finish::Stop;
            assert_eq!(verdict.overall, if earns { 1.0 } else { 0.0 }, "{completion:?}");
        }
        assert!(groups[0].completions.iter().any(|completion| completion.finish == Finish::Length));
    }
}

/// Judges of each group as many responses as are given, the others not at all.
struct Sparing(&'static [usize]);

impl Reward for Sparing {
    fn judge(&self, answers: &[Answer<'_>]) -> Vec<Result<Verdict, Ungraded>> {
        let mut judged = vec![0; self.0.len()];
        let outcome = |answer: &Answer<'_>| {
            judged[answer.group] += 1;
            if judged[answer.group] > self.0[answer.group] {
                let reason = Reason::Declined { message: "no more".to_owned() };
                return Err(Ungraded { part: "sparing".to_owned(), reason, errors: String::new() });
            }
            let overall = if judged[answer.group] == 1 { 1.0 } else { 0.25 };
            let parts = vec![Part { name: "style".to_owned(), value: 4.0 * overall }];
            Ok(Verdict { overall, accuracy: overall, parts })
        };
        answers.iter().map(outcome).collect()
    }
}

/// Responses without a verdict are in no group, no mean and no update; groups left with one response or none are dropped.
#[test]
fn ungraded_responses_are_left_out() {
    let workspace = Workspace::new();
    let step = |name: &str, judged: &'static [usize]| {
        let mut trainer = Trainer::start(workspace.config(name, "grpo")).expect("starts");
        trainer.reward = Box::new(Sparing(judged));
        let before = bits(&trainer.policy);
        let report = trainer.step().expect("not an error");
        let line = serde_json::to_value(&report).expect("a JSON object");
        let groups = (report.sampled_groups, report.kept_groups, report.ungraded_groups);
        let sums = (report.ungraded, report.reward, report.accuracy, line["reward/style"].as_f64());
        (groups, sums, bits(&trainer.policy) != before, report)
    };
    let (groups, sums, moved, report) = step("all", &[3, 3]);
    assert_eq!((groups, sums), ((2, 2, 0), (0, Some(0.5), Some(0.5), Some(2.0))));
    assert!(moved && report.skipped_updates == 0 && report.response_length > 0.0);
    let (groups, sums, moved, report) = step("some", &[3, 2]);
    assert_eq!((groups, sums), ((2, 2, 0), (1, Some(0.55), Some(0.55), Some(2.2))));
    assert!(moved && report.skipped_updates == 0);
    let (groups, sums, moved, _) = step("one", &[3, 1]);
    assert_eq!((groups, sums), ((2, 1, 1), (2, Some(0.625), Some(0.625), Some(2.5))));
    assert!(moved);
    let (groups, sums, moved, report) = step("none", &[0, 1]);
    assert_eq!((groups, sums), ((2, 0, 2), (5, Some(1.0), Some(1.0), Some(4.0))));
    assert!(!moved && report.policy_loss.is_nan() && report.gradient_norm.is_nan());
    let (groups, sums, _, _) = step("nothing", &[0, 0]);
    assert_eq!((groups, sums), ((2, 0, 2), (6, None, None, None)));
}

/// Where one response to a prompt is all a run asks for, one is enough.
#[test]
fn a_single_response_is_a_group_where_no_more_are_asked_for() {
    let workspace = Workspace::new();
    let mut config = workspace.config("single", "reinforce-pp");
    config.rollout.responses = 1;
    let mut trainer = Trainer::start(config).expect("starts");
    trainer.reward = Box::new(Sparing(&[1, 0]));
    let report = trainer.step().expect("a step");
    assert_eq!((report.kept_groups, report.ungraded_groups, report.ungraded), (1, 1, 1));
}

/// A penalty for long responses is a part of its own; a program is asked for every response.
#[test]
fn parts_of_the_reward_are_logged() {
    let workspace = Workspace::new();
    let program = r#"while read -r line; do id=${line#*:}; echo "{\"id\":${id%%,*},\"score\":0.5,\"parts\":{\"style\":2}}"; done"#;
    let config = |name: &str, program: &str| {
        let mut config = workspace.config(name, "grpo");
        let parts = format!(
            "[[parts]]\nkind = 'answer'\n[[parts]]\nkind = 'subprocess'\nname = 'mine'\nweight = 3\ncommand = ['sh', '-c', '''{program}''']\nlimits = {{ timeout = 20, retries = 0 }}"
        );
        config.reward = toml::from_str(&parts).expect("valid");
        config.rollout.overlong_penalty = Some(SoftOverlong::new(7, 4, 0.5).expect("valid"));
        config
    };
    let report = Trainer::start(config("run", program)).expect("starts").step().expect("a step");
    let line = serde_json::to_value(&report).expect("a JSON object");
    let parts = ["accuracy", "mine", "mine/style", "overlong-penalty", "overall"]
        .map(|name| line[format!("reward/{name}")].as_f64());
    assert_eq!(parts, [Some(0.0), Some(0.5), Some(2.0), Some(-0.5), Some(1.0)]);
    assert_eq!((line["rollout/ungraded"].as_u64(), line["groups/ungraded"].as_u64()), (Some(0), Some(0)));

    // One that ends at once judges nothing, and the step goes on.
    let report = Trainer::start(config("broken", "exit 1")).expect("starts").step().expect("not an error");
    assert_eq!((report.ungraded, report.kept_groups, report.ungraded_groups), (6, 0, 2));
    assert_eq!((report.reward, report.accuracy), (None, None), "nothing was measured");
    let line = serde_json::to_value(&report).expect("a JSON object");
    assert_eq!((&line["reward/overall"], line.get("reward/overlong-penalty")), (&serde_json::Value::Null, None));
    // One that is not there is found before anything is loaded.
    let mut missing = config("missing", program);
    missing.reward = toml::from_str("[[parts]]\nkind = 'subprocess'\ncommand = ['/no/such/judge']").expect("valid");
    let error = Trainer::start(missing).map(|_| ()).expect_err("there is no such program").to_string();
    assert!(error.contains("/no/such/judge"), "{error}");
}

/// The same seed makes the same step, another one another.
#[test]
fn steps_are_reproducible() {
    let workspace = Workspace::new();
    let recipe = workspace.recipe(&Recipe { name: "unfiltered".to_owned(), accuracy_band: None, ..vppo() });
    let after = |output: &str, change: fn(&mut TrainConfig)| {
        let mut config = workspace.config(output, &recipe);
        change(&mut config);
        let mut trainer = Trainer::start(config).expect("starts");
        trainer.algorithm.estimator = Box::new(EveryOther);
        trainer.step().expect("a step");
        bits(&trainer.policy)
    };
    let first = after("first", |_| {});
    assert_eq!(after("again", |_| {}), first);
    assert_ne!(after("seed", |config| config.seed = 12), first);
    assert_ne!(after("rate", |config| config.update.warmup_steps = 10), first, "the learning rate rises from zero");
}

/// Only the policy's own distribution is sampled and scored: DAPO and GRPO measure no dependency, VPPO does.
#[test]
fn reports_say_what_was_measured() {
    let workspace = Workspace::new();
    let report = |recipe: Recipe| {
        let recipe = Recipe { accuracy_band: None, name: format!("{}-unfiltered", recipe.name), ..recipe };
        let name = workspace.recipe(&recipe);
        let mut trainer = Trainer::start(workspace.config(&recipe.name, &name)).expect("starts");
        trainer.algorithm.estimator = Box::new(EveryOther);
        trainer.step().expect("a step")
    };
    let (plain, visual) = (report(dapo()), report(vppo()));
    assert!(plain.dependency.is_none() && plain.selected == 1.0 && plain.advantage == 1.0, "{plain:?}");
    assert!(visual.dependency.is_some_and(|dependency| dependency > 0.0), "{visual:?}");
    // All responses have the full seven tokens: 40 % of them, rounded up, speak, and the factors of their advantages average
    // one in each of the two optimizer batches.
    assert_eq!((visual.truncated, visual.response_length, visual.selected), (1.0, 7.0, 3.0 / 7.0));
    assert!((visual.advantage - 1.0).abs() < 1e-5, "{visual:?}");
    assert_eq!((plain.reward, plain.accuracy, plain.sampled_groups), (visual.reward, visual.accuracy, 2));
    let cost = visual.cost;
    assert!(cost.tokens > 2 * 20 && cost.throughput > 0.0 && cost.step_seconds >= cost.update_seconds, "{cost:?}");
    let phases =
        [cost.rollout_seconds, cost.reward_seconds, cost.score_seconds, cost.credit_seconds, cost.update_seconds];
    assert!(phases.iter().all(|seconds| *seconds > 0.0) && phases.iter().sum::<f64>() <= cost.step_seconds, "{cost:?}");
    assert!(cost.process_memory > 0.01 && cost.process_memory < 1000.0, "{cost:?}");
}

/// The held-out problems are answered after the last step.
#[test]
fn runs_end_with_a_validation() {
    let workspace = Workspace::new();
    let mut config = workspace.config("run", "grpo");
    config.data.held_out = Some(workspace.path("problems/held_out.jsonl").into());
    config.schedule.validation_samples = 2;
    let mut trainer = Trainer::start(config).expect("starts");
    let evaluation = trainer.run(&mut []).expect("runs").expect("there are held-out problems");
    let overall = &evaluation.overall;
    assert_eq!((overall.problems, evaluation.samples, overall.responses), (3, 2, 6));
    assert!(overall.accuracy.is_some_and(|accuracy| (0.0..=1.0).contains(&accuracy)));

    // A reward that judges nothing leaves no figures, in words or in the file of metrics.
    trainer.reward = Box::new(Sparing(&[0, 0, 0]));
    let held_out = trainer.config.data.held_out.clone().expect("held-out problems");
    let held_out = trainer.config.data.open(&held_out).expect("the same file");
    let dead = trainer.validate(&held_out, |_| {}).expect("not an error");
    assert_eq!(dead.to_string(), "not known, no response was judged (0 problems × 2; responses ungraded: 6)");
    let output = &trainer.config.output;
    MetricsFile::open(output).expect("a folder").on_validation(1, &dead).expect("a writable file");
    let metrics = std::fs::read_to_string(output.join("metrics.jsonl")).expect("metrics");
    let line: serde_json::Value = serde_json::from_str(metrics.lines().last().expect("a line")).expect("JSON");
    assert!(line["val/accuracy"].is_null() && line["val/reward_score"].is_null(), "{line}");
    assert_eq!((&line["val/problems"], &line["val/ungraded"]), (&0.into(), &6.into()));
}

/// Layers in half precision: sampling, scoring, the reference and the update round the same matrices, the policy moves, and its
/// parameters stay of single precision.
#[test]
fn steps_can_be_taken_in_half_precision() {
    let workspace = Workspace::new();
    let mut recipe = vppo();
    recipe.name = "pulled".to_owned();
    recipe.objective.reference_kl = Some(ReferenceKl { estimator: KlEstimator::K3, coefficient: 0.01 });
    let mut config = workspace.config("half", &workspace.recipe(&recipe));
    config.precision = Precision::BFloat16;
    config.update.updates_per_step = 1;
    config.model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/checkpoints/tiny-tied-f32-saved").into();
    let mut trainer = match Trainer::start(config) {
        Err(TrainError::Device { reason, .. }) if reason.contains("bf16") => return,
        started => started.expect("starts"),
    };
    trainer.algorithm.estimator = Box::new(EveryOther);
    trainer.algorithm.accuracy_band = None;
    let before = bits(&trainer.policy);
    let report = trainer.step().expect("a step");
    // Where one of them did not round, or rounded something else, these would be of the order of 1e-2: so much is the gap that
    // transformers has between half and single precision with these weights. Kernels of GPUs differ by the number of rows.
    let same = if device_name() == "cpu" { 1e-4 } else { 3e-2 };
    eprintln!("gap {:.2e}, drift {:.2e}, pull {:.2e}", report.gap_mean, report.drift, report.reference_kl);
    assert!(report.gap_max <= same, "sampled and scored: {:e}", report.gap_max);
    assert!(report.drift.abs() <= same, "scored and updated: {:e}", report.drift);
    assert!(report.reference_kl.abs() <= same, "policy and reference: {:e}", report.reference_kl);
    assert!(report.gradient_norm > 0.0 && report.gradient_norm.is_finite());
    assert!(report.dependency.is_some_and(|dependency| dependency > 0.0), "{:?}", report.dependency);
    assert_eq!((report.updates, report.skipped_updates, report.not_finite), (1, 0, 0));
    assert_ne!(bits(&trainer.policy), before);
    let formats =
        [&trainer.policy, trainer.reference.as_ref().expect("a reference")].map(|it| it.output_weight().dtype());
    assert_eq!(formats, [DType::F32, DType::BF16]);
    assert_eq!(trainer.updater.precision, Precision::BFloat16);
}
