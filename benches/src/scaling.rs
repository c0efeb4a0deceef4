//! How time and memory of scoring and of the update grow with the sizes of what is learned from.

use std::process::Command;

use clap::ValueEnum;

use crate::checkpoint;
use crate::compare::Compare;
use crate::contender::own_flags;
use crate::failure::Failure;
use crate::header::header;
use crate::print::print;
use crate::scene::Setting;
use crate::session::Session;
use crate::statistics::{Spread, three_digits};
use crate::work::Work;

/// Seconds after which a cell is given up, all its repetitions together.
const LIMIT: u64 = 1200;

/// Repetitions of a cell.
const REPETITIONS: usize = 5;

/// A size that is varied while the others stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Axis {
    /// Responses to the prompt
    Responses,
    /// Tokens of the prompt
    Prompt,
    /// Tokens of each response
    Response,
    /// Tokens of the vocabulary
    Vocabulary,
    /// Tokens of a prompt that responses share or not
    Sharing,
}

impl Axis {
    /// What is counted.
    const fn name(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Prompt | Self::Sharing => "prompt tokens",
            Self::Response => "tokens a response",
            Self::Vocabulary => "vocabulary",
        }
    }

    const fn values(self) -> &'static [usize] {
        match self {
            Self::Responses => &[1, 2, 4, 8, 16, 32],
            Self::Prompt => &[256, 512, 1024, 2048, 4096],
            Self::Response => &[64, 256, 1024, 4096],
            Self::Vocabulary => &[8192, 32_768, 65_536, 151_936],
            Self::Sharing => &[256, 1024, 4096],
        }
    }

    fn set(self, setting: &Setting, value: usize) -> Setting {
        let setting = setting.clone();
        match self {
            Self::Responses => Setting { responses: value, ..setting },
            Self::Prompt | Self::Sharing => Setting { prompt_tokens: Some(value), ..setting },
            Self::Response => Setting { new_tokens: value, ..setting },
            Self::Vocabulary => Setting { vocabulary: Some(value), ..setting },
        }
    }
}

/// What a cell of a table says.
struct Measured {
    seconds: Spread,
    /// Peak of memory above what lay there when everything was loaded, in bytes.
    above: u64,
    prompt_tokens: usize,
    parameters: usize,
}

/// Measures and prints a table for each axis, all of them if none is named.
///
/// # Errors
/// If nothing can be started.
pub(crate) fn run(compare: &Compare, axes: &[Axis]) -> Result<(), Failure> {
    let setting = &compare.setting;
    checkpoint::write(&setting.folder, setting.dims)?;
    let threads = compare.threads()?;
    print(&header(threads, setting, &serde_json::Map::new())?)?;
    print(&format!(
        "If not varied: {} responses of {} tokens to a prompt with one picture. Each cell is a process of its own: the median of \
         {REPETITIONS} repetitions after one that is not counted, with the smallest and largest, given up after {LIMIT} s. Memory is \
         the peak of them all above what lay there when everything was loaded; of the update without its gradient and AdamW's two \
         moments, which are three times the model. `P` and `R` are the tokens of prompt and response, `G` the responses.\n",
        setting.responses, setting.new_tokens
    ))?;
    let axes = if axes.is_empty() { Axis::value_variants() } else { axes };
    for &axis in axes {
        if axis == Axis::Sharing {
            print(
                "Scoring with one prompt for the group, and with one for each response; the picture is looked at once in both:\n",
            )?;
        }
        let columns = match axis {
            Axis::Sharing => "shared, s | unshared, s | saving | G(P + R) / (P + G·R) |\n|---|---|---|---|---|",
            _ => {
                "P + G·R | scoring, s | µs a token | MiB | update, s | µs a token | MiB |\n|---|---|---|---|---|---|---|---|"
            }
        };
        print(&format!("| {} | {columns}", axis.name()))?;
        for &value in axis.values() {
            let setting = axis.set(setting, value);
            print(&match axis {
                Axis::Sharing => shared(value, &setting, threads),
                _ => line(value, &setting, threads),
            })?;
        }
        print("")?;
    }
    Ok(())
}

fn line(value: usize, setting: &Setting, threads: usize) -> String {
    let score = measured(Work::LogProbs, setting, threads);
    let update = measured(Work::Update, setting, threads);
    let tokens = |measured: &Measured| measured.prompt_tokens + setting.responses * setting.new_tokens;
    let total = score.as_ref().or(update.as_ref()).map_or("–".to_owned(), |measured| tokens(measured).to_string());
    let cells = |measured: Option<&Measured>, state: usize| match measured {
        None => "not measured | | ".to_owned(),
        Some(cell) => {
            let above = cell.above.saturating_sub((state * cell.parameters * size_of::<f32>()) as u64);
            let per_token = cell.seconds.median / tokens(cell) as f64 * 1e6;
            format!("{} | {per_token:.0} | {}", cell.seconds.written(three_digits), above >> 20)
        }
    };
    format!("| {value} | {total} | {} | {} |", cells(score.as_ref(), 0), cells(update.as_ref(), 3))
}

/// What sharing a prompt saves, beside what it could save at most.
fn shared(prompt: usize, setting: &Setting, threads: usize) -> String {
    let shared = measured(Work::LogProbs, setting, threads);
    let unshared = measured(Work::LogProbs, &Setting { unshared: true, ..setting.clone() }, threads);
    let (group, response) = (setting.responses, setting.new_tokens);
    let ideal = (group * (prompt + response)) as f64 / (prompt + group * response) as f64;
    let seconds = |cell: &Option<Measured>| {
        cell.as_ref().map_or("not measured".to_owned(), |cell| cell.seconds.written(three_digits))
    };
    let saving = shared.as_ref().zip(unshared.as_ref()).map_or("–".to_owned(), |(shared, unshared)| {
        format!("{:.2}", unshared.seconds.median / shared.seconds.median)
    });
    format!("| {prompt} | {} | {} | {saving} | {ideal:.2} |", seconds(&shared), seconds(&unshared))
}

/// Measures a cell in a process of its own; `None` if it failed or was given up, which is said on standard error.
fn measured(work: Work, setting: &Setting, threads: usize) -> Option<Measured> {
    cell(work, setting, threads).map_err(|error| eprintln!("{} of {setting:?}: {error}", work.name())).ok()
}

fn cell(work: Work, setting: &Setting, threads: usize) -> Result<Measured, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["work", work.name(), "--peak-of-work", "--limit", &LIMIT.to_string()]).args(own_flags(setting));
    command.env("RAYON_NUM_THREADS", threads.to_string());
    let mut session = Session::start(command, work.name())?;
    let seconds: Vec<f64> = (0..REPETITIONS).map(|_| Ok(session.go()?.seconds)).collect::<Result<_, Failure>>()?;
    let seconds = Spread::of(seconds).ok_or("nothing was measured")?;
    let number = |key: &str| session.ready[key].as_u64().ok_or_else(|| format!("no number {key}"));
    let resident = number("resident_bytes")?;
    let (prompt_tokens, parameters) = (number("prompt_tokens")? as usize, number("parameters")? as usize);
    Ok(Measured { seconds, above: session.end()?.saturating_sub(resident), prompt_tokens, parameters })
}
