//! `sightline`: train, eval, generate, score, credit, reward, data.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    kernels::keep_freed_memory();
    command::main()
}
