//! `sightline`: train, generate, score, credit, reward.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}
