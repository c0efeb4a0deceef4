//! Records of responses, against a scoring of their tokens by itself, and the files they are kept in.

use std::fs;
use std::path::Path;

use advantage::Fraction;
use burn::module::Module as _;
use burn::tensor::Tensor;
use inspector::{Finish, RolloutRecord, TokenRecord};
use reward::Verdict;
use rollout::Completion;
use trainer::{
    Group, MetricsFile, Recipe, RecordConfig, RolloutFiles, Scored, Scorer, Source, TrainConfig, TrainObserver,
    Trainer, pgpo, vppo,
};

use crate::workspace::{EveryOther, Workspace, names};

/// VPPO's credit from the blind view, which nothing is drawn for; trains on every group.
fn recipe() -> Recipe {
    Recipe { name: "blind-vppo".to_owned(), accuracy_band: None, dependency: pgpo().dependency, ..vppo() }
}

fn start(config: TrainConfig) -> Trainer {
    let mut trainer = Trainer::start(config).expect("starts");
    trainer.algorithm.estimator = Box::new(EveryOther);
    trainer
}

fn tokens(record: &RolloutRecord) -> &TokenRecord {
    record.tokens.as_ref().expect("its tokens were kept")
}

/// The groups that records speak of, with the responses' tokens and rewards as recorded.
fn groups(trainer: &Trainer, source: &Source, records: &[RolloutRecord]) -> Vec<Group> {
    let count = records.last().expect("some records").group + 1;
    let group = |number: usize| {
        let own: Vec<&RolloutRecord> = records.iter().filter(|record| record.group == number).collect();
        let index = own[0].problem_index.expect("a number in the data");
        let task = trainer.problems.task(index, source).expect("readable").expect("a good problem");
        for (response, record) in own.iter().enumerate() {
            assert_eq!((record.response, record.problem_index), (response, Some(index)));
            assert_eq!((&record.problem, &record.answer), (&task.problem, &task.truth.answer));
            let place = record.place.as_deref().expect("a place");
            assert!(place.ends_with(&format!("train.jsonl:{}", index + 1)), "{place} for problem {index}");
        }
        let completion = |record: &&RolloutRecord| Completion {
            tokens: tokens(record).ids.clone(),
            log_probs: tokens(record).sampling_log_probs.clone(),
            finish: rollout::Finish::Length,
        };
        let verdict = |record: &&RolloutRecord| Verdict { overall: record.reward, ..Verdict::default() };
        let images: Vec<_> = task.patches.iter().collect();
        Group {
            features: source.policy.image_features(&images),
            task,
            completions: own.iter().map(completion).collect(),
            texts: Vec::new(),
            verdicts: own.iter().map(verdict).collect(),
            asked: 0,
            ungraded: 0,
        }
    };
    (0..count).map(group).collect()
}

#[track_caller]
fn assert_close(recorded: &[f32], computed: &[f32], what: &str) {
    assert_eq!(recorded.len(), computed.len(), "{what}");
    assert!(
        !recorded.is_empty() && recorded.iter().any(|value| *value != 0.0),
        "{what}: there is something to compare"
    );
    for (ours, theirs) in recorded.iter().zip(computed) {
        assert!((ours - theirs).abs() <= 1e-5 * (1.0 + theirs.abs()), "{what}: {ours} but {theirs}");
    }
}

fn host(values: &Tensor<1>) -> Vec<f32> {
    values.to_data().iter().collect()
}

