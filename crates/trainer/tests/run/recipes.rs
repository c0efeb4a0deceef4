//! Every built-in recipe, in steps of a run.

use reward::SoftOverlong;
use trainer::{Recipe, Trainer, built_in};

use crate::workspace::{EveryOther, Workspace};

/// One step by the recipe's own estimator, whose rewards are all 0 here, and one that has something to learn.
#[test]
fn every_built_in_recipe_takes_steps() {
    let workspace = Workspace::new();
    for built_in in built_in() {
        let name = format!("{}-unfiltered", built_in.name);
        let recipe = Recipe { accuracy_band: None, name: name.clone(), ..built_in };
        let mut trainer = Trainer::start(workspace.config(&name, &workspace.recipe(&recipe))).expect("starts");
        let first = trainer.step().expect("a step");
        assert_eq!((first.kept_groups, first.skipped_updates), (2, 0), "{name}: {first:?}");
        trainer.algorithm.estimator = Box::new(EveryOther);
        let second = trainer.step().expect("a step");
        assert!(second.skipped_updates == 0 && second.gradient_norm > 0.0, "{name}: {second:?}");
        for report in [first, second] {
            assert_eq!(report.dependency.is_some(), recipe.dependency.is_some(), "{name}");
            let line = serde_json::to_value(&report).expect("a JSON object");
            let numbers = line.as_object().expect("an object");
            // Where every token is heard there is no mean of the others.
            let nothing = |key: &str| key == "dependency/mean_rejected" && report.selected == 1.0;
            let is_known = |(key, value): (&String, &serde_json::Value)| {
                value.as_f64().is_some_and(f64::is_finite) || nothing(key) && value.is_null()
            };
            assert!(numbers.iter().all(is_known), "{name}: {line}");
        }
    }
}

/// The penalty for long responses is taken off the reward, and off nothing else.
#[test]
fn long_responses_lose_reward() {
    let workspace = Workspace::new();
    let step = |output: &str, limit: usize| {
        let mut config = workspace.config(output, "grpo");
        config.rollout.overlong_penalty = Some(SoftOverlong::new(limit, 4, 0.5).expect("valid"));
        let report = Trainer::start(config).expect("starts").step().expect("a step");
        assert_eq!((report.response_length, report.accuracy), (7.0, Some(0.0)), "an untrained policy rambles");
        report.reward.expect("judged responses")
    };
    assert_eq!((step("short", 7), step("middle", 9), step("long", 11)), (-0.5, -0.25, 0.0));
}
