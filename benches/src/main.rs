//! `side-by-side`: the same pieces of work by Sightline and by its peers, on the same checkpoint, pictures, threads and batch.
//!
//! `cargo xtask bench` builds and runs it. A piece of work runs in a process of its own ([`worker`]), so that its peak of memory is
//! its own; on the CPU both sides' processes wait for each other and work by turns ([`compare`]), so that a drift of the machine's
//! speed reaches both; on a GPU, whose memory they would share, one follows the other.

mod checkpoint;
mod compare;
mod contender;
mod dimensions;
mod failure;
mod header;
mod print;
mod process;
mod row;
mod scaling;
mod scene;
mod session;
mod statistics;
mod throughput;
mod work;
mod worker;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;

/// Measures Sightline side by side with its peers
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    measure: Measure,
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Args)]
struct Measure {
    /// Time and memory against the sizes of group, prompt, response and vocabulary instead
    #[arg(long)]
    scaling: bool,
    /// Only these tables of `--scaling`
    #[arg(long, value_enum, value_delimiter = ',', requires = "scaling")]
    axes: Vec<scaling::Axis>,
    #[command(flatten)]
    compare: compare::Compare,
}

#[derive(Subcommand)]
enum Task {
    /// Do one piece of work whenever a line says `go`; started by the comparison
    #[command(hide = true)]
    Work(worker::Worker),
}

fn main() -> ExitCode {
    // As the program that is measured does.
    kernels::keep_freed_memory();
    match run(CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(line: CommandLine) -> Result<(), Failure> {
    match line.command {
        Some(Task::Work(worker)) => worker.run(),
        None if line.measure.scaling => scaling::run(&line.measure.compare, &line.measure.axes),
        None => line.measure.compare.run(),
    }
}