/// What stands in the records is what a scoring of the same tokens and an assignment of credit to the same optimizer batches
/// say, and the figures of the report are taken over it.
#[test]
fn records_are_what_the_step_computed() {
    let workspace = Workspace::new();
    let mut trainer = start(workspace.config("run", &workspace.recipe(&recipe())));
    let policy = trainer.policy.valid();
    let report = trainer.step().expect("a step");
    let records = report.rollouts.as_deref().expect("every step is recorded");
    assert_eq!(records.len(), 6, "two groups of three");

    let source = Source {
        policy: &policy,
        processor: &trainer.processor,
        reward: &*trainer.reward,
        config: &trainer.config,
        features: None,
    };
    let scorer = Scorer {
        policy: &policy,
        reference: None,
        metric: trainer.algorithm.metric.as_deref(),
        vocabulary: &trainer.vocabulary,
        processor: &trainer.processor.image,
        tokens_per_micro_batch: usize::MAX,
        seed: 0,
    };
    let scored = scorer.score(groups(&trainer, &source, records)).expect("can be scored");
    let recorded = |list: fn(&TokenRecord) -> &[f32]| records.iter().flat_map(|r| list(tokens(r)).to_vec()).collect();
    let dependency = host(scored.dependency.as_ref().expect("a dependency"));
    let contrast = &scored.contrasts[0];
    let compare =
        |list, computed: &[f32], what| assert_close(&Vec::from_iter::<Vec<f32>>(recorded(list)), computed, what);
    compare(|t| &t.log_probs, &host(&scored.clean.log_probs), "log-probabilities");
    compare(|t| &t.entropy, &host(&scored.clean.entropy), "entropies");
    compare(|t| t.dependency.as_deref().unwrap_or_default(), &dependency, "dependencies");
    compare(|t| &t.contrasts[0].log_probs, &host(&contrast.log_probs), "log-probabilities of the contrast");
    compare(|t| &t.contrasts[0].divergence, &host(&contrast.divergences[0]), "divergences");
    compare(|t| &t.sampling_log_probs, &host(&scored.clean.log_probs), "log-probabilities at sampling, up to rounding");

    // Each row has the credit of its own optimizer batch.
    let (mut advantage, mut gate) = (Vec::new(), Vec::new());
    let credit = |batch: &Scored| {
        let evidence = batch.evidence(None).expect("evidence").with_progress(Fraction::new(0.0).expect("a share"));
        let algorithm = &trainer.algorithm;
        advantage::assign(&*algorithm.estimator, &algorithm.shapers, &evidence).expect("credit")
    };
    let batches = scored.clone().optimizer_batches(2);
    for batch in &batches {
        let credit = credit(batch);
        advantage.extend(host(&batch.rows.pack(credit.advantage)));
        gate.extend(host(&batch.rows.pack(credit.gate)));
    }
    compare(|t| &t.advantage, &advantage, "advantages");
    compare(|t| &t.gate, &gate, "gates");
    let of_all = host(&scored.rows.pack(credit(&scored).advantage));
    assert!(of_all != advantage, "the credit of one large batch is another");

    let mean = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    let gates: Vec<f32> = recorded(|t| &t.gate);
    assert_eq!(report.selected, gates.iter().filter(|gate| **gate > 0.0).count() as f64 / gates.len() as f64);
    assert!(report.selected < 0.5, "the filter leaves tokens out");
    let dependencies: Vec<f32> = recorded(|t| t.dependency.as_deref().unwrap_or_default());
    assert!((report.dependency.expect("measured") - mean(&dependencies)).abs() < 1e-9);
    let loud: Vec<f32> = Vec::from_iter::<Vec<f32>>(recorded(|t| &t.advantage)).iter().map(|a| a.abs()).collect();
    assert!((report.advantage - mean(&loud)).abs() < 1e-9);
    assert!((report.entropy - mean(&Vec::from_iter::<Vec<f32>>(recorded(|t| &t.entropy)))).abs() < 1e-9);
    for record in records {
        let TokenRecord { ids, texts, contrasts, .. } = tokens(record);
        let tokenizer = &trainer.processor.tokenizer;
        assert_eq!(texts.concat(), tokenizer.decode(ids, false).expect("a text"));
        assert_eq!(record.text, tokenizer.decode(ids, true).expect("a text"));
        assert_eq!((contrasts.len(), record.finish, record.parts["accuracy"]), (1, Finish::Length, record.accuracy));
    }
}

/// A run of three steps, its records every `every` steps with the tokens of `token_groups` groups.
fn run(workspace: &Workspace, output: &str, record: RecordConfig, recipe: &Recipe) -> Trainer {
    let mut config = workspace.config(output, &workspace.recipe(recipe));
    (config.record, config.schedule.steps, config.schedule.save_every) = (record, 3, 1);
    go_on(start(config))
}

