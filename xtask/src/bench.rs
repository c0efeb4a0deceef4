//! `cargo xtask bench`: measure, alone or side by side with the peers.

use crate::cargo;
use crate::device::Device;
use crate::error::TaskError;

/// Builds `sightline` and `side-by-side` for the device that `arguments` name, and runs the latter with them; behind
/// `--criterion` they are the names of criterion benchmarks, or nothing for all.
///
/// # Errors
/// If a command fails.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskError> {
    if let [first, names @ ..] = arguments
        && first == "--criterion"
    {
        return criterion(names);
    }
    // No package is selected, for the reason that `train` has.
    let mut build = cargo::cargo(["build", "--release", "--bin", "sightline"]);
    let mut measure = cargo::cargo(["run", "--release", "--bin", "side-by-side"]);
    if let Some(feature) = Device::requested(arguments).and_then(Device::feature) {
        build.args(["--features", feature]);
        measure.args(["--features", feature]);
    }
    cargo::run(&mut build)?;
    cargo::run(measure.arg("--").args(arguments))
}

/// Runs the criterion benchmarks of these names.
fn criterion(names: &[String]) -> Result<(), TaskError> {
    let chosen = names.iter().flat_map(|name| ["--bench", name]);
    let all = names.is_empty().then_some("--benches");
    cargo::run(cargo::cargo(["bench", "--package", "benches"]).args(chosen).args(all))
}
