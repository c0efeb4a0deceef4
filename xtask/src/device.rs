//! Where tensors live.

use clap::ValueEnum;

/// Where tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// The processor
    #[default]
    Cpu,
    /// Any GPU, through wgpu
    Wgpu,
    /// An NVIDIA GPU
    Cuda,
}

impl Device {
    /// The device that `sightline --device` means by `name`, such as `cuda:0`; `None` if there is no such device.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let kind = name.split_once(':').map_or(name, |(kind, _index)| kind);
        Self::from_str(kind, false).ok()
    }

    /// The device after `--device` or `--device=`. A wrong name is left to the program to refuse.
    pub(crate) fn requested(arguments: &[String]) -> Option<Self> {
        let mut words = arguments.iter().flat_map(|argument| argument.split('='));
        words.find(|word| *word == "--device")?;
        Self::named(words.next()?)
    }

    /// What burn calls it in the environment variable `BURN_DEVICE`. Burn's own `cpu` is a backend we do not build.
    pub(crate) fn burn_name(self) -> &'static str {
        match self {
            Self::Cpu => "flex",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// The cargo feature that compiles its backend in; `None` for the default backend.
    pub(crate) fn feature(self) -> Option<&'static str> {
        match self {
            Self::Cpu => None,
            Self::Wgpu => Some("trainer/wgpu"),
            Self::Cuda => Some("trainer/cuda"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_does_not_change_the_kind() {
        assert_eq!(Device::named("cuda:1"), Some(Device::Cuda));
        assert_eq!(Device::named("wgpu"), Some(Device::Wgpu));
        assert_eq!(Device::named("tpu"), None);
    }
    #[test]
    fn finds_the_device_in_either_spelling() {
        let device = |line: &str| {
            let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
            Device::requested(&arguments)
        };
        assert_eq!(device("run.toml --device cuda:0"), Some(Device::Cuda));
        assert_eq!(device("--device=wgpu run.toml"), Some(Device::Wgpu));
        assert_eq!(device("--devices cuda run.toml"), None);
        assert_eq!(device("run.toml --device"), None);
    }

    /// Each is passed to cargo as it is.
    #[test]
    fn features_name_their_package() {
        let features: Vec<_> =
            [Device::Cpu, Device::Wgpu, Device::Cuda].into_iter().filter_map(Device::feature).collect();
        assert_eq!(features, ["trainer/wgpu", "trainer/cuda"]);
    }
}
