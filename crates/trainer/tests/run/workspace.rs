//! A temporary folder with a model, a few problems and the runs made of them.

use std::path::{Path, PathBuf};

use advantage::{AdvantageEstimator, CreditError, Evidence};
use burn::tensor::{Device, Tensor, TensorData};
use dataset::shapes::{self, ShapesConfig};
use tempfile::TempDir;
use trainer::{
    MetricsFile, Recipe, RolloutConfig, ScheduleConfig, TrainConfig, TrainError, TrainObserver, Trainer, UpdateConfig,
};

/// The device of `BURN_DEVICE`, as a configuration names it.
pub(crate) fn device_name() -> String {
    match std::env::var("BURN_DEVICE") {
        Ok(name) if name != "flex" => name,
        _ => "cpu".to_owned(),
    }
}

pub(crate) struct Workspace {
    folder: TempDir,
    problems: PathBuf,
}

impl Workspace {
    /// Writes an untrained model and six problems.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let model = folder.path().join("model");
        trainer::demo::untrained(&model, 4, &Device::default()).expect("a writable folder");
        let config = ShapesConfig {
            train: 6,
            held_out: 3,
            sides: vec![56, 84],
            min_shapes: 1,
            max_shapes: 2,
            ..ShapesConfig::default()
        };
        let files = shapes::write(&config, &folder.path().join("problems")).expect("a writable folder");
        Self { problems: files.train, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a recipe file and returns its path as a configuration takes it.
    pub(crate) fn recipe(&self, recipe: &Recipe) -> String {
        let path = self.path(&format!("{}.json", recipe.name));
        std::fs::write(&path, recipe.to_json().expect("finite numbers")).expect("a writable folder");
        path.display().to_string()
    }

    /// Short runs of two prompts with three responses each step, that learn fast.
    pub(crate) fn config(&self, output: &str, recipe: &str) -> TrainConfig {
        let text = format!(
            "model = {:?}\noutput = {:?}\nrecipe = {recipe:?}\ndevice = {:?}\nseed = 11\n[data]\ntrain = {:?}\n",
            self.path("model"),
            self.path(output),
            device_name(),
            self.problems,
        );
        let config: TrainConfig = toml::from_str(&text).expect("a valid configuration");
        let mut rollout = RolloutConfig { prompts_per_step: 2, responses: 3, max_rounds: 2, ..config.rollout };
        (rollout.sampling.max_new_tokens, rollout.sampling.top_p) = (7, 1.0);
        let update = UpdateConfig {
            learning_rate: 2e-3,
            updates_per_step: 2,
            tokens_per_micro_batch: 120,
            vocabulary_chunk: 16,
            ..config.update
        };
        let schedule = ScheduleConfig { steps: 2, save_every: 2, keep: 2, ..config.schedule };
        TrainConfig { rollout, update, schedule, ..config }
    }
}

/// Praises every other response, so that an untrained policy has something to learn.
pub(crate) struct EveryOther;

impl AdvantageEstimator for EveryOther {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let [responses, tokens] = evidence.response().dims();
        let signs: Vec<f32> = (0..responses).map(|row| if row % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let signs = Tensor::<2>::from_data(TensorData::new(signs, [responses, 1]), &evidence.response().device());
        Ok(signs.expand([responses, tokens]) * evidence.response().clone().float())
    }
}

/// Runs a trainer to its end with that estimator and a metrics file.
pub(crate) fn finish(mut trainer: Trainer) -> Result<Trainer, TrainError> {
    trainer.algorithm.estimator = Box::new(EveryOther);
    let mut observers: Vec<Box<dyn TrainObserver>> = vec![Box::new(MetricsFile::open(&trainer.config.output)?)];
    trainer.run(&mut observers)?;
    Ok(trainer)
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("Unicode")).collect();
    names.sort();
    names
}
