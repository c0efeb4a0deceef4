//! `sightline`: train, eval, generate, score, credit.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}
