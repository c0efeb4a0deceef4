//! Every chore of the workspace behind one command: `cargo xtask <chore>`.
//!
//! This binary knows the workspace's layout and cargo's command line. It links none of the workspace's crates: it
//! spawns cargo, so that it compiles in seconds and works while the crates do not. One file per chore.
//!
//! ```text
//! cargo xtask test --device cpu
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks through its streams")]

mod bench;
mod browser;
mod cargo;
mod ci;
mod device;
mod error;
mod golden;
mod laws;
mod metadata;
mod test;
mod tidy;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::device::Device;

/// The workspace's chores
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Train a policy: build `sightline` in release and run `sightline train`
    Train {
        /// Passed on as they are; `--device wgpu` and `--device cuda:0` also turn on the cargo feature they need
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the tests of the whole workspace, or on a GPU those of the crates that compute on it
    Test {
        /// Where tensors live; the tests read it from BURN_DEVICE
        #[arg(long, value_enum, default_value_t)]
        device: Device,
        /// Run only tests whose name contains one of these
        filters: Vec<String>,
    },
    /// Check what the compiler cannot: who may know whom, stray backends, files no target compiles, long files,
    /// unfinished code
    Tidy,
    /// Run the property tests with 4096 cases each
    Laws,
    /// Run the comparisons with recorded outputs of the reference implementations
    Golden,
    /// Measure Sightline, with `--peer PYTHON` side by side with transformers and TRL; `--criterion` runs the small benchmarks
    Bench {
        /// Passed on as they are (`cargo xtask bench -- --help` lists them); `--device cuda:0` also turns on the feature it needs
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Test the inspector's page in headless Chromium, or take a picture of a page
    Browser(browser::Arguments),
    /// Run what continuous integration runs, cheapest first, and say how long each step took
    Ci,
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().chore {
        Chore::Train { arguments } => train::run(&arguments),
        Chore::Test { device, filters } => test::run(device, &filters),
        Chore::Tidy => tidy::run(),
        Chore::Laws => laws::run(),
        Chore::Golden => golden::run(),
        Chore::Bench { arguments } => bench::run(&arguments),
        Chore::Browser(arguments) => browser::run(&arguments),
        Chore::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            error.exit_code()
        }
    }
}
