//! The command line.

mod config;
mod credit;
mod data;
mod doctor;
mod dry_run;
mod eval;
mod generate;
mod inspect;
mod log;
mod question;
mod recipe;
mod reward;
mod score;
mod train;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use trainer::TrainError;

/// What standard output is called in messages.
const STANDARD_OUTPUT: &str = "standard output";

/// Trains Qwen2.5-VL by reinforcement with credit for the tokens that look at the image.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(flatten)]
    log: log::Log,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a policy; without arguments, the embedded demonstration
    Train(train::Train),
    /// Print, check and explain configurations, and convert those of EasyR1
    Config(config::ConfigCommand),
    /// Measure how well a model answers problems
    Eval(eval::Eval),
    /// Answer a question about images
    Generate(generate::Generate),
    /// Show how each token of a response depends on the images
    Score(score::Score),
    /// Make a page to look at a run: curves, responses token by token, images, comparisons
    Inspect(inspect::Inspect),
    /// Assign token credit: one JSON object per line in, one per line out
    Credit(credit::Credit),
    /// Look at data before training on it
    Data(data::Data),
    /// List, print and compare recipes
    Recipe(recipe::RecipeCommand),
    /// Judge answers by a reward, without a model
    Reward(reward::RewardCommand),
    /// Say what this machine has, and whether its devices compute what they should
    Doctor(doctor::Doctor),
}

/// Runs the program; errors go to standard error and make the exit status non-zero.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = arguments.log.start() {
        report(&error);
        return ExitCode::FAILURE;
    }
    let result = match arguments.command {
        Command::Train(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Generate(command) => command.run(),
        Command::Score(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Credit(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Recipe(command) => command.run(),
        Command::Reward(command) => command.run(),
        Command::Doctor(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(TrainError::Stopped { step, status }) => {
            eprintln!("{}", TrainError::Stopped { step, status });
            ExitCode::from(status)
        }
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn report(error: &TrainError) {
    eprintln!("error: {error}");
}

/// Whether it failed because nobody reads standard output any more, as behind `head`.
fn is_unread(error: &TrainError) -> bool {
    matches!(error, TrainError::File { path, source, .. }
        if path.as_os_str() == STANDARD_OUTPUT && source.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes a line of results to standard output.
///
/// # Errors
/// If standard output is closed or full.
fn print(line: &str) -> Result<(), TrainError> {
    let written = writeln!(std::io::stdout().lock(), "{line}");
    written.map_err(|source| TrainError::File { action: "write to", path: STANDARD_OUTPUT.into(), source })
}
