//! What stands in a run's file of metrics: names and definitions.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use trainer::{MetricsFile, Recipe, StepReport, TrainObserver, Trainer, built_in, vppo};

use crate::workspace::{EveryOther, Workspace};

/// The document has every name a run writes, and no other.
#[test]
fn the_document_has_every_name() {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).expect("the list");
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let listed: Vec<String> = document.lines().filter_map(name).collect();
    let documented: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), documented.len(), "each stands once");

    let workspace = Workspace::new();
    let mut written = BTreeSet::new();
    for (number, recipe) in built_in().into_iter().enumerate() {
        let recipe = Recipe { accuracy_band: None, name: format!("{}-unfiltered", recipe.name), ..recipe };
        let mut config = workspace.config(&recipe.name, &workspace.recipe(&recipe));
        // The seconds of a checkpoint stand in the line behind it.
        config.schedule.steps = if number == 0 { 2 } else { 1 };
        (config.schedule.save_every, config.schedule.validation_samples) = (1, 2);
        config.reward = toml::from_str("format_weight = 0.5").expect("valid");
        config.data.held_out = Some(workspace.path("problems/held_out.jsonl").into());
        let output = config.output.clone();
        let mut trainer = Trainer::start(config).expect("starts");
        let mut observers: Vec<Box<dyn TrainObserver>> = vec![Box::new(MetricsFile::open(&output).expect("a folder"))];
        trainer.run(&mut observers).expect("runs");
        let text = fs::read_to_string(output.join("metrics.jsonl")).expect("metrics");
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            written.extend(line.as_object().expect("an object").keys().map(|key| general(key)));
        }
    }
    written.remove("step");
    // Known of GPUs alone.
    written.insert("perf/memory_reserved_gb".to_owned());
    let missing: Vec<_> = written.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&written).collect();
    assert!(missing.is_empty() && stale.is_empty(), "not in the document: {missing:?}; no longer written: {stale:?}");
}

/// A name with what is a run's own in it replaced.
fn general(name: &str) -> String {
    let fixed = ["reward/overall", "reward/accuracy", "reward/frac_zero_std"];
    if name.starts_with("reward/") && !fixed.contains(&name) {
        "reward/NAME".to_owned()
    } else if name.starts_with("val/accuracy/") {
        "val/accuracy/CATEGORY".to_owned()
    } else if name.starts_with("val/pass@") {
        "val/pass@K".to_owned()
    } else if name.starts_with("val/") && name.ends_with("_reward") {
        "val/NAME_reward".to_owned()
    } else {
        name.to_owned()
    }
}

/// Sum over count.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Figures of a step with optimizer batches of unequal size are those over all of its responses and tokens.
#[test]
fn figures_are_over_the_whole_step() {
    let workspace = Workspace::new();
    let recipe = Recipe { name: "unfiltered".to_owned(), accuracy_band: None, ..vppo() };
    let mut config = workspace.config("run", &workspace.recipe(&recipe));
    // A policy that stays as it is: current log-probabilities are the old ones in every optimizer step.
    (config.rollout.prompts_per_step, config.update.learning_rate) = (3, 0.0);
    let mut trainer = Trainer::start(config).expect("starts");
    trainer.algorithm.estimator = Box::new(EveryOther);
    let report = trainer.step().expect("a step");
    assert_eq!((report.kept_groups, report.updates), (3, 2), "one group and two");
    check(&report);

    // A mean of means would be another.
    let records = report.rollouts.as_ref().expect("recorded");
    let loss = |groups: std::ops::Range<usize>| {
        let tokens = records.iter().filter(|r| groups.contains(&r.group)).filter_map(|r| r.tokens.as_ref());
        let values = tokens.flat_map(|t| t.advantage.iter().zip(&t.gate));
        mean(&values.map(|(advantage, gate)| -f64::from(advantage * gate)).collect::<Vec<_>>())
    };
    let of_means = (loss(0..1) + loss(1..3)) / 2.0;
    assert!((report.policy_loss - of_means).abs() > 1e-2, "{} and {of_means}", report.policy_loss);
}

