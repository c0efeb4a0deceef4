//! The one place where execution backends are named.

use burn::tensor::{DType, Device};
use vlm_model::Precision;

use crate::TrainError;

/// A kind of devices, and those of it that this machine has.
#[derive(Clone, Debug)]
pub struct Backend {
    /// What it is called in `--device`, before the colon.
    pub name: &'static str,
    /// The cargo feature that builds it.
    pub feature: &'static str,
    /// Its devices; or why there are none.
    pub devices: Result<Vec<FoundDevice>, String>,
}

/// A device of this machine.
#[derive(Clone, Debug)]
pub struct FoundDevice {
    /// What `--device` takes.
    pub name: String,
    /// What it calls itself.
    pub description: String,
}

/// Makes the device named `cpu`, `wgpu[:index]` or `cuda[:index]`. `wgpu` without an index is the adapter that wgpu
/// prefers.
///
/// # Errors
/// If the name is unknown, the program was built without that backend, or no such device is present.
pub fn device(name: &str) -> Result<Device, TrainError> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, Some(index)),
        None => (name, None),
    };
    let unavailable = |reason: String| TrainError::Device { name: name.to_owned(), reason };
    let number = |index: &str| {
        index.parse::<usize>().map_err(|_| unavailable(format!("`{index}` is not an index; write for example cuda:0")))
    };
    let index = index.map(number).transpose()?;
    match kind {
        "cpu" => cpu().ok_or_else(|| unavailable(not_built("flex"))),
        "wgpu" => wgpu(index).unwrap_or_else(|| Err(not_built("wgpu"))).map_err(unavailable),
        "cuda" => cuda(index.unwrap_or(0)).unwrap_or_else(|| Err(not_built("cuda"))).map_err(unavailable),
        _ => Err(unavailable("use cpu, wgpu or cuda:0".to_owned())),
    }
}

/// As [`device`], for layers that compute in `precision`.
///
/// # Errors
/// If it cannot, besides those.
pub fn device_for(name: &str, precision: Precision) -> Result<Device, TrainError> {
    let device = device(name)?;
    if precision == Precision::BFloat16 && !device.supports_dtype(DType::BF16) {
        let reason =
            "it does not compute in bf16, as `precision` says; choose another device, or precision f32".to_owned();
        return Err(TrainError::Device { name: name.to_owned(), reason });
    }
    Ok(device)
}

/// Every backend there is, and its devices on this machine. Looking for them opens them.
#[must_use]
pub fn backends() -> Vec<Backend> {
    let here = |description: &str| FoundDevice { name: "cpu".to_owned(), description: description.to_owned() };
    let of_cpu = cpu().map(|_| vec![here("burn-flex, on all threads")]).ok_or_else(|| not_built("flex"));
    vec![
        Backend { name: "cpu", feature: "flex", devices: of_cpu },
        Backend { name: "wgpu", feature: "wgpu", devices: wgpus().unwrap_or_else(|| Err(not_built("wgpu"))) },
        Backend { name: "cuda", feature: "cuda", devices: cudas().unwrap_or_else(|| Err(not_built("cuda"))) },
    ]
}

fn not_built(feature: &str) -> String {
    format!("this program was built without it; rebuild with --features {feature}")
}

/// The device that others are compared with, if the program was built with it.
#[cfg(feature = "flex")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
pub(crate) fn cpu() -> Option<Device> {
    Some(Device::flex())
}

/// The device that others are compared with, if the program was built with it.
#[cfg(not(feature = "flex"))]
pub(crate) fn cpu() -> Option<Device> {
    None
}

#[cfg(feature = "wgpu")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
fn wgpu(index: Option<usize>) -> Option<Result<Device, String>> {
    let Some(index) = index else { return Some(Ok(Device::wgpu(burn::tensor::DeviceKind::default()))) };
    let found = enumerated(burn::tensor::DeviceType::Wgpu, "no adapter was found; check it with vulkaninfo");
    Some(found.and_then(|devices| {
        let count = devices.len();
        devices.into_iter().nth(index).ok_or_else(|| format!("{count} adapters were found"))
    }))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_index: Option<usize>) -> Option<Result<Device, String>> {
    None
}

#[cfg(feature = "wgpu")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
fn wgpus() -> Option<Result<Vec<FoundDevice>, String>> {
    let found = enumerated(burn::tensor::DeviceType::Wgpu, "no adapter was found; check it with vulkaninfo");
    Some(found.map(|devices| described("wgpu", devices)))
}

#[cfg(not(feature = "wgpu"))]
fn wgpus() -> Option<Result<Vec<FoundDevice>, String>> {
    None
}

/// Probes for the device first: without a driver the runtime would panic on first use.
#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
fn cuda(index: usize) -> Option<Result<Device, String>> {
    Some(match enumerated(burn::tensor::DeviceType::Cuda, "no CUDA driver was found; check it with nvidia-smi") {
        Ok(devices) if index < devices.len() => Ok(Device::cuda(index)),
        Ok(devices) => Err(format!("{} CUDA devices were found; check the driver with nvidia-smi", devices.len())),
        Err(reason) => Err(reason),
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Option<Result<Device, String>> {
    None
}

#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
fn cudas() -> Option<Result<Vec<FoundDevice>, String>> {
    let found = enumerated(burn::tensor::DeviceType::Cuda, "no CUDA driver was found; check it with nvidia-smi");
    Some(found.map(|devices| described("cuda", devices)))
}

#[cfg(not(feature = "cuda"))]
fn cudas() -> Option<Result<Vec<FoundDevice>, String>> {
    None
}

/// The devices of a kind. Without a driver the runtime panics.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn enumerated(kind: burn::tensor::DeviceType, without: &str) -> Result<Vec<Device>, String> {
    std::panic::catch_unwind(|| Device::enumerate(kind).into_vec()).map_err(|_| without.to_owned())
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn described(kind: &str, devices: Vec<Device>) -> Vec<FoundDevice> {
    let describe = |(index, device): (usize, Device)| {
        let identity = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| device.identity()));
        let description = match identity {
            Ok(Some(identity)) => format!("{} ({})", identity.name, identity.fingerprint),
            Ok(None) => format!("{device:?}"),
            Err(_) => "cannot be opened".to_owned(),
        };
        FoundDevice { name: format!("{kind}:{index}"), description }
    };
    devices.into_iter().enumerate().map(describe).collect()
}
