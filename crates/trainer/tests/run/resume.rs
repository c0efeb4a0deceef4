//! Checkpoints, and runs that go on from them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, FloatDType};
use burn_pack::Reader;
use serde_json::Value;
use trainer::{Recipe, RunState, ScheduleConfig, TrainConfig, TrainError, Trainer, vppo};
use vlm_model::processor::Processor;

use crate::workspace::{EveryOther, Workspace, finish, names};

/// VPPO that trains on every group, since an untrained model answers none.
fn recipe() -> Recipe {
    Recipe { name: "vppo-unfiltered".to_owned(), accuracy_band: None, ..vppo() }
}

fn with_steps(config: TrainConfig, steps: usize, save_every: usize) -> TrainConfig {
    TrainConfig { schedule: ScheduleConfig { steps, save_every, ..config.schedule }, ..config }
}

/// The optimizer's tensors and counters, by name, as bytes.
fn optimizer(checkpoint: &Path) -> BTreeMap<String, Vec<u8>> {
    let path = checkpoint.join("trainer/optimizer.bpk");
    let reader = Reader::from_file(&path).expect("the optimizer's own format");
    let tensor = |name: &str| (name.to_owned(), reader.tensor_data(name).expect("a tensor"));
    let counter = |(name, value): (&String, &burn_pack::Scalar)| (name.clone(), format!("{value:?}").into_bytes());
    let tensors: Vec<_> = reader.tensor_names().into_iter().map(tensor).collect();
    tensors.into_iter().chain(reader.scalars().iter().map(counter)).collect()
}

/// The steps' lines of a run's metrics without what a clock or the system measures.
fn metrics(output: &Path) -> Vec<Value> {
    let text = fs::read_to_string(output.join("metrics.jsonl")).expect("metrics were written");
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("a JSON object");
        let object = line.as_object_mut().expect("an object");
        object.retain(|key, _| {
            !key.starts_with("timing_") && (!key.starts_with("perf/") || key == "perf/total_num_tokens")
        });
        line
    };
    text.lines().filter(|line| line.contains("actor/lr")).map(line).collect()
}

/// Fails unless two checkpoints hold the same weights, optimizer state and place in the problems, bit for bit.
#[track_caller]
fn assert_same(ours: &Path, theirs: &Path) {
    for file in ["model.safetensors", "config.json", "trainer/state.json", "tokenizer.json"] {
        let read = |folder: &Path| fs::read(folder.join(file)).expect("a file of the checkpoint");
        assert!(read(ours) == read(theirs), "{file} differs");
    }
    let (ours, theirs) = (optimizer(ours), optimizer(theirs));
    assert!(ours.len() > 100 && ours.keys().any(|name| name.contains("moment_2")), "{} entries", ours.len());
    assert!(ours.keys().eq(theirs.keys()), "the optimizer knows the same parameters");
    for (name, bytes) in &ours {
        assert!(bytes == &theirs[name], "{name} of the optimizer differs");
    }
}

/// Two steps, a new trainer, and two more are four steps bit for bit: weights, moments, place in the problems and metrics.
/// What a killed process leaves half-written beside its checkpoints is ignored.
#[test]
fn two_and_two_steps_are_four() {
    let workspace = Workspace::new();
    let recipe = workspace.recipe(&recipe());
    let straight = with_steps(workspace.config("straight", &recipe), 4, 3);
    finish(Trainer::start(straight.clone()).expect("starts")).expect("runs");

    let broken = with_steps(workspace.config("broken", &recipe), 2, 2);
    finish(Trainer::start(broken.clone()).expect("starts")).expect("runs");
    let checkpoints = broken.output.join("checkpoints");
    for name in [".step-3.writing", ".step-4.writing"] {
        fs::create_dir(checkpoints.join(name)).expect("a writable folder");
        fs::write(checkpoints.join(name).join("model.safetensors"), b"half a file").expect("a writable folder");
    }
    let resumed = Trainer::resume(&broken.output, &["schedule.steps=4".to_owned()]).expect("resumes");
    assert_eq!(resumed.step, 2);
    finish(resumed).expect("runs");

    assert_same(&checkpoints.join("step-4"), &straight.output.join("checkpoints/step-4"));
    assert_eq!(names(&checkpoints), ["step-2", "step-4", "tracker.json"], "leftovers are gone");
    let (ours, theirs) = (metrics(&broken.output), metrics(&straight.output));
    assert_eq!(ours, theirs);
    assert_eq!(ours.iter().map(|line| line["step"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2), Some(3), Some(4)]);
    for line in &ours {
        let learnt = line["actor/grad_norm"].as_f64().expect("a number");
        assert!(learnt > 0.0 && line["actor/skipped_updates"] == 0, "every step changes the policy: {line}");
    }
}

/// When the newest checkpoint is lost, the run goes on from the one before, appends to its metrics and arrives at the same.
#[test]
fn a_lost_checkpoint_is_made_again() {
    let workspace = Workspace::new();
    let recipe = workspace.recipe(&recipe());
    let config = with_steps(workspace.config("run", &recipe), 3, 1);
    finish(Trainer::start(config.clone()).expect("starts")).expect("runs");
    let checkpoints = config.output.join("checkpoints");
    assert_eq!(names(&checkpoints), ["step-2", "step-3", "tracker.json"], "the newest two are kept");
    let lost = workspace.path("lost");
    fs::rename(checkpoints.join("step-3"), &lost).expect("a writable folder");
    assert_eq!(trainer::newest(&config.output).expect("one is left"), checkpoints.join("step-2"));

    finish(Trainer::resume(&config.output, &[]).expect("resumes")).expect("runs");
    assert_same(&checkpoints.join("step-3"), &lost);
    let lines = metrics(&config.output);
    assert_eq!(lines.len(), 4, "three steps and the last one again");
    assert_eq!(lines[2], lines[3]);
    fs::remove_dir_all(&checkpoints).expect("a writable folder");
    let error = Trainer::resume(&config.output, &[]).err().expect("nothing is left");
    assert!(matches!(error, TrainError::NothingToResume { .. }), "{error}");
}