/// Holds the report against plain loops over the records.
fn check(report: &StepReport) {
    let records = report.rollouts.as_ref().expect("recorded");
    let tokens = || records.iter().map(|record| record.tokens.as_ref().expect("all tokens were kept"));
    let wide = |values: &Vec<f32>| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let ours: Vec<f64> = tokens().flat_map(|tokens| wide(&tokens.log_probs)).collect();
    let theirs: Vec<f64> = tokens().flat_map(|tokens| wide(&tokens.sampling_log_probs)).collect();
    let advantage: Vec<f64> = tokens().flat_map(|tokens| wide(&tokens.advantage)).collect();
    let gate: Vec<f64> = tokens().flat_map(|tokens| wide(&tokens.gate)).collect();
    let dependency: Vec<f64> =
        tokens().flat_map(|tokens| wide(tokens.dependency.as_ref().expect("measured"))).collect();
    let lengths: Vec<f64> = tokens().map(|tokens| tokens.ids.len() as f64).collect();
    let gaps: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).collect();
    let chances: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| (a.exp() - b.exp()).abs()).collect();
    let deviation = |values: &[f64]| {
        let squares: f64 = values.iter().map(|value| (value - mean(values)).powi(2)).sum();
        (squares / (values.len() - 1) as f64).sqrt()
    };
    let heard = |loud: bool| {
        let own = dependency.iter().zip(&gate).filter(|(_, gate)| (**gate > 0.0) == loud);
        mean(&own.map(|(dependency, _)| *dependency).collect::<Vec<_>>())
    };
    let mut ascending = dependency.clone();
    ascending.sort_by(f64::total_cmp);
    // One by one from below, until enough tokens do not exceed it.
    let quantile = |percent: usize| {
        let enough = |value: &&f64| ascending.iter().filter(|x| x <= value).count() * 100 >= percent * ascending.len();
        *ascending.iter().find(enough).expect("the largest is enough")
    };
    // The advantages were 1 or -1, so what they are now is the factor of the response.
    let factors: Vec<f64> = tokens().map(|tokens| f64::from(tokens.advantage[0].abs())).collect();
    let dependencies = report.dependencies.expect("measured");
    let scaling = dependencies.factors.expect("the recipe shapes trajectories");
    let surrogate: Vec<f64> = advantage.iter().zip(&gate).map(|(advantage, gate)| -advantage * gate).collect();
    for (name, figure, expected) in [
        ("critic/score/mean", report.score, mean(&records.iter().map(|r| f64::from(r.reward)).collect::<Vec<_>>())),
        ("critic/advantages/mean", report.signed_advantage, mean(&advantage)),
        ("critic/advantages/max", report.advantage_max, largest(&advantage)),
        ("critic/advantages/min", report.advantage_min, smallest(&advantage)),
        ("response_length/max", report.response_length_max, largest(&lengths)),
        ("response_length/min", report.response_length_min, smallest(&lengths)),
        ("dependency/mean", report.dependency.expect("measured"), mean(&dependency)),
        ("dependency/p10", dependencies.p10, quantile(10)),
        ("dependency/p50", dependencies.p50, quantile(50)),
        ("dependency/p90", dependencies.p90, quantile(90)),
        ("dependency/p99", dependencies.p99, quantile(99)),
        ("dependency/max", dependencies.max, largest(&dependency)),
        ("dependency/mean_selected", dependencies.selected, heard(true)),
        ("dependency/mean_rejected", dependencies.rejected, heard(false)),
        ("actor/perception_token_fraction", dependencies.selected_fraction, report.selected),
        ("actor/scaling_factor_mean", scaling.mean, mean(&factors)),
        ("actor/scaling_factor_max", scaling.max, largest(&factors)),
        ("actor/scaling_factor_min", scaling.min, smallest(&factors)),
        ("training/rollout_log_probs_diff_max", report.gap_max, largest(&gaps)),
        ("training/rollout_log_probs_diff_mean", report.gap_mean, mean(&gaps)),
        ("training/rollout_log_probs_diff_std", report.gap_std, deviation(&gaps)),
        ("training/rollout_probs_diff_max", report.probability_gap_max, largest(&chances)),
        ("training/rollout_probs_diff_mean", report.probability_gap_mean, mean(&chances)),
        ("training/rollout_probs_diff_std", report.probability_gap_std, deviation(&chances)),
        ("actor/entropy_loss", report.entropy_proxy, -mean(&ours)),
        ("actor/pg_loss", report.policy_loss, mean(&surrogate)),
    ] {
        assert!((figure - expected).abs() <= 1e-5 * (0.01 + expected.abs()), "{name}: {figure}, not {expected}");
    }
    assert!(dependencies.selected > dependencies.rejected && dependencies.unknown == 0, "{dependencies:?}");
    assert!(report.probability_correlation > 0.999 && report.probability_correlation <= 1.0 + 1e-12);
    assert!((scaling.mean - 1.0).abs() < 1e-5 && scaling.min < scaling.max, "{scaling:?}");
    let sampled = report.sampled_tokens as f64;
    assert_eq!(sampled, lengths.iter().sum::<f64>(), "nothing was filtered");
    let per_token = 1e3 * report.cost.rollout_seconds / sampled;
    assert!((report.cost.rollout_per_token - per_token).abs() < 1e-9 * per_token);
    assert!(report.prompt_length_min <= report.prompt_length && report.prompt_length <= report.prompt_length_max);
    assert_eq!(report.cost.tokens as f64, 3.0 * report.prompt_length + sampled);
}
