//! `cargo xtask bench`: run the benchmarks.

use crate::cargo;
use crate::error::TaskError;

/// Runs every benchmark of the package `benches`.
pub(crate) fn run() -> Result<(), TaskError> {
    cargo::run(&mut cargo::cargo(["bench", "--package", "benches"]))
}
