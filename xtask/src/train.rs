//! `cargo xtask train`: train a policy.

use crate::cargo;
use crate::device::Device;
use crate::error::TaskError;

/// Builds `sightline` for the device that `arguments` name and runs `sightline train` with them.
///
/// No package is selected, so that features are resolved for the whole workspace, as for the tests: what one of the two has built
/// the other does not build again.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskError> {
    let mut command = cargo::cargo(["run", "--release", "--bin", "sightline"]);
    if let Some(feature) = Device::requested(arguments).and_then(Device::feature) {
        command.args(["--features", feature]);
    }
    cargo::run(command.args(["--", "train"]).args(arguments))
}
