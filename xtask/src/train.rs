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
    if let Some(feature) = requested_device(arguments).and_then(Device::feature) {
        command.args(["--features", &format!("trainer/{feature}")]);
    }
    cargo::run(command.args(["--", "train"]).args(arguments))
}

/// The device after `--device` or `--device=`. A wrong name is left to `sightline` to refuse.
fn requested_device(arguments: &[String]) -> Option<Device> {
    let mut words = arguments.iter().flat_map(|argument| argument.split('='));
    words.find(|word| *word == "--device")?;
    Device::named(words.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_device_in_either_spelling() {
        let device = |line: &str| {
            let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
            requested_device(&arguments)
        };
        assert_eq!(device("run.toml --device cuda:0"), Some(Device::Cuda));
        assert_eq!(device("--device=wgpu run.toml"), Some(Device::Wgpu));
        assert_eq!(device("--devices cuda run.toml"), None);
        assert_eq!(device("run.toml --device"), None);
    }
}
