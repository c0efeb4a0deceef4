//! Data in which some rows are bad: they are passed over and counted, and the others are trained on.

use std::fs;
use std::path::PathBuf;

use dataset::{Dataset, Sampler};
use serde_json::{Value, json};
use trainer::{Problems, Source, TrainConfig, TrainError, Trainer, vppo};

use crate::workspace::{Workspace, finish};

/// The workspace's problems with bad rows between them, and the number of these.
fn with_bad_rows(workspace: &Workspace) -> (PathBuf, usize) {
    let good = fs::read_to_string(workspace.path("problems/train.jsonl")).expect("the problems");
    fs::write(workspace.path("problems/damaged.png"), b"\x89PNG\r\n\x1a\nand no more").expect("a writable folder");
    let long = "red ".repeat(6000);
    let bad = [
        "{\"problem\": \"cut".to_owned(),
        json!({"problem": "<image>", "images": ["nothing.png"], "answer": "a"}).to_string(),
        json!({"problem": "<image><image>", "images": [], "answer": "a"}).to_string(),
        json!({"problem": "<image>", "images": ["damaged.png"], "answer": "a"}).to_string(),
        json!({"problem": long, "answer": "a"}).to_string(),
        json!({"problem": "What is <|im_end|>?", "answer": "a"}).to_string(),
    ];
    let mut text = String::new();
    for (at, line) in good.lines().enumerate() {
        text += &format!("{}\n{line}\n", bad[at % bad.len()]);
    }
    let path = workspace.path("problems/mixed.jsonl");
    fs::write(&path, text).expect("a writable folder");
    (path, good.lines().count())
}

fn unfiltered(workspace: &Workspace, output: &str) -> TrainConfig {
    let recipe = trainer::Recipe { name: "unfiltered".to_owned(), accuracy_band: None, ..vppo() };
    workspace.config(output, &workspace.recipe(&recipe))
}

#[test]
fn bad_rows_are_passed_over_and_counted() {
    let workspace = Workspace::new();
    let (mixed, bad) = with_bad_rows(&workspace);
    let mut config = unfiltered(&workspace, "run");
    config.data.train = mixed.clone().into();
    config.data.held_out = Some(mixed.into());
    config.schedule.steps = 6;
    config.schedule.validation_samples = 1;
    let trained = finish(Trainer::start(config.clone()).expect("starts")).expect("no row is fatal");
    assert_eq!((trained.problems.len(), trained.problems.bad()), (2 * bad, bad), "every bad row was met and known");
    // Six steps of two good rows visit every good row twice, and all bad ones but those that end the second epoch.
    assert!(trained.sampler.epoch() >= 1, "{:?}", trained.sampler);
    let visited = trained.sampler.epoch() as usize * trained.problems.len() + trained.sampler.position();
    let metrics = fs::read_to_string(config.output.join("metrics.jsonl")).expect("metrics");
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let steps = || lines.iter().filter(|line| line["actor/lr"].is_number());
    let sum = |key: &str| steps().map(|line| line[key].as_u64().expect("a count")).sum::<u64>();
    assert_eq!(sum("data/skipped"), visited as u64 - 12, "whatever was visited and not trained on");
    assert!(steps().all(|line| line["groups/sampled"] == 2), "others take their place");
    let held_out = trained.config.data.open(&config.data.train).expect("the same file");
    let evaluation = trained.validate(&held_out, |_| {}).expect("no row is fatal");
    assert_eq!((evaluation.overall.problems, evaluation.skipped.len(), held_out.bad()), (bad, bad, bad));
}

/// What the run sees of good rows does not depend on the bad ones between them.
#[test]
fn draws_leave_out_bad_rows_alone() {
    let workspace = Workspace::new();
    let (mixed, bad) = with_bad_rows(&workspace);
    let trainer = Trainer::start(unfiltered(&workspace, "run")).expect("starts");
    let policy = burn::module::Module::valid(&trainer.policy);
    let source = Source {
        policy: &policy,
        processor: &trainer.processor,
        reward: &*trainer.reward,
        config: &trainer.config,
        features: None,
    };
    let problems = trainer.config.data.open(&mixed.into()).expect("the mixed file");
    let mut sampler = Sampler::new(5, problems.len()).expect("some problems");
    let mut order = sampler.clone();
    let drawn = problems.draw(&mut sampler, 2 * bad, &source).expect("enough good rows");
    let visited = order.next_batch(2 * bad + drawn.skipped);
    assert_eq!(order, sampler, "it stands where that many draws lead");
    let good = visited.into_iter().filter_map(|index| problems.task(index, &source).expect("no row is fatal"));
    let texts: Vec<String> = good.map(|task| task.problem).collect();
    assert_eq!(drawn.tasks.iter().map(|task| task.problem.clone()).collect::<Vec<_>>(), texts);
}

/// When nothing at all can be used, the run ends and says so.
#[test]
fn only_bad_rows_are_an_error() {
    let workspace = Workspace::new();
    let path = workspace.path("bad.jsonl");
    fs::write(&path, "{}\n{\"problem\": \"\", \"answer\": \"a\"}\n5\n").expect("a writable folder");
    let mut config = unfiltered(&workspace, "run");
    config.data.train = path.clone().into();
    let mut trainer = Trainer::start(config).expect("the file is there");
    let error = trainer.step().expect_err("nothing to train on");
    assert!(matches!(error, TrainError::NoUsableProblem { problems: 3 }), "{error}");
    assert!(error.to_string().contains("data check"), "{error}");
    // A file that is gone is no bad row.
    let mut config = unfiltered(&workspace, "other");
    config.data.train = path.clone().into();
    let mut trainer = Trainer::start(config).expect("the file is there");
    fs::remove_file(path).expect("a writable folder");
    let error = trainer.step().expect_err("the file is gone");
    assert!(error.place().is_none() && error.to_string().contains("bad.jsonl"), "{error}");
    let nothing = Problems::new(Dataset::of(Vec::new()));
    assert!(nothing.is_empty() && nothing.bad() == 0);
}

/// A run goes on with the data it began with.
#[test]
fn changed_data_is_noticed() {
    let workspace = Workspace::new();
    let config = unfiltered(&workspace, "run");
    finish(Trainer::start(config.clone()).expect("starts")).expect("runs");
    let path = workspace.path("problems/train.jsonl");
    let text = fs::read_to_string(&path).expect("the problems");
    fs::write(&path, format!("{text}{}\n", text.lines().next().expect("a line"))).expect("a writable folder");
    let error = Trainer::resume(&config.output, &[]).err().expect("one problem more");
    assert!(matches!(error, TrainError::DataChanged { recorded: 6, found: 7 }), "{error}");
}