fn go_on(mut trainer: Trainer) -> Trainer {
    trainer.algorithm.estimator = Box::new(EveryOther);
    let output = trainer.config.output.clone();
    let mut observers: Vec<Box<dyn TrainObserver>> = vec![
        Box::new(MetricsFile::open(&output).expect("a folder")),
        Box::new(RolloutFiles::open(&output).expect("a folder")),
    ];
    trainer.run(&mut observers).expect("runs");
    trainer
}

fn read(folder: &Path, step: usize) -> Vec<RolloutRecord> {
    let text = fs::read_to_string(folder.join(format!("rollouts/step-{step}.jsonl"))).expect("a recorded step");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// Steps and tokens are kept as configured; a step without a response leaves an empty file.
#[test]
fn as_much_is_kept_as_configured() {
    let workspace = Workspace::new();
    let trained = run(&workspace, "some", RecordConfig { every: 2, token_groups: 1 }, &recipe());
    let output = &trained.config.output;
    assert_eq!(names(&output.join("rollouts")), ["step-2.jsonl"]);
    let records = read(output, 2);
    let kept: Vec<_> = records.iter().map(|record| (record.step, record.group, record.tokens.is_some())).collect();
    assert_eq!(kept, [(2, 0, true), (2, 0, true), (2, 0, true), (2, 1, false), (2, 1, false), (2, 1, false)]);
    assert!(records.iter().all(|record| !record.text.is_empty()));

    let trained = run(&workspace, "nothing", RecordConfig { every: 0, token_groups: 4 }, &recipe());
    assert!(names(&trained.config.output.join("rollouts")).is_empty());
    let banded = Recipe { accuracy_band: vppo().accuracy_band, name: "banded".to_owned(), ..recipe() };
    let trained = run(&workspace, "filtered", RecordConfig::default(), &banded);
    assert_eq!(names(&trained.config.output.join("rollouts")), ["step-1.jsonl", "step-2.jsonl", "step-3.jsonl"]);
    assert!(read(&trained.config.output, 1).is_empty());
}

/// A step that is taken again leaves the same records, whatever stood there.
#[test]
fn steps_taken_again_are_recorded_again() {
    let workspace = Workspace::new();
    let trained = run(&workspace, "run", RecordConfig::default(), &recipe());
    let output = trained.config.output.clone();
    drop(trained);
    let file = output.join("rollouts/step-3.jsonl");
    let before = fs::read(&file).expect("a recorded step");
    assert!(!before.is_empty() && before != fs::read(output.join("rollouts/step-2.jsonl")).expect("the one before"));
    fs::remove_dir_all(output.join("checkpoints/step-3")).expect("a writable folder");
    fs::write(&file, "of an abandoned step").expect("a writable folder");
    go_on(Trainer::resume(&output, &[]).expect("resumes"));
    assert!(fs::read(&file).expect("a recorded step") == before, "the same bytes");
    assert_eq!(names(&output.join("rollouts")), ["step-1.jsonl", "step-2.jsonl", "step-3.jsonl"]);
}

/// A run that starts again has nothing of the steps that another life took beyond it, also when it is shorter now.
#[test]
fn abandoned_steps_are_set_aside() {
    let workspace = Workspace::new();
    let trained = run(&workspace, "run", RecordConfig::default(), &recipe());
    let output = trained.config.output.clone();
    drop(trained);
    let rollouts = output.join("rollouts");
    fs::remove_dir_all(output.join("checkpoints/step-3")).expect("a writable folder");
    for step in [4, 6] {
        fs::write(rollouts.join(format!("step-{step}.jsonl")), "of an abandoned step").expect("a writable folder");
    }
    let resumed = Trainer::resume(&output, &[]).expect("resumes");
    assert!(resumed.step < 3, "it takes step 3 again");
    go_on(resumed);
    let expected = ["step-1.jsonl", "step-2.jsonl", "step-3.jsonl", "step-4.jsonl.abandoned", "step-6.jsonl.abandoned"];
    assert_eq!(names(&rollouts), expected);
    assert!(inspector::read_rollouts(&rollouts).expect("whole").iter().all(|record| record.step <= 3));
}
