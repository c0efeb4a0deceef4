//! `sightline eval`.

mod comparison;
mod preset;
mod settings;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::json;
use trainer::{Evaluation, Exam, Journal, Preset, Protocol, TrainError, progress_bar};

use self::settings::Settings;
use super::print;

/// Skipped problems that are named one by one; the others are counted, and named in `summary.json`.
const NAMED: usize = 20;

/// Time between lines of progress where there is no terminal for a bar.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// Arguments of `eval`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = HELP)]
pub(crate) struct Eval {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    settings: Settings,
    /// Say what the preset asks, what of it is published and where ours departs, and answer nothing
    #[arg(long, requires = "preset")]
    explain: bool,
    /// Folder for every response and the figures; an evaluation found there goes on where it stopped
    #[arg(long)]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Without --run or --config the settings are the defaults of training: its prompt, its judge, its sampling.
The accuracy is avg@k, the mean over problems of the share of right responses. SE is its standard error over problems.
What is drawn for a response depends on the seed, the problem and the response's number alone.

  sightline eval --run runs/geometry                    the newest checkpoint, exactly as the run validates it
  sightline eval --model DIR --data test.jsonl --samples 8 --temperature 1.0
  sightline eval --model DIR --data geo3k.jsonl --preset geo3k --output results/geo3k";

#[derive(Subcommand)]
enum Action {
    /// List the presets
    Presets {
        /// Print one JSON object for each
        #[arg(long)]
        json: bool,
    },
    /// Compare two evaluations of the same problems, problem by problem
    Compare {
        /// Folder of the first evaluation
        before: PathBuf,
        /// Folder of the second evaluation
        after: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Eval {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        match &self.action {
            Some(Action::Presets { json }) => return preset::list(*json),
            Some(Action::Compare { before, after, json }) => return comparison::compare(before, after, *json),
            None => {}
        }
        let chosen = self.settings.preset.as_deref().map(Preset::find).transpose()?;
        match &chosen {
            Some(chosen) if self.explain => preset::explain(chosen, self.json),
            _ => self.evaluate(chosen.as_ref()),
        }
    }

    fn evaluate(&self, preset: Option<&Preset>) -> Result<(), TrainError> {
        let exam = self.settings.exam(preset)?;
        if exam.count == 0 {
            let reason = "there is no problem to answer; give data that has some, and no --limit 0".to_owned();
            return Err(TrainError::NothingEvaluated { reason });
        }
        if let Some(preset) = preset.filter(|preset| preset.benchmark.problems != exam.count) {
            let (published, ours) = (preset.benchmark.problems, exam.count);
            tracing::warn!(
                "{} has {published} problems, this data {ours}: the numbers do not compare",
                preset.benchmark.title
            );
        }
        let protocol = (self.output.is_some() || self.json).then(|| exam.protocol()).transpose()?;
        let open = |(folder, protocol): (&PathBuf, &Protocol)| Journal::open(folder, protocol);
        let mut journal = self.output.as_ref().zip(protocol.as_ref()).map(open).transpose()?;
        let evaluation = take(&exam, journal.as_mut())?;
        let summary = json!({ "protocol": protocol, "evaluation": evaluation });
        if let Some(journal) = &journal {
            journal.finish(&summary)?;
        }
        if self.json {
            print(&summary.to_string())?;
        }
        if evaluation.overall.problems == 0 {
            return Err(TrainError::NothingEvaluated { reason: self.why_nothing(&exam, &evaluation) });
        }
        if self.json { Ok(()) } else { show(&exam, &evaluation, self.output.as_deref()) }
    }

    /// Why no problem counts.
    fn why_nothing(&self, exam: &Exam, evaluation: &Evaluation) -> String {
        let Evaluation { overall, skipped, .. } = evaluation;
        let mut reasons = Vec::new();
        if overall.responses > 0 {
            let kept = match &self.output {
                Some(folder) => {
                    format!("they are kept in {}, and the same command judges them again", folder.display())
                }
                None => "nothing is kept without --output".to_owned(),
            };
            reasons
                .push(format!("the reward judged none of {} responses, see the warnings; {kept}", overall.responses));
        }
        if let Some(first) = skipped.first() {
            let (skipped, all) = (skipped.len(), exam.count);
            reasons.push(format!("{skipped} of {all} problems were skipped, the first since {}", first.reason));
        }
        reasons.join("; ")
    }
}

/// Answers what is left, behind a progress bar with the accuracy so far.
fn take(exam: &Exam, journal: Option<&mut Journal>) -> Result<Evaluation, TrainError> {
    let bar = progress_bar("problems", exam.count);
    if let Some(journal) = &journal {
        bar.set_position(journal.tally().problems() as u64);
        bar.reset_eta();
    }
    let mut said = Instant::now();
    let evaluation = exam.take(journal, |tally| {
        let so_far = tally.clone().evaluation();
        bar.set_message(so_far.to_string());
        bar.set_position(tally.problems() as u64);
        if bar.is_hidden() && (said.elapsed() >= BETWEEN_LINES || tally.problems() == exam.count) {
            said = Instant::now();
            tracing::info!("{} of {} problems: {so_far}", tally.problems(), exam.count);
        }
    });
    bar.finish_and_clear();
    evaluation
}

/// What was asked, and what came out.
fn show(exam: &Exam, evaluation: &Evaluation, output: Option<&Path>) -> Result<(), TrainError> {
    let config = &exam.config;
    let sampling = &config.rollout.sampling;
    let draw = match sampling.temperature {
        0.0 => "greedy".to_owned(),
        temperature => {
            let top_k = if sampling.top_k == 0 { "off".to_owned() } else { sampling.top_k.to_string() };
            format!("temperature {temperature}, top-p {}, top-k {top_k}, seed {}", sampling.top_p, config.seed)
        }
    };
    if let Some(preset) = &exam.preset {
        print(&format!("preset:    {preset}"))?;
    }
    print(&format!("model:     {}", config.model.display()))?;
    print(&format!("sampling:  {draw}; at most {} tokens", sampling.max_new_tokens))?;
    print(&format!("held-out accuracy: {evaluation}"))?;
    print("")?;
    print(&table::table(evaluation))?;
    if let Some(error) = evaluation.overall.sampling_error {
        print(&format!("SE from the draws alone, for these problems and other seeds: {:.1}", 100.0 * error))?;
    }
    for skipped in evaluation.skipped.iter().take(NAMED) {
        print(&format!("skipped: {}", skipped.reason))?;
    }
    if let Some(more) = evaluation.skipped.len().checked_sub(NAMED).filter(|more| *more > 0) {
        print(&format!("skipped: {more} more"))?;
    }
    match output {
        Some(folder) => print(&format!("responses and figures: {}", folder.display())),
        None => Ok(()),
    }
}
