//! `cargo xtask test`: run the tests.

use crate::cargo;
use crate::device::Device;
use crate::error::TaskError;

/// The crates whose tests compute on `BURN_DEVICE`; the tests of the others would only repeat themselves on a GPU.
const COMPUTING_CRATES: [&str; 6] = ["advantage", "dependency", "kernels", "vlm-model", "rollout", "trainer"];

/// Runs the tests on `device`; with `filters`, only those whose name contains one of them.
///
/// On the CPU these are the tests of the whole workspace, on a GPU those of the crates that compute.
pub(crate) fn run(device: Device, filters: &[String]) -> Result<(), TaskError> {
    let mut command = cargo::cargo(["test", "--release"]);
    match device.feature() {
        None => {
            command.arg("--workspace");
        }
        Some(feature) => {
            command.args(COMPUTING_CRATES.iter().flat_map(|name| ["--package", name]));
            command.args(["--features", feature]);
        }
    }
    command.env("BURN_DEVICE", device.burn_name());
    cargo::run(command.arg("--").args(filters))
}
