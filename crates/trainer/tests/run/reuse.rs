//! Old log-probabilities taken from sampling.

use trainer::{Reopened, Resumption, RunState, TrainConfig, Trainer, save};

use crate::workspace::{EveryOther, Workspace};

fn config(workspace: &Workspace, name: &str, recipe: &str, reuse: bool) -> TrainConfig {
    let mut config = workspace.config(name, recipe);
    (config.update.updates_per_step, config.update.reuse_sampling_log_probs) = (1, reuse);
    config
}

fn start(config: TrainConfig) -> Trainer {
    let mut trainer = Trainer::start(config).expect("starts");
    trainer.algorithm.estimator = Box::new(EveryOther);
    trainer.algorithm.accuracy_band = None;
    trainer
}

/// The first step is the same but for the gap, which is measured as without reuse, and so are entropies.
#[test]
fn a_step_is_the_same_but_for_the_gap() {
    let workspace = Workspace::new();
    for recipe in ["grpo", "vppo", "pgpo"] {
        let steps = [false, true].map(|reuse| {
            let mut trainer = start(config(&workspace, &format!("{recipe}-{reuse}"), recipe, reuse));
            assert_eq!(trainer.reuses_sampling(), reuse);
            trainer.step().expect("a step")
        });
        let [computed, reused] = &steps;
        assert!(reused.gap_max > 0.0 && reused.gap_max < 1e-4, "it is measured: {}", reused.gap_max);
        assert_eq!((computed.updates, reused.updates), (1, 1));
        for (what, a, b, tolerance) in [
            ("largest gap", computed.gap_max, reused.gap_max, 2e-6),
            ("mean gap", computed.gap_mean, reused.gap_mean, 2e-6),
            ("entropy", computed.entropy, reused.entropy, 1e-5),
            ("loss", computed.policy_loss, reused.policy_loss, 1e-4),
            ("dependency", computed.dependency.unwrap_or(0.0), reused.dependency.unwrap_or(0.0), 1e-5),
            ("norm", computed.gradient_norm, reused.gradient_norm, 1e-3 * computed.gradient_norm),
        ] {
            assert!((a - b).abs() <= tolerance, "{recipe}: {what} of {b}, computed again {a}");
        }
        assert!(reused.entropy > 0.1 && reused.gradient_norm > 0.0);
        let tokens = |step: &trainer::StepReport| {
            let records = step.rollouts.as_ref().expect("recorded");
            records.iter().filter_map(|record| record.tokens.clone()).collect::<Vec<_>>()
        };
        let (computed, reused) = (tokens(computed), tokens(reused));
        assert!(!reused.is_empty() && computed.len() == reused.len());
        for (computed, reused) in computed.iter().zip(&reused) {
            assert_eq!(computed.ids, reused.ids);
            let lists = [(&computed.log_probs, &reused.log_probs), (&computed.entropy, &reused.entropy)];
            for (a, b) in lists.into_iter().flat_map(|(a, b)| a.iter().zip(b)) {
                assert!((a - b).abs() <= 1e-4, "{a} and {b}");
            }
        }
    }
}

/// A gap above the bound is the end of it, for the continued run too; a higher bound allows it again.
#[test]
fn a_gap_above_the_bound_ends_it() {
    let workspace = Workspace::new();
    let mut config = config(&workspace, "run", "vppo", true);
    config.update.max_sampling_gap = 1e-12;
    let mut trainer = start(config);
    assert!(trainer.reuses_sampling());
    let gap = trainer.step().expect("a step").gap_mean;
    assert!(gap > 1e-12 && !trainer.reuses_sampling());
    let report = trainer.step().expect("a step");
    assert!(report.updates == 1 && report.entropy > 0.1);

    let checkpoint = save(&trainer).expect("a writable folder");
    let state = std::fs::read(checkpoint.join("trainer/state.json")).expect("a state");
    let state: RunState = serde_json::from_slice(&state).expect("the state's format");
    assert_eq!(state.sampling_gap, gap, "of the step that reused them");
    drop(trainer);
    let resume = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let resumption = Resumption { need_checkpoint: true, accept_changes: true };
        let reopened = Reopened::stored(&workspace.path("run"), &overrides, resumption).expect("a run");
        reopened.load().expect("goes on").reuses_sampling()
    };
    assert!(!resume(&[]));
    assert!(resume(&["update.max_sampling_gap=0.01"]));
}

/// What reads whole clean distributions gets them, reuse or not.
#[test]
fn a_recipe_that_needs_the_clean_pass_has_it() {
    let workspace = Workspace::new();
    let mut trainer = start(config(&workspace, "run", "vppo-paper", true));
    assert!(!trainer.reuses_sampling());
    let report = trainer.step().expect("a step");
    assert!(report.updates == 1 && report.entropy > 0.1 && report.dependency.is_some_and(|mean| mean > 0.0));
}

#[test]
fn truncated_sampling_is_refused() {
    let workspace = Workspace::new();
    let mut config = config(&workspace, "run", "vppo", true);
    config.rollout.sampling.top_p = 0.9;
    let error = Trainer::start(config).map(drop).expect_err("another distribution").to_string();
    assert!(error.contains("rollout.sampling.top_p is 0.9"), "{error}");
}
