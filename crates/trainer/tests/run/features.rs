//! Image features that are kept from step to step.

use std::fs;

use burn::module::Module as _;
use burn::tensor::Tensor;
use trainer::{Recipe, Source, Trainer, grpo};

use crate::workspace::{Workspace, finish, names};

fn bits(features: Option<&Tensor<2>>) -> Vec<u32> {
    let data = features.expect("an image").to_data();
    data.iter::<f32>().map(f32::to_bits).collect()
}

/// A run with a frozen tower that sees its six problems nearly twice is the same to the last bit whether features are kept
/// or not; those of all six are, once. Where the tower is trained nothing is kept.
#[test]
fn kept_features_change_nothing() {
    let workspace = Workspace::new();
    let recipe = workspace.recipe(&Recipe { name: "grpo-unfiltered".to_owned(), accuracy_band: None, ..grpo() });
    let run = |name: &str, mebibytes: usize| {
        let mut config = workspace.config(name, &recipe);
        (config.update.freeze_vision, config.rollout.feature_cache_mib) = (true, mebibytes);
        (config.schedule.steps, config.schedule.save_every) = (5, 5);
        finish(Trainer::start(config).expect("starts")).expect("runs")
    };
    let (kept, plain) = (run("kept", 1), run("plain", 0));
    assert!(plain.features.is_none());

    let files = |name: &str| {
        let checkpoint = workspace.path(name).join("checkpoints/step-5");
        ["model.safetensors", "trainer/state.json"].map(|file| fs::read(checkpoint.join(file)).expect("a checkpoint"))
    };
    assert!(files("kept") == files("plain"), "checkpoints differ");
    let rollouts = |name: &str| {
        let folder = workspace.path(name).join("rollouts");
        names(&folder).iter().map(|name| fs::read(folder.join(name)).expect("records")).collect::<Vec<_>>()
    };
    assert!(rollouts("kept") == rollouts("plain"), "records differ");

    let policy = kept.policy.valid();
    let source = Source {
        policy: &policy,
        processor: &kept.processor,
        reward: &*kept.reward,
        config: &kept.config,
        features: None,
    };
    let tasks = (0..6).map(|index| kept.problems.task(index, &source).expect("readable").expect("a good problem"));
    let tokens: usize = tasks.map(|task| task.prompt.image_tokens()).sum();
    let cache = kept.features.as_ref().expect("a frozen tower");
    assert_eq!(cache.bytes(), tokens * policy.config.text.hidden_size * size_of::<f32>());

    let trained = Trainer::start(workspace.config("trained", &recipe)).expect("starts");
    assert!(!trained.config.update.freeze_vision && trained.features.is_none());
}

/// What is kept is what the tower says, also for an image beside others, and an image that is known is not looked at again.
#[test]
fn a_known_image_is_not_looked_at_again() {
    let workspace = Workspace::new();
    let mut config = workspace.config("run", "grpo");
    config.update.freeze_vision = true;
    let trainer = Trainer::start(config).expect("starts");
    let policy = trainer.policy.valid();
    let source = |policy, features| Source {
        policy,
        processor: &trainer.processor,
        reward: &*trainer.reward,
        config: &trainer.config,
        features,
    };
    let plain = source(&policy, None);
    let tasks: Vec<_> =
        (0..3).map(|index| trainer.problems.task(index, &plain).expect("readable").expect("good")).collect();
    let features = |source: &Source| {
        let groups = source.answer(tasks.clone(), 1, &[1, 2, 3]).expect("can be sampled");
        groups.iter().map(|group| bits(group.features.as_ref())).collect::<Vec<_>>()
    };
    let expected = features(&plain);
    let alone = plain.answer(tasks[1..2].to_vec(), 1, &[2]).expect("can be sampled");
    assert_eq!(bits(alone[0].features.as_ref()), expected[1], "neighbours change nothing");
    let cached = source(&policy, trainer.features.as_ref());
    assert!(features(&cached) == expected && features(&cached) == expected);

    let other = trainer::demo::untrained(&workspace.path("other"), 5, &policy.device()).expect("a writable folder");
    assert!(features(&source(&other, None)) != expected, "another tower says something else");
    assert!(features(&source(&other, trainer.features.as_ref())) == expected, "this one was not asked");
}
