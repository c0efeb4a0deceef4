//! Evaluations by themselves, against the validations of a run with a small model that answers some problems.

use std::fs;
use std::path::PathBuf;

use burn::tensor::{Device, FloatDType};
use tempfile::TempDir;
use trainer::{Evaluation, Exam, Journal, Record, StepReport, TrainConfig, TrainError, TrainObserver, Trainer, demo};

use crate::workspace::{Workspace, device_name};

/// Keeps the validations of a run.
#[derive(Default)]
struct Validations(std::rc::Rc<std::cell::RefCell<Vec<(usize, Evaluation)>>>);

impl TrainObserver for Validations {
    fn on_step(&mut self, _report: &StepReport) -> Result<(), TrainError> {
        Ok(())
    }

    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        self.0.borrow_mut().push((step, evaluation.clone()));
        Ok(())
    }
}

/// The demonstration in small: a model that is warm enough to answer some of 40 held-out problems, and two steps.
struct Run {
    _folder: TempDir,
    output: PathBuf,
    validations: Vec<(usize, Evaluation)>,
}

impl Run {
    fn new(precision: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = folder.path().join("run");
        let settings = [
            "shapes.train=96".to_owned(),
            "shapes.held_out=40".to_owned(),
            "shapes.sides=[56]".to_owned(),
            "shapes.min_shapes=1".to_owned(),
            "shapes.max_shapes=2".to_owned(),
            "warm_up.max_steps=30".to_owned(),
            "warm_up.check_every=100".to_owned(),
            "warm_up.problems_per_step=16".to_owned(),
            "warm_up.check_problems=8".to_owned(),
            "warm_up.rise_steps=5".to_owned(),
            "rollout.prompts_per_step=4".to_owned(),
            "rollout.responses=4".to_owned(),
            "rollout.max_rounds=1".to_owned(),
            "rollout.sampling.max_new_tokens=30".to_owned(),
            "recipe=grpo".to_owned(),
            "schedule.steps=2".to_owned(),
            "schedule.save_every=1".to_owned(),
            "schedule.validate_every=1".to_owned(),
            "schedule.validation_samples=3".to_owned(),
            format!("device={}", device_name()),
            format!("precision={precision}"),
        ];
        let config = demo::prepare(&output, &settings, |_| {}).expect("a writable folder");
        let validations = Validations::default();
        let kept = validations.0.clone();
        let mut observers: Vec<Box<dyn TrainObserver>> = vec![Box::new(validations)];
        Trainer::start(config).expect("starts").run(&mut observers).expect("runs");
        let validations = kept.borrow().clone();
        Self { _folder: folder, output, validations }
    }

    /// The run's configuration with the model of one of its steps.
    fn config(&self, step: usize, overrides: &[&str]) -> TrainConfig {
        let model = format!("model={:?}", self.output.join(format!("checkpoints/step-{step}")));
        let overrides: Vec<String> =
            std::iter::once(model).chain(overrides.iter().map(|text| (*text).to_owned())).collect();
        TrainConfig::read(&self.output.join("config.toml"), &overrides).expect("valid")
    }

    fn exam(&self, step: usize, overrides: &[&str]) -> Exam {
        Exam::new(self.config(step, overrides), None, None).expect("there are problems")
    }
}

/// An evaluation takes its precision from the run, has the figures of the run in it, and names it in its protocol.
#[test]
fn evaluations_in_half_precision_are_validations() {
    if !Device::default().supports_dtype(FloatDType::BF16) {
        return;
    }
    let run = Run::new("bf16");
    let (step, validation) = run.validations.last().expect("validations");
    let exam = run.exam(*step, &[]);
    assert_eq!(&exam.take(None, |_| {}).expect("can be sampled"), validation);
    let whole = run.exam(*step, &["precision=f32"]);
    assert_ne!(&whole.take(None, |_| {}).expect("can be sampled"), validation, "rounding decides on some tokens");
    let protocols = [exam, whole].map(|exam| exam.protocol().expect("readable"));
    let differences = protocols[0].differences(&protocols[1]).expect("finite numbers");
    assert_eq!(differences.iter().map(ToString::to_string).collect::<Vec<_>>(), ["precision: bf16 -> f32"]);
}

