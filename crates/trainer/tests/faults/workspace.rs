//! A temporary folder with a model, a few problems, a recipe and the runs made of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::Device;
use burn_pack::Reader;
use dataset::shapes::{self, ShapesConfig};
use serde_json::Value;
use tempfile::TempDir;
use trainer::{Recipe, TrainConfig, vppo};

use crate::program::{Ended, Running};

/// Validates every step, so that a run that ends early has no validation that a longer one lacks.
pub(crate) const ALWAYS: &str = "schedule.validate_every=1";

pub(crate) struct Workspace {
    folder: TempDir,
}

impl Workspace {
    /// Writes an untrained model, six problems, a recipe that trains on every group, and the configuration of a run of short
    /// steps, each of which leaves a checkpoint.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ours = Self { folder };
        trainer::demo::untrained(&ours.path("model"), 4, &Device::default()).expect("a writable folder");
        let shapes = ShapesConfig {
            train: 6,
            held_out: 2,
            sides: vec![56],
            min_shapes: 1,
            max_shapes: 2,
            ..ShapesConfig::default()
        };
        shapes::write(&shapes, &ours.path("problems")).expect("a writable folder");
        let recipe = Recipe { name: "unfiltered".to_owned(), accuracy_band: None, ..vppo() };
        ours.write("recipe.json", &recipe.to_json().expect("finite numbers"));
        let text = format!(
            "model = {:?}\noutput = \"unused\"\nrecipe = {:?}\ndevice = {:?}\nseed = 3\n\
             [data]\ntrain = {:?}\nheld_out = {:?}\n\
             [rollout]\nprompts_per_step = 2\nresponses = 2\nsampling = {{ max_new_tokens = 5 }}\n\
             [update]\nlearning_rate = 1e-3\n\
             [schedule]\nsteps = 5\nsave_every = 1\nkeep = 2\nvalidate_every = 2\nvalidation_samples = 1\n",
            ours.path("model"),
            ours.path("recipe.json"),
            device_name(),
            ours.path("problems/train.jsonl"),
            ours.path("problems/held_out.jsonl"),
        );
        ours.write("run.toml", &text);
        ours
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a writable folder");
    }

    /// The configuration of a run, for this process.
    pub(crate) fn config(&self, output: &str, overrides: &[&str]) -> TrainConfig {
        let output = format!("output={:?}", self.path(output));
        let overrides: Vec<String> =
            overrides.iter().map(|text| (*text).to_owned()).chain(std::iter::once(output)).collect();
        TrainConfig::read(&self.path("run.toml"), &overrides).expect("valid")
    }

    /// The command that trains into a folder.
    pub(crate) fn command(&self, output: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightline"));
        command.arg("train").arg("--config").arg(self.path("run.toml")).arg("--output").arg(self.path(output));
        command.args(more);
        command
    }

    /// Starts training into a folder.
    pub(crate) fn start(&self, output: &str, more: &[&str]) -> Running {
        Running::start(self.command(output, more))
    }

    /// Trains into a folder until the program ends.
    pub(crate) fn train(&self, output: &str, more: &[&str]) -> Ended {
        self.start(output, more).end()
    }

    /// A run that nothing happens to.
    pub(crate) fn undisturbed(&self, output: &str, more: &[&str]) -> Outcome {
        self.train(output, more).succeeds();
        self.outcome(output)
    }

    /// What a run has come to.
    pub(crate) fn outcome(&self, output: &str) -> Outcome {
        Outcome::of(&self.path(output))
    }

    pub(crate) fn checkpoint(&self, output: &str, step: usize) -> PathBuf {
        self.path(output).join(format!("checkpoints/step-{step}"))
    }
}

/// What a run leaves, but for what a clock measures.
pub(crate) struct Outcome {
    /// The bytes of the files that matter in the newest checkpoint.
    files: BTreeMap<String, Vec<u8>>,
    /// The optimizer's tensors and counters.
    optimizer: BTreeMap<String, Vec<u8>>,
    /// For each step and kind of line the last line that was written.
    metrics: BTreeMap<(u64, bool), Value>,
    /// Folders of checkpoints.
    pub(crate) checkpoints: Vec<String>,
}

impl Outcome {
    fn of(output: &Path) -> Self {
        let mut checkpoints = names(&output.join("checkpoints"));
        checkpoints.retain(|name| name.starts_with("step-") && !name.ends_with(".damaged"));
        checkpoints.sort_by_key(|name| (name.len(), name.clone()));
        let newest = output.join("checkpoints").join(checkpoints.last().expect("a checkpoint"));
        let read = |name: &str| (name.to_owned(), fs::read(newest.join(name)).expect("a file of the checkpoint"));
        let files = ["model.safetensors", "config.json", "tokenizer.json", "trainer/state.json"].map(read).into();
        Self { files, optimizer: optimizer(&newest), metrics: last_metrics(output), checkpoints }
    }

    /// Fails unless both came to the same to the last bit. How many older checkpoints there are does not count.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        assert_eq!(self.checkpoints.last(), other.checkpoints.last(), "{what}");
        for (name, bytes) in &self.files {
            assert!(bytes == &other.files[name], "{what}: {name} differs");
        }
        assert!(self.optimizer.len() > 100, "the optimizer has moments");
        assert!(self.optimizer == other.optimizer, "{what}: the optimizer differs");
        assert_eq!(self.metrics, other.metrics, "{what}");
    }

    pub(crate) fn weights(&self) -> &[u8] {
        &self.files["model.safetensors"]
    }
}

/// All lines of a run's metrics.
pub(crate) fn metrics(output: &Path) -> Vec<Value> {
    let text = fs::read_to_string(output.join("metrics.jsonl")).expect("metrics were written");
    text.lines().map(|line| serde_json::from_str(line).expect("whole lines of JSON")).collect()
}

/// The lines of steps.
pub(crate) fn steps(output: &Path) -> Vec<Value> {
    metrics(output).into_iter().filter(|line| line["actor/lr"].is_number()).collect()
}

/// For each step and kind of line the last one, without what a clock or the system measures.
fn last_metrics(output: &Path) -> BTreeMap<(u64, bool), Value> {
    let line = |mut line: Value| {
        let object = line.as_object_mut().expect("an object");
        object.retain(|key, _| !key.starts_with("timing_") && !key.starts_with("perf/"));
        ((line["step"].as_u64().expect("a number"), line.get("actor/lr").is_some()), line)
    };
    metrics(output).into_iter().map(line).collect()
}

fn optimizer(checkpoint: &Path) -> BTreeMap<String, Vec<u8>> {
    let reader = Reader::from_file(checkpoint.join("trainer/optimizer.bpk")).expect("the optimizer's own format");
    let tensor = |name: &str| (name.to_owned(), reader.tensor_data(name).expect("a tensor"));
    let counter = |(name, value): (&String, &burn_pack::Scalar)| (name.clone(), format!("{value:?}").into_bytes());
    let tensors: Vec<_> = reader.tensor_names().into_iter().map(tensor).collect();
    tensors.into_iter().chain(reader.scalars().iter().map(counter)).collect()
}

/// The names in a folder, sorted; none if it is not there.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Whether a checkpoint is being written, or was when the process ended.
pub(crate) fn is_writing(output: &Path) -> bool {
    names(&output.join("checkpoints")).iter().any(|name| name.ends_with(".writing"))
}

/// The device of `BURN_DEVICE`, as a configuration names it.
fn device_name() -> String {
    match std::env::var("BURN_DEVICE") {
        Ok(name) if name != "flex" => name,
        _ => "cpu".to_owned(),
    }
}
