//! `sightline train`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use indicatif::ProgressBar;
use trainer::demo::{self, Progress};
use trainer::doctor;
use trainer::{
    Console, Hub, MetricsFile, Paired, Recipe, Reopened, Resumption, RolloutFiles, TensorBoard, TrainConfig,
    TrainError, TrainObserver, Trainer, Tui, hear_of_file_limits, holds_run, progress_bar,
};

use super::dry_run::dry_run;
use super::{log, print};

/// Arguments of `train`.
#[derive(Args)]
pub(crate) struct Train {
    /// Configuration file (TOML); without it, the embedded demonstration runs
    #[arg(long)]
    config: Option<PathBuf>,
    /// Settings to override, such as `update.learning_rate=2e-6`
    #[arg(value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Recipe: a built-in name or a file
    #[arg(long)]
    recipe: Option<String>,
    /// Checkpoint folder to start from; in the demonstration, instead of a small model built for it
    #[arg(long)]
    model: Option<PathBuf>,
    /// Folder of the run [default: as configured, or runs/demo]
    #[arg(long)]
    output: Option<PathBuf>,
    /// cpu, wgpu or cuda:0
    #[arg(long)]
    device: Option<String>,
    /// Only go on with a run; fails if the folder holds none, or none with a checkpoint [default: go on if there is one]
    #[arg(long)]
    resume: bool,
    /// Train on a device other than the CPU without examining it first, as `sightline doctor --quick` does
    #[arg(long)]
    skip_doctor: bool,
    /// Only start a run; fails if the folder holds one
    #[arg(long, conflicts_with = "resume")]
    fresh: bool,
    /// Go on although configuration, recipe or data have changed since
    #[arg(long, conflicts_with = "fresh")]
    accept_changes: bool,
    /// Check configuration, recipe, data, model, disk and memory, and train nothing
    #[arg(long, requires = "config")]
    dry_run: bool,
    /// Fetch model and data from the Hub where they are given by its names, such as Qwen/Qwen2.5-VL-3B-Instruct
    #[arg(long, requires = "config")]
    download: bool,
    /// Show the run as a dashboard; needs a terminal
    #[arg(long)]
    tui: bool,
}

impl Train {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        hear_of_file_limits()?;
        if self.tui {
            Tui::check()?;
        }
        let overrides = self.all_overrides();
        let resumption = Resumption { accept_changes: self.accept_changes, need_checkpoint: self.resume };
        match &self.config {
            Some(path) => {
                let mut config = TrainConfig::read(path, &overrides)?;
                if self.download {
                    Hub::from_env()?.localize(&mut config)?;
                }
                if self.dry_run {
                    return dry_run(&config, self.goes_on(&config.output).then_some(resumption));
                }
                self.examine(&config.device)?;
                if self.goes_on(&config.output) {
                    let recipe = Recipe::find(&config.recipe)?;
                    go_on(Reopened::new(config, recipe, resumption)?, self.tui)
                } else {
                    train(Trainer::start(config)?, self.tui)
                }
            }
            None => {
                let output = self.output.clone().unwrap_or_else(|| PathBuf::from("runs/demo"));
                if self.goes_on(&output) {
                    demo::check_resumed(&overrides)?;
                    let run = Reopened::stored(&output, &overrides, resumption)?;
                    self.examine(run.device())?;
                    go_on(run, self.tui)
                } else {
                    self.examine(&demo::device_name(&output, &overrides)?)?;
                    demonstrate(&output, &overrides, self.tui)
                }
            }
        }
    }

    /// Refuses a device that computes wrongly.
    fn examine(&self, device: &str) -> Result<(), TrainError> {
        if self.skip_doctor { Ok(()) } else { doctor::require_sound(device) }
    }

    /// Whether a run is to be gone on with rather than started.
    fn goes_on(&self, output: &Path) -> bool {
        self.resume || (!self.fresh && holds_run(output))
    }

    /// The flags as overrides, after those given as such.
    fn all_overrides(&self) -> Vec<String> {
        let quoted = |key: &str, value: &str| format!("{key}={}", toml::Value::String(value.to_owned()));
        let path = |path: &PathBuf| path.display().to_string();
        let flags = [
            ("recipe", self.recipe.clone()),
            ("device", self.device.clone()),
            ("model", self.model.as_ref().map(path)),
            ("output", self.output.as_ref().map(path)),
        ];
        let flags = flags.into_iter().filter_map(|(key, value)| value.map(|value| quoted(key, &value)));
        self.overrides.iter().cloned().chain(flags).collect()
    }
}