/// Nothing random and no schedule is carried from step to step: one step, a new trainer and one more are two steps, for recipes
/// that draw noise, compare with other views and with a reference policy, in single and in half precision.
#[test]
fn every_kind_of_recipe_goes_on_where_it_was() {
    let workspace = Workspace::new();
    let runs = [("prpo", "f32"), ("papo", "f32"), ("pgpo", "f32"), ("reinforce-pp", "f32"), ("papo", "bf16")];
    let has = |precision: &str| precision == "f32" || Device::default().supports_dtype(FloatDType::BF16);
    for (name, precision) in runs.into_iter().filter(|(_, precision)| has(precision)) {
        let built_in = Recipe::find(name).expect("built in");
        let recipe = workspace.recipe(&Recipe { accuracy_band: None, name: format!("{name}-unfiltered"), ..built_in });
        let checkpoint = |output: &str, breaks: bool| {
            let mut config = with_steps(workspace.config(output, &recipe), 2, 2);
            config.precision = precision.parse().expect("a precision");
            let mut trainer = Trainer::start(config.clone()).expect("starts");
            trainer.algorithm.estimator = Box::new(EveryOther);
            trainer.step().expect("a step");
            if breaks {
                trainer::save(&trainer).expect("a writable folder");
                drop(trainer);
                trainer = Trainer::resume(&config.output, &[]).expect("resumes");
                trainer.algorithm.estimator = Box::new(EveryOther);
            }
            trainer.step().expect("a step");
            trainer::save(&trainer).expect("a writable folder")
        };
        let straight = checkpoint(&format!("{name}-{precision}-straight"), false);
        assert_same(&checkpoint(&format!("{name}-{precision}-broken"), true), &straight);
    }
}

/// A checkpoint is a folder in the Hub's layout: it loads as a model with its processor.
#[test]
fn a_checkpoint_is_a_model() {
    let workspace = Workspace::new();
    let recipe = workspace.recipe(&recipe());
    let config = with_steps(workspace.config("run", &recipe), 1, 1);
    let trained = finish(Trainer::start(config.clone()).expect("starts")).expect("runs");
    let checkpoint = config.output.join("checkpoints/step-1");
    let loaded = vlm_model::load(&checkpoint, &Device::default()).expect("loads");
    assert_eq!(loaded.config, trained.policy.config);
    let values = |model: &vlm_model::QwenVl| model.output_weight().into_data().iter::<f32>().collect::<Vec<_>>();
    assert_eq!(values(&loaded), values(&trained.policy));
    let original = vlm_model::load(&config.model, &Device::default()).expect("loads");
    assert_ne!(values(&loaded), values(&original), "the step has changed it");
    let processor = Processor::from_folder(&checkpoint).expect("loads");
    assert_eq!(processor.tokenizer.encode("red circle").ok(), trained.processor.tokenizer.encode("red circle").ok());
    let state = fs::read(checkpoint.join("trainer/state.json")).expect("the run's state");
    let state: RunState = serde_json::from_slice(&state).expect("the state's format");
    assert_eq!((state.step, state.sampler.position()), (1, 2));
}

/// What a run was started with stands beside it, and it is not started twice.
#[test]
fn a_folder_holds_one_run() {
    let workspace = Workspace::new();
    let name = workspace.recipe(&recipe());
    let config = workspace.config("run", &name);
    let mut trainer = Trainer::start(config.clone()).expect("starts");
    assert_eq!(TrainConfig::read(&config.output.join("config.toml"), &[]).expect("readable"), config);
    assert_eq!(Recipe::read(&config.output.join("recipe.json")).expect("readable"), recipe());
    assert!(trainer.run(&mut []).is_ok());
    let before = names(&config.output);
    let error = Trainer::start(config.clone()).err().expect("it holds a run");
    assert!(matches!(error, TrainError::RunExists { .. }) && error.to_string().contains("--resume"), "{error}");
    assert_eq!(names(&config.output), before);
    drop(trainer);
    // A run that is finished has nothing left to do.
    let mut again = Trainer::resume(&config.output, &[]).expect("resumes");
    assert!(again.run(&mut []).expect("no step is left").is_none());
    assert_eq!(again.step, 2);
    drop(again);
    // Checkpoints alone are in the way too: those of a new run would be the older ones.
    fs::remove_file(config.output.join("config.toml")).expect("a file");
    let error = Trainer::start(config.clone()).err().expect("it holds checkpoints");
    assert!(matches!(error, TrainError::RunExists { .. }), "{error}");
}

/// Mistakes that show before anything is computed leave no run behind.
#[test]
fn a_run_that_cannot_start_leaves_nothing() {
    let workspace = Workspace::new();
    let good = workspace.config("run", "grpo");
    let wrong = [
        TrainConfig { recipe: "gpro".to_owned(), ..good.clone() },
        TrainConfig { model: workspace.path("nowhere"), ..good.clone() },
        TrainConfig { device: "tpu".to_owned(), ..good.clone() },
        TrainConfig {
            data: trainer::DataConfig { train: workspace.path("nothing.jsonl").into(), ..good.data.clone() },
            ..good.clone()
        },
    ];
    for (config, word) in wrong.into_iter().zip(["gpro", "nowhere", "tpu", "nothing.jsonl"]) {
        let error = Trainer::start(config).err().expect(word).to_string();
        assert!(error.contains(word), "{error}");
        assert!(!good.output.exists());
    }
}
