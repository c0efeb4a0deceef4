//! `cargo xtask ci`: what continuous integration runs.

use std::time::{Duration, Instant};

use crate::cargo;
use crate::device::Device;
use crate::error::TaskError;
use crate::{test, tidy};

/// A step's name and what it does.
type Step = (&'static str, fn() -> Result<(), TaskError>);

/// The steps, cheapest first. The tests come last, so that their results are the last thing on the screen.
///
/// All of them build in release: clippy, the documentation and the tests then share what they can. Linting and testing
/// the whole workspace resolve the same features, and clippy leaves the checked dependencies for the documentation.
const STEPS: [Step; 7] = [
    ("format", format),
    ("tidy", tidy::run),
    ("clippy", clippy),
    ("documentation", documentation),
    ("clippy with wgpu", clippy_with_wgpu),
    ("clippy with cuda", clippy_with_cuda),
    ("test", test_on_cpu),
];

/// Runs the steps until one fails, then prints how long each took.
pub(crate) fn run() -> Result<(), TaskError> {
    let mut timed = Vec::with_capacity(STEPS.len());
    let mut outcome = Ok(());
    for (name, step) in STEPS {
        println!("── {name}");
        let start = Instant::now();
        outcome = step();
        timed.push((name, start.elapsed(), outcome.is_ok()));
        if outcome.is_err() {
            break;
        }
    }
    print!("{}", table(&timed));
    outcome
}

fn format() -> Result<(), TaskError> {
    cargo::run(&mut cargo::cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), TaskError> {
    lint(&["--workspace", "--all-targets"])
}

fn clippy_with_wgpu() -> Result<(), TaskError> {
    lint(&["--package", "trainer", "--features", "wgpu"])
}

fn clippy_with_cuda() -> Result<(), TaskError> {
    lint(&["--package", "trainer", "--features", "cuda"])
}

fn lint(selection: &[&str]) -> Result<(), TaskError> {
    let mut command = cargo::cargo(["clippy", "--release"]);
    cargo::run(command.args(selection).args(["--", "-D", "warnings"]))
}

fn documentation() -> Result<(), TaskError> {
    let mut command = cargo::cargo(["doc", "--release", "--workspace", "--no-deps"]);
    cargo::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn test_on_cpu() -> Result<(), TaskError> {
    test::run(Device::Cpu, &[])
}

/// One line per step, and their sum.
fn table(steps: &[(&str, Duration, bool)]) -> String {
    let total: Duration = steps.iter().map(|(_, time, _)| time).sum();
    let sum = ("total", total, steps.iter().all(|(_, _, passed)| *passed));
    steps
        .iter()
        .chain([&sum])
        .map(|(name, time, passed)| {
            let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
            let verdict = if *passed { "ok" } else { "FAILED" };
            format!("{name:<18}{minutes:>4} min {seconds:>2} s  {verdict}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_adds_up_and_shows_the_failure() {
        let steps = [("format", Duration::from_secs(2), true), ("test", Duration::from_secs(119), false)];
        assert_eq!(
            table(&steps),
            "format               0 min  2 s  ok\n\
             test                 1 min 59 s  FAILED\n\
             total                2 min  1 s  FAILED\n"
        );
    }
}
