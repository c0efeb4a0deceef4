//! Policies, losses and gradients that go wrong.

use std::fs;
use std::path::Path;

use advantage::{AdvantageEstimator, CreditError, Evidence};
use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::Tensor;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use trainer::{MetricsFile, TrainError, TrainObserver, Trainer};

use crate::workspace::{ALWAYS, Workspace, names, steps};

/// Changes one tensor of the workspace's model.
fn edit(workspace: &Workspace, tensor: &str, change: impl FnOnce(&mut [f32], &[usize])) {
    let path = workspace.path("model/model.safetensors");
    let bytes = fs::read(&path).expect("weights");
    let stored = SafeTensors::deserialize(&bytes).expect("the format");
    let view = stored.tensor(tensor).expect("a tensor of that name");
    let shape = view.shape().to_vec();
    let mut values: Vec<f32> =
        view.data().chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().expect("four bytes"))).collect();
    change(&mut values, &shape);
    let changed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let changed = TensorView::new(view.dtype(), shape, &changed).expect("of the same size");
    let tensors = stored
        .tensors()
        .into_iter()
        .map(|(name, view)| if name == tensor { (name, changed.clone()) } else { (name, view) });
    let bytes = safetensors::serialize(tensors, None).expect("serializable");
    fs::write(path, bytes).expect("a writable file");
}

fn set_nan(values: &mut [f32], _shape: &[usize]) {
    values[7] = f32::NAN;
}

/// Makes the last hidden state the same whatever is read: a vector of ones.
fn make_constant(workspace: &Workspace) {
    edit(workspace, "model.layers.1.self_attn.v_proj.bias", |values, _| values.fill(1e6));
    edit(workspace, "model.layers.1.self_attn.o_proj.weight", |values, shape| {
        for (at, value) in values.iter_mut().enumerate() {
            *value = if at / shape[1] == at % shape[1] { 1.0 } else { 0.0 };
        }
    });
    edit(workspace, "model.layers.1.mlp.down_proj.weight", |values, _| values.fill(0.0));
    edit(workspace, "model.norm.weight", |values, _| values.fill(1.0));
}

/// Sets the logits of the tokens that end a response.
fn bias_ends(workspace: &Workspace, logit: f32) {
    let config = fs::read_to_string(workspace.path("model/generation_config.json")).expect("a file of the model");
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    let ends: Vec<usize> = serde_json::from_value(config["eos_token_id"].clone()).expect("token ids");
    assert_eq!(ends.len(), 2);
    edit(workspace, "model.embed_tokens.weight", |values, shape| {
        for end in ends {
            values[end * shape[1]..(end + 1) * shape[1]].fill(logit / shape[1] as f32);
        }
    });
}

/// A policy that ends every response at once gives responses of one token, and a run all the same.
#[test]
fn a_policy_that_ends_at_once_is_trained() {
    let workspace = Workspace::new();
    make_constant(&workspace);
    bias_ends(&workspace, 60.0);
    workspace.train("run", &["schedule.steps=3", "update.learning_rate=1e-9"]).succeeds();
    let lines = steps(&workspace.path("run"));
    assert_eq!(lines.len(), 3);
    for line in lines {
        let length = (&line["response_length/mean"], &line["response_length/clip_ratio"]);
        assert_eq!(length, (&1.0.into(), &0.0.into()), "{line}");
        assert_eq!((&line["groups/kept"], &line["actor/skipped_updates"]), (&2.into(), &0.into()), "{line}");
    }
}

/// One that never ends a response is cut at the length limit, each time.
#[test]
fn a_policy_that_never_ends_is_cut() {
    let workspace = Workspace::new();
    make_constant(&workspace);
    bias_ends(&workspace, -60.0);
    workspace.train("run", &["schedule.steps=3", "update.learning_rate=1e-9"]).succeeds();
    let lines = steps(&workspace.path("run"));
    assert_eq!(lines.len(), 3);
    for line in lines {
        let length = (&line["response_length/mean"], &line["response_length/clip_ratio"]);
        assert_eq!(length, (&5.0.into(), &1.0.into()), "{line}");
        assert_eq!((&line["groups/kept"], &line["actor/skipped_updates"]), (&2.into(), &0.into()), "{line}");
    }
}

/// A weight that is no number spoils every prediction: each step is counted and left out, and after as many as are allowed the
/// run ends. Nothing is saved.
#[test]
fn a_policy_that_predicts_nothing_ends_the_run() {
    let workspace = Workspace::new();
    edit(&workspace, "model.layers.0.mlp.up_proj.weight", set_nan);
    let ended = workspace.train("run", &["schedule.steps=9", "update.max_skipped_in_a_row=3"]);
    let log = ended.fails_with(&["step 3", "3 steps on end", "not finite", "no checkpoint yet"]);
    for step in 1..=3 {
        assert!(
            log.contains(&format!(
                "step {step}: nothing is learned from it, since log-probabilities are not finite: 1"
            )),
            "{log}"
        );
    }
    let lines = steps(&workspace.path("run"));
    assert_eq!(lines.len(), 3, "and each is in the metrics");
    for line in lines {
        let counts = (&line["training/not_finite"], &line["actor/skipped_updates"], &line["groups/kept"]);
        assert_eq!(counts, (&1.into(), &1.into(), &0.into()), "{line}");
    }
    assert!(names(&workspace.path("run/checkpoints")).is_empty());
}

