//! Start models that are lost or changed while a run goes on, and what a continuation that fails may cost.

use std::fs;
use std::path::{Path, PathBuf};

use trainer::{RunState, StepReport, TrainError, TrainObserver, Trainer};
use vlm_model::processor::Processor;

use crate::workspace::{ALWAYS, Workspace, names};

/// Removes a folder after the first step.
struct Remover(PathBuf);

impl TrainObserver for Remover {
    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        if report.step == 1 {
            fs::remove_dir_all(&self.0).expect("a folder");
        }
        Ok(())
    }
}

fn state(checkpoint: &Path) -> RunState {
    let bytes = fs::read(checkpoint.join("trainer/state.json")).expect("the run's state");
    serde_json::from_slice(&bytes).expect("the state's format")
}

/// The folder of the start model disappears during the run: every checkpoint is a whole model nevertheless, and the run goes on
/// from it without that folder.
#[test]
fn a_start_model_that_disappears_is_in_every_checkpoint() {
    let workspace = Workspace::new();
    workspace.write("model/generation_config.json", "{\"eos_token_id\": [1, 2, 3]}");
    let files = ["generation_config.json", "preprocessor_config.json", "tokenizer.json"];
    let read = |folder: &Path, name: &str| fs::read(folder.join(name)).expect("a file");
    let originals = files.map(|name| read(&workspace.path("model"), name));
    let config = workspace.config("run", &["schedule.steps=3", "schedule.keep=3"]);
    let mut trainer = Trainer::start(config).expect("starts");
    trainer.run(&mut [Box::new(Remover(workspace.path("model")))]).expect("the folder is not read again");
    drop(trainer);
    assert!(!workspace.path("model").exists());
    let log = workspace.train("run", &["schedule.steps=4", "schedule.keep=4"]).succeeds();
    assert!(log.contains("going on from") && log.contains("step-3"), "{log}");
    for step in 1..=4 {
        let checkpoint = workspace.checkpoint("run", step);
        Processor::from_folder(&checkpoint).expect("a checkpoint with all files");
        assert_eq!(files.map(|name| read(&checkpoint, name)), originals, "step {step}");
    }
}

/// Another start model in the place of the one a reference policy is made from needs consent; a missing one is named.
#[test]
fn a_changed_reference_needs_consent() {
    let workspace = Workspace::new();
    let recipe = "recipe=reinforce-pp";
    workspace.train("run", &[recipe, "schedule.steps=1"]).succeeds();
    let before = state(&workspace.checkpoint("run", 1)).reference.expect("the recipe has a reference policy");
    let (model, aside) = (workspace.path("model/model.safetensors"), workspace.path("aside"));
    fs::rename(&model, &aside).expect("a writable folder");
    let mut bytes = fs::read(&aside).expect("weights");
    *bytes.last_mut().expect("weights") ^= 1;
    fs::write(&model, bytes).expect("a writable folder");
    let more = [recipe, "schedule.steps=2"];
    workspace.train("run", &more).fails_with(&["the reference policy in", &before[..12], "--accept-changes"]);
    workspace.train("run", &[recipe, "schedule.steps=2", "--accept-changes"]).succeeds();
    let after = state(&workspace.checkpoint("run", 2)).reference.expect("the recipe has a reference policy");
    assert_ne!(before, after);
    workspace.train("run", &[recipe, "schedule.steps=3"]).succeeds();

    let gone = workspace.path("gone");
    fs::rename(workspace.path("model"), &gone).expect("a writable folder");
    let more = [recipe, "schedule.steps=4"];
    workspace.train("run", &more).fails_with(&["reference policy", "model=FOLDER"]);
    fs::rename(&gone, workspace.path("model")).expect("a writable folder");
    workspace.train("run", &more).succeeds();
}

/// A continuation that keeps fewer checkpoints and then cannot go on has removed none.
#[test]
fn a_continuation_that_fails_removes_nothing() {
    let workspace = Workspace::new();
    workspace.train("run", &["schedule.steps=3", "schedule.keep=3", "schedule.keep_best=false"]).succeeds();
    let checkpoints = workspace.path("run/checkpoints");
    let before = names(&checkpoints);
    let rows = workspace.path("problems/train.jsonl");
    let text = fs::read_to_string(&rows).expect("rows");
    let fewer: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
    fs::write(&rows, fewer).expect("a writable file");
    let more = ["schedule.steps=4", "schedule.keep=1", "schedule.keep_best=false"];
    workspace.train("run", &more).fails_with(&["problems"]);
    assert_eq!(names(&checkpoints), before);
    fs::write(&rows, text).expect("a writable file");
    // Half-written records of a killed process go when the run goes on.
    workspace.write("run/rollouts/.step-3.jsonl.writing", "{");
    workspace.train("run", &more).succeeds();
    assert_eq!(names(&checkpoints), ["step-4", "tracker.json"]);
    assert!(!workspace.path("run/rollouts/.step-3.jsonl.writing").exists());
}

/// Other held-out problems are named, and validations on them are not compared with earlier ones.
#[test]
fn validations_on_other_problems_are_kept_apart() {
    let workspace = Workspace::new();
    workspace.train("run", &["schedule.steps=1", ALWAYS]).succeeds();
    let rows = workspace.path("problems/held_out.jsonl");
    let text = fs::read_to_string(&rows).expect("rows");
    let reversed: String = text.lines().rev().map(|line| format!("{line}\n")).collect();
    assert_ne!(reversed, text);
    fs::write(&rows, reversed).expect("a writable file");
    let log = workspace.train("run", &["schedule.steps=2", ALWAYS]).succeeds();
    assert!(log.contains("changed: the files of data.held_out"), "{log}");
    let terms = |step| state(&workspace.checkpoint("run", step)).validation.expect("every step is validated").terms;
    let (before, after) = (terms(1), terms(2));
    assert_ne!(before, after);
    workspace.train("run", &["schedule.steps=3", ALWAYS]).succeeds();
    assert_eq!(terms(3), after);
    // The first is the best on its own terms.
    assert!(workspace.checkpoint("run", 1).exists());
}