/// An evaluation of a checkpoint has the figures that the run had at that step, all of them to the last bit; interrupted
/// anywhere it comes to the same, byte for byte.
#[test]
fn evaluations_are_validations() {
    let run = Run::new("f32");
    assert_eq!(run.validations.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2]);
    for (step, validation) in &run.validations {
        let overall = &validation.overall;
        eprintln!("step {step}: {validation}");
        let some = overall.accuracy.is_some_and(|accuracy| accuracy > 0.0 && accuracy < 1.0);
        assert!(some, "there is something to reproduce: {validation}");
        assert_eq!((overall.problems, overall.responses), (40, 120));
        assert!(validation.categories.len() > 1 && overall.length.p50 > 1);
        assert_eq!(&run.exam(*step, &[]).take(None, |_| {}).expect("can be sampled"), validation, "step {step}");
    }
    let last = &run.validations[1].1;
    assert_ne!(&run.exam(2, &["seed=2"]).take(None, |_| {}).expect("can be sampled"), last, "other draws");

    let folder = run.output.join("evaluation");
    let exam = run.exam(2, &[]);
    let protocol = exam.protocol().expect("readable");
    let take = || {
        let mut journal = Journal::open(&folder, &protocol).expect("opens");
        let before = journal.tally().problems();
        let mut told = Vec::new();
        let evaluation = exam.take(Some(&mut journal), |tally| told.push(tally.problems())).expect("can be sampled");
        assert_eq!(&evaluation, last);
        journal.finish(&evaluation).expect("a writable folder");
        let read = |name: &str| fs::read(folder.join(name)).expect("a file of the evaluation");
        (before, told, read("responses.jsonl"), read("summary.json"))
    };
    let (before, told, responses, summary) = take();
    assert_eq!((before, told), (0, vec![32, 40]), "in blocks");
    let text = String::from_utf8(responses.clone()).expect("UTF-8");
    let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert_eq!(records.len(), 120);
    let first_block = text.lines().take(96).map(|line| line.len() + 1).sum::<usize>();
    for (cut, expected) in [(responses.len() - 7, 32), (first_block, 32), (first_block - 1, 0), (responses.len(), 40)] {
        fs::write(folder.join("responses.jsonl"), &responses[..cut]).expect("a writable folder");
        let (before, _, again, figures) = take();
        assert_eq!(before, expected, "cut at {cut}");
        assert!(again == responses && figures == summary, "cut at {cut}");
    }
    let other = run.exam(1, &[]).protocol().expect("readable");
    let error = Journal::open(&folder, &other).expect_err("another model").to_string();
    assert!(error.contains("model.model.safetensors: ") && !error.contains("tokenizer"), "{error}");
}

/// A problem that cannot be asked is left out and named; no other problem's responses change.
#[test]
fn a_bad_row_changes_no_other() {
    let workspace = Workspace::new();
    let mut config = workspace.config("run", "grpo");
    let file = workspace.path("problems/held_out.jsonl");
    config.data.held_out = Some(file.clone().into());
    config.schedule.validation_samples = 2;
    let records = |exam: &Exam, output: &str| {
        let folder = workspace.path(output);
        let mut journal = Journal::open(&folder, &exam.protocol().expect("readable")).expect("opens");
        let evaluation = exam.take(Some(&mut journal), |_| {}).expect("can be sampled");
        let text = fs::read_to_string(folder.join("responses.jsonl")).expect("responses");
        let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        (evaluation, records)
    };
    let exam = || Exam::new(config.clone(), None, None).expect("there are problems");
    let (whole, ours) = records(&exam(), "good");
    assert_eq!((whole.overall.problems, whole.skipped.len()), (3, 0));
    let text = fs::read_to_string(&file).expect("problems");
    let mut rows: Vec<&str> = text.lines().collect();
    for (name, bad, reason) in [
        ("token", "{\"problem\": \"Is <|im_end|> a word?\", \"answer\": \"no\"}", "<|im_end|>"),
        ("image", "{\"problem\": \"<image>What?\", \"images\": [\"lost.png\"], \"answer\": \"no\"}", "lost.png"),
        ("row", "what?", "not a"),
    ] {
        rows[1] = bad;
        fs::write(&file, rows.join("\n")).expect("a writable folder");
        let (partial, theirs) = records(&exam(), name);
        let overall = &partial.overall;
        assert_eq!((overall.problems, overall.responses, partial.skipped.len()), (2, 4, 1));
        let skipped = &partial.skipped[0];
        assert!(skipped.problem == 1 && skipped.place.ends_with("held_out.jsonl:2"), "{skipped:?}");
        assert!(skipped.reason.contains(reason), "{skipped:?}");
        let others = |records: &[Record]| -> Vec<Record> {
            records.iter().filter(|record| record.problem() != 1).cloned().collect()
        };
        assert_eq!(others(&ours), others(&theirs));
    }
    // All of them bad: no figures, and no error here.
    config.data.max_prompt_tokens = 1;
    let nothing = Exam::new(config, None, None).expect("there are problems").take(None, |_| {});
    let nothing = nothing.expect("nothing to sample");
    assert_eq!((nothing.overall.problems, nothing.skipped.len()), (0, 3));
    assert!(nothing.skipped[0].reason.contains("the limit is 1"), "{nothing:?}");
}

/// Limits on images reach the prompt.
#[test]
fn pixel_limits_are_obeyed() {
    let workspace = Workspace::new();
    let mut config = workspace.config("run", "grpo");
    let tokens = |config: &TrainConfig| {
        let processor = config.data.processor(&config.model).expect("a processor");
        let image = image::RgbImage::new(112, 112);
        processor.image.patches(&image).expect("a valid size").grid.tokens()
    };
    assert_eq!(tokens(&config), 16);
    config.data.max_pixels = Some(56 * 56);
    config.data.min_pixels = Some(28 * 28);
    assert_eq!(tokens(&config), 4);
    let trainer = Trainer::start(config).expect("starts");
    assert_eq!(trainer.processor.image.limits.max_pixels, 56 * 56);
}
