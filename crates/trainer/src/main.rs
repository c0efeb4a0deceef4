//! `sightline`: train, eval, generate, score, credit, reward, data.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}