/// Goes on with a run, if something is left to do.
fn go_on(run: Reopened, tui: bool) -> Result<(), TrainError> {
    match run.finished() {
        Some(checkpoint) => {
            run.tidy()?;
            print(&format!("the run is finished: {} steps are taken; more with schedule.steps=N", run.step()))?;
            print(&format!("checkpoint: {}", checkpoint.display()))
        }
        None => train(run.load()?, tui),
    }
}

fn train(mut trainer: Trainer, tui: bool) -> Result<(), TrainError> {
    trainer.stop.listen()?;
    let output = trainer.config.output.clone();
    let mut observers = observers(&output, tui)?;
    let last = trainer.run(&mut observers)?;
    // Gives the terminal back.
    drop(observers);
    if let Some(evaluation) = last {
        print(&format!("held-out accuracy: {evaluation}"))?;
    }
    print(&format!("checkpoints: {}", output.join("checkpoints").display()))?;
    Ok(())
}

/// Everything that watches a run.
fn observers(output: &Path, tui: bool) -> Result<Vec<Box<dyn TrainObserver>>, TrainError> {
    // First, since it may be refused.
    let screen: Box<dyn TrainObserver> = if tui {
        Box::new(Tui::open(&output.display().to_string(), log::lines(), interrupt)?)
    } else {
        Box::<Console>::default()
    };
    Ok(vec![
        Box::new(MetricsFile::open(output)?),
        Box::new(RolloutFiles::open(output)?),
        Box::new(TensorBoard::open(output)?),
        screen,
    ])
}

/// Asks the run to stop as the keyboard would.
fn interrupt() {
    if let Err(error) = signal_hook::low_level::raise(signal_hook::consts::SIGINT) {
        tracing::warn!("cannot interrupt the run: {error}");
    }
}

/// The embedded default: problems, model, warm-up, reinforcement, and the accuracy before and after.
fn demonstrate(output: &Path, overrides: &[String], tui: bool) -> Result<(), TrainError> {
    let clock = Instant::now();
    let mut bar = ProgressBar::hidden();
    let config = demo::prepare(output, overrides, |progress| show(&mut bar, &progress))?;
    bar.finish_and_clear();
    let warm = clock.elapsed();
    let held_out = config.data.held_out.clone().unwrap_or_default();
    let steps = config.schedule.steps;
    let mut trainer = Trainer::start(config)?;
    demo::prepared(output)?;
    let recipe = trainer.algorithm.recipe.to_string();
    let problems = trainer.config.data.open(&held_out)?;
    let before = trainer.validate(&problems, |_| {})?;
    tracing::info!("held-out accuracy after the warm-up: {before}");

    trainer.stop.listen()?;
    let mut observers = observers(output, tui)?;
    let after = match trainer.run(&mut observers)? {
        Some(after) => after,
        None => trainer.validate(&problems, |_| {})?,
    };
    drop(observers);
    let (before, after) = (&before, &after);
    print(&format!("held-out accuracy after the warm-up:      {before}"))?;
    print(&format!("held-out accuracy after {steps} steps of {recipe}: {after}"))?;
    print(&format!("gain: {}", Paired::between(before, after)))?;
    print(&format!("time: {:.0} s, of which {:.0} s warm-up", clock.elapsed().as_secs_f64(), warm.as_secs_f64()))?;
    print(&format!("checkpoint: {}", trainer::newest(output)?.display()))?;
    Ok(())
}

fn show(bar: &mut ProgressBar, progress: &Progress) {
    match progress {
        Progress::Problems { train, held_out } => {
            tracing::info!("wrote {train} problems to train on and {held_out} held out");
        }
        Progress::Model { parameters, warm_up_steps } => {
            tracing::info!("built a Qwen2.5-VL of {parameters} parameters; warming it up on worked responses");
            *bar = progress_bar("warm-up steps", *warm_up_steps);
        }
        Progress::WarmUp(progress) => {
            bar.set_position(progress.step as u64);
            bar.set_message(format!("loss {:.3}", progress.loss));
            if let Some(checked) = &progress.checked {
                bar.suspend(|| {
                    tracing::info!("warm-up step {}: loss {:.3}, accuracy {}", progress.step, progress.loss, checked);
                });
            }
        }
    }
}
