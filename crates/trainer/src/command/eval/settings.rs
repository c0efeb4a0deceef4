//! Which model answers which problems, and how.

use std::path::{Path, PathBuf};

use clap::Args;
use dataset::Selection;
use trainer::{Exam, Hub, Preset, TrainConfig, TrainError};

/// Model, problems and settings.
#[derive(Args)]
pub(super) struct Settings {
    /// Checkpoint folder in Hub layout [default with --run: the run's newest]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Files or folders of problems, `FOLDER@SPLIT` for a split [default with --run or --config: the held-out ones]
    #[arg(long, num_args = 1..)]
    data: Vec<String>,
    /// Folder of a training run, whose settings are taken over
    #[arg(long, conflicts_with = "config")]
    run: Option<PathBuf>,
    /// Configuration file of a training run, whose settings are taken over
    #[arg(long)]
    config: Option<PathBuf>,
    /// Settings of a published evaluation; `sightline eval presets` lists them
    #[arg(long)]
    pub(super) preset: Option<String>,
    /// Responses to each problem
    #[arg(long)]
    samples: Option<usize>,
    /// Take the likeliest token, one response to each problem
    #[arg(long, conflicts_with_all = ["samples", "temperature", "top_p", "top_k"])]
    greedy: bool,
    /// Divides the logits; 0 takes the likeliest token, like --greedy
    #[arg(long, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Keep the smallest set of tokens with this share of the probability
    #[arg(long, allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Keep this many of the likeliest tokens; 0 keeps all
    #[arg(long)]
    top_k: Option<usize>,
    /// Length limit of a response, in tokens
    #[arg(long)]
    max_new_tokens: Option<usize>,
    /// Seed of the draws
    #[arg(long)]
    seed: Option<u64>,
    /// cpu, wgpu or cuda:0
    #[arg(long)]
    device: Option<String>,
    /// Answer the first N problems alone
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Fetch model and problems from the Hub where they are given by its names, such as hiyouga/geometry3k@test
    #[arg(long)]
    download: bool,
    /// Further settings of a training configuration, such as `data.max_prompt_tokens=8192`
    #[arg(value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl Settings {
    /// Reads configuration and problems. Flags count more than the preset, and the preset more than the run.
    pub(super) fn exam(&self, preset: Option<&Preset>) -> Result<Exam, TrainError> {
        let of_preset = preset.map_or_else(Vec::new, Preset::overrides);
        let ours = self.flags();
        let changed: Vec<&str> = ours
            .iter()
            .filter(|text| of_preset.iter().any(|theirs| changes(text, theirs)))
            .map(String::as_str)
            .collect();
        let preset = preset.map(|preset| match changed.is_empty() {
            true => preset.name.to_owned(),
            false => format!("{} with {}", preset.name, changed.join(", ")),
        });
        let overrides = [of_preset, ours].concat();
        let mut config = match (&self.run, &self.config) {
            (Some(run), _) => {
                let path = run.join("config.toml");
                // Before the newest checkpoint is looked for, so that a folder without a run is called that.
                TrainConfig::read(&path, &[])?;
                let newest = match &self.model {
                    Some(_) => Vec::new(),
                    None => vec![text("model", &trainer::newest(run)?.display().to_string())],
                };
                TrainConfig::read(&path, &[newest, overrides].concat())?
            }
            (None, Some(path)) => TrainConfig::read(path, &overrides)?,
            (None, None) => {
                let missing =
                    |flag: &str| TrainError::Usage(format!("{flag} is missing; give it, or --run or --config"));
                let model = self.model.as_ref().ok_or_else(|| missing("--model"))?;
                let (files, _) = self.data();
                if files.is_empty() {
                    return Err(missing("--data"));
                }
                TrainConfig::of_model(model, files.into_iter().collect()).with_overrides(&overrides)?
            }
        };
        if self.download {
            config.data.train = Selection::default();
            Hub::from_env()?.localize(&mut config)?;
        }
        Exam::new(config, preset, self.limit)
    }

    /// The flags as overrides, before those given as such.
    fn flags(&self) -> Vec<String> {
        let (files, overrides) = self.data();
        let path = |path: &PathBuf| path.display().to_string();
        // The likeliest tokens are the same in every response.
        let greedy = (self.greedy || self.temperature == Some(0.0)).then_some(1);
        let flags = [
            self.model.as_ref().map(|model| text("model", &path(model))),
            (!files.is_empty()).then(|| format!("data.held_out={}", toml::Value::from(files))),
            self.device.as_ref().map(|device| text("device", device)),
            self.seed.map(|seed| format!("seed={seed}")),
            self.samples.or(greedy).map(|samples| format!("schedule.validation_samples={samples}")),
            self.temperature.or(greedy.map(|_| 0.0)).map(|value| format!("rollout.sampling.temperature={value:?}")),
            self.top_p.map(|value| format!("rollout.sampling.top_p={value:?}")),
            self.top_k.map(|value| format!("rollout.sampling.top_k={value}")),
            self.max_new_tokens.map(|value| format!("rollout.sampling.max_new_tokens={value}")),
        ];
        flags.into_iter().flatten().chain(overrides).chain(self.overrides.iter().cloned()).collect()
    }

    /// The files after `--data`, and settings behind them, which the parser takes for files too.
    fn data(&self) -> (Vec<String>, Vec<String>) {
        self.data.iter().cloned().partition(|text| !text.contains('=') || Path::new(text).exists())
    }
}

/// A `key=value` text with a string for its value.
fn text(key: &str, value: &str) -> String {
    format!("{key}={}", toml::Value::String(value.to_owned()))
}

/// Whether an override of ours sets the key of another.
fn changes(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (key(ours), key(theirs));
    ours == theirs || theirs.strip_prefix(ours).is_some_and(|rest| rest.starts_with('.'))
}

/// The key of a `key=value` text.
fn key(text: &str) -> &str {
    text.split('=').next().unwrap_or_default().trim()
}
