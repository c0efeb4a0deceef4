//! How time and memory of scoring and of the update grow with the sizes of what is learned from.

use std::process::Command;

use crate::checkpoint;
use crate::compare::Compare;
use crate::contender::flags;
use crate::failure::Failure;
use crate::header::header;
use crate::print::print;
use crate::scene::Setting;
use crate::session::Session;
use crate::work::Work;

/// Seconds after which a cell is given up, all its repetitions together.
const LIMIT: u64 = 300;

/// Repetitions of a cell; the fastest counts.
const REPETITIONS: usize = 2;

/// A size that is varied while the others stay.
struct Axis {
    name: &'static str,
    values: &'static [usize],
    set: fn(&mut Setting, usize),
}

const AXES: [Axis; 4] = [
    Axis { name: "responses", values: &[1, 2, 4, 8, 16, 32], set: |setting, value| setting.responses = value },
    Axis {
        name: "prompt tokens",
        values: &[256, 512, 1024, 2048, 4096],
        set: |setting, value| setting.prompt_tokens = Some(value),
    },
    Axis {
        name: "tokens a response",
        values: &[64, 256, 1024, 4096],
        set: |setting, value| setting.new_tokens = value,
    },
    Axis {
        name: "vocabulary",
        values: &[8192, 32_768, 65_536, 151_936],
        set: |setting, value| setting.vocabulary = Some(value),
    },
];

/// What a cell of a table says.
struct Measured {
    seconds: f64,
    /// Peak of memory above what lay there when everything was loaded, in bytes.
    above: u64,
    prompt_tokens: usize,
    parameters: usize,
}

/// Measures and prints all tables.
///
/// # Errors
/// If nothing can be started.
pub(crate) fn run(compare: &Compare) -> Result<(), Failure> {
    let setting = &compare.setting;
    checkpoint::write(&setting.folder, setting.dims)?;
    let threads = compare.threads()?;
    print(&header(threads, setting, &serde_json::Map::new())?)?;
    print(&format!(
        "If not varied: {} responses of {} tokens to a prompt with one picture. Each cell is a process of its own: the faster of \
         {REPETITIONS} repetitions after one that is not counted, given up after {LIMIT} s. Memory is the peak above what lay there \
         when everything was loaded; of the update without its gradient and AdamW's two moments, which are three times the model. `P` \
         and `R` are the tokens of prompt and response, `G` the responses.\n",
        setting.responses, setting.new_tokens
    ))?;
    for axis in &AXES {
        print(&format!(
            "| {} | P + G·R | scoring, s | µs a token | MiB | update, s | µs a token | MiB |\n|---|---|---|---|---|---|---|---|",
            axis.name
        ))?;
        for &value in axis.values {
            let mut setting = setting.clone();
            (axis.set)(&mut setting, value);
            print(&line(value, &setting, threads)?)?;
        }
        print("")?;
    }
    shared(setting, threads)
}

fn line(value: usize, setting: &Setting, threads: usize) -> Result<String, Failure> {
    let score = measured(Work::LogProbs, setting, threads)?;
    let update = measured(Work::Update, setting, threads)?;
    let tokens = |measured: &Measured| measured.prompt_tokens + setting.responses * setting.new_tokens;
    let total = score.as_ref().or(update.as_ref()).map_or("–".to_owned(), |measured| tokens(measured).to_string());
    let cells = |measured: Option<&Measured>, state: usize| match measured {
        None => "not measured | | ".to_owned(),
        Some(cell) => {
            let above = cell.above.saturating_sub((state * cell.parameters * size_of::<f32>()) as u64);
            let per_token = cell.seconds / tokens(cell) as f64 * 1e6;
            format!("{:.2} | {per_token:.0} | {}", cell.seconds, above >> 20)
        }
    };
    Ok(format!("| {value} | {total} | {} | {} |", cells(score.as_ref(), 0), cells(update.as_ref(), 3)))
}

/// What sharing a prompt saves, beside what it could save at most.
fn shared(setting: &Setting, threads: usize) -> Result<(), Failure> {
    print(
        "Scoring with one prompt for the group, and with one for each response; the picture is looked at once in both:\n",
    )?;
    print("| prompt tokens | shared, s | unshared, s | saving | G(P + R) / (P + G·R) |\n|---|---|---|---|---|")?;
    for prompt in [256, 1024, 4096] {
        let setting = Setting { prompt_tokens: Some(prompt), ..setting.clone() };
        let shared = measured(Work::LogProbs, &setting, threads)?;
        let unshared = measured(Work::LogProbs, &Setting { unshared: true, ..setting.clone() }, threads)?;
        let (group, response) = (setting.responses, setting.new_tokens);
        let ideal = (group * (prompt + response)) as f64 / (prompt + group * response) as f64;
        let seconds = |cell: &Option<Measured>| {
            cell.as_ref().map_or("not measured".to_owned(), |cell| format!("{:.2}", cell.seconds))
        };
        let saving = shared
            .as_ref()
            .zip(unshared.as_ref())
            .map_or("–".to_owned(), |(shared, unshared)| format!("{:.2}", unshared.seconds / shared.seconds));
        print(&format!("| {prompt} | {} | {} | {saving} | {ideal:.2} |", seconds(&shared), seconds(&unshared)))?;
    }
    Ok(())
}

/// Measures a cell in a process of its own; `None` if it was given up.
fn measured(work: Work, setting: &Setting, threads: usize) -> Result<Option<Measured>, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["work", work.name(), "--peak-of-work", "--limit", &LIMIT.to_string()]).args(flags(setting));
    command.env("RAYON_NUM_THREADS", threads.to_string());
    match cell(command, work) {
        Ok(measured) => Ok(Some(measured)),
        Err(error) => {
            eprintln!("{} of {setting:?}: {error}", work.name());
            Ok(None)
        }
    }
}

fn cell(command: Command, work: Work) -> Result<Measured, Failure> {
    let mut session = Session::start(command, work.name())?;
    let mut seconds = f64::INFINITY;
    for _ in 0..REPETITIONS {
        seconds = seconds.min(session.go()?.seconds);
    }
    let number = |key: &str| session.ready[key].as_u64().ok_or_else(|| format!("no number {key}"));
    let resident = number("resident_bytes")?;
    let (prompt_tokens, parameters) = (number("prompt_tokens")? as usize, number("parameters")? as usize);
    Ok(Measured { seconds, above: session.end()?.saturating_sub(resident), prompt_tokens, parameters })
}