/// An update that leaves weights that are no numbers is not saved in the place of those that were.
#[test]
fn spoilt_weights_are_not_saved() {
    let workspace = Workspace::new();
    let undisturbed = workspace.undisturbed("undisturbed", &["schedule.steps=2", ALWAYS]);
    workspace.train("run", &["schedule.steps=1", ALWAYS]).succeeds();
    let ended = workspace.train("run", &["schedule.steps=2", ALWAYS, "update.learning_rate=1e39", "--accept-changes"]);
    ended.fails_with(&["step 2 has left weights that are not finite", "run can go on from", "step-1"]);
    assert_eq!(names(&workspace.path("run/checkpoints")), ["step-1", "tracker.json"]);
    assert_eq!(names(&workspace.path("run")).iter().filter(|name| *name == "config.step-1.toml").count(), 1);
    let ended = workspace.train("run", &["schedule.steps=2", ALWAYS]);
    ended.fails_with(&["update.learning_rate: ", " -> 0.001", "--accept-changes"]);
    workspace.train("run", &["schedule.steps=2", ALWAYS, "--accept-changes"]).succeeds();
    workspace.outcome("run").assert_same(&undisturbed, "after the mistake");
}

/// Sets every weight to no number.
struct Spoil;

impl ModuleMapper for Spoil {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| (values.inner() * f32::NAN).autodiff())
    }
}

fn observers(output: &Path) -> Vec<Box<dyn TrainObserver>> {
    vec![Box::new(MetricsFile::open(output).expect("a writable folder"))]
}

/// Predictions that are no numbers in the middle of a run: no checkpoint is written any more, those that are there stay, and the
/// run goes on from them to where an undisturbed one comes.
#[test]
fn a_spoilt_policy_leaves_the_checkpoints_alone() {
    let workspace = Workspace::new();
    let undisturbed = workspace.undisturbed("undisturbed", &["schedule.validate_every=0"]);
    let settings = ["schedule.validate_every=0", "update.max_skipped_in_a_row=2"];
    let config = workspace.config("run", &[&settings[..], &["schedule.steps=2"]].concat());
    let mut trainer = Trainer::start(config.clone()).expect("starts");
    trainer.run(&mut observers(&config.output)).expect("runs");
    trainer.config.schedule.steps = 5;
    trainer.policy = trainer.policy.clone().map(&mut Spoil);
    let error = trainer.run(&mut observers(&config.output)).expect_err("nothing can be learned");
    assert!(matches!(error, TrainError::NotFinite { step: 4, steps: 2, .. }), "{error}");
    assert!(error.to_string().contains("step-2"), "{error}");
    drop(trainer);
    assert_eq!(names(&config.output.join("checkpoints")), ["step-1", "step-2", "tracker.json"]);
    workspace.train("run", &settings).succeeds();
    let ours = workspace.outcome("run");
    assert!(ours.weights() == undisturbed.weights(), "as if nothing had been");
}

/// Gradients that are no numbers are left out, whatever the reason; the weights stay, checkpoints are written, and after as many
/// steps as are allowed the run ends.
#[test]
fn gradients_that_are_no_numbers_change_nothing() {
    struct Broken;
    impl AdvantageEstimator for Broken {
        fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
            Ok(evidence.response().clone().float() * f32::NAN)
        }
    }
    let workspace = Workspace::new();
    let settings = ["schedule.steps=9", "schedule.keep=9", "update.max_skipped_in_a_row=3"];
    let config = workspace.config("run", &settings);
    let mut trainer = Trainer::start(config.clone()).expect("starts");
    trainer.algorithm.estimator = Box::new(Broken);
    let error = trainer.run(&mut observers(&config.output)).expect_err("nothing is learned");
    assert!(matches!(error, TrainError::NotFinite { step: 3, steps: 3, .. }), "{error}");
    let lines = steps(&config.output);
    assert_eq!(lines.len(), 3);
    for line in &lines {
        assert_eq!((&line["actor/skipped_updates"], &line["training/not_finite"]), (&1.into(), &0.into()), "{line}");
    }
    let weights = |step| fs::read(workspace.checkpoint("run", step).join("model.safetensors")).expect("a checkpoint");
    assert!(weights(1) == weights(2), "the policy stays as it was");
    drop(trainer);
    // What went wrong before the checkpoint still counts, until a step is good.
    let mut resumed = Trainer::resume(&config.output, &[]).expect("resumes");
    resumed.algorithm.estimator = Box::new(Broken);
    let error = resumed.run(&mut []).expect_err("the third after two");
    assert!(matches!(error, TrainError::NotFinite { step: 3, steps: 3, .. }), "{error}");
    drop(resumed);
    let mut resumed = Trainer::resume(&config.output, &["schedule.steps=4".to_owned()]).expect("resumes");
    resumed.run(&mut observers(&config.output)).expect("two good steps");
    assert!(weights(3) != weights(2) && resumed.step == 4);
    resumed.algorithm.estimator = Box::new(Broken);
    resumed.config.schedule.steps = 6;
    resumed.run(&mut []).expect("two in a row are allowed");
}

/// When no group is worth training on, steps are taken, said and counted, and nothing is learned.
#[test]
fn a_run_may_filter_everything() {
    let workspace = Workspace::new();
    let settings = ["--recipe", "dapo", "schedule.steps=3", "schedule.keep=3", "rollout.max_rounds=2"];
    let log = workspace.train("run", &settings).succeeds();
    for step in 1..=3 {
        assert!(log.contains(&format!("step {step}: none of 4 groups could be used")), "{log}");
    }
    let lines = steps(&workspace.path("run"));
    assert_eq!(lines.len(), 3);
    for line in &lines {
        assert_eq!((&line["groups/kept"], &line["groups/sampled"]), (&0.into(), &4.into()), "{line}");
        assert_eq!((&line["actor/skipped_updates"], line["actor/grad_norm"].is_null()), (&0.into(), true), "{line}");
    }
    let weights = |step| fs::read(workspace.checkpoint("run", step).join("model.safetensors")).expect("a checkpoint");
    assert!(weights(1) == weights(3));
}
