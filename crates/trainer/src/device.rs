//! The one place where execution backends are named.

use burn::tensor::Device;

use crate::TrainError;

/// Makes the device named `cpu`, `wgpu` or `cuda[:index]`.
///
/// # Errors
/// If the name is unknown, the program was built without that backend, or no such device is present.
pub fn device(name: &str) -> Result<Device, TrainError> {
    let (kind, index) = name.split_once(':').unwrap_or((name, "0"));
    let unavailable = |reason: String| TrainError::Device { name: name.to_owned(), reason };
    let index: usize =
        index.parse().map_err(|_| unavailable(format!("`{index}` is not an index; write for example cuda:0")))?;
    match kind {
        "cpu" => cpu().ok_or_else(|| unavailable(not_built("flex"))),
        "wgpu" => wgpu().ok_or_else(|| unavailable(not_built("wgpu"))),
        "cuda" => cuda(index).unwrap_or_else(|| Err(not_built("cuda"))).map_err(unavailable),
        _ => Err(unavailable("use cpu, wgpu or cuda:0".to_owned())),
    }
}

fn not_built(feature: &str) -> String {
    format!("this program was built without it; rebuild with --features {feature}")
}

#[cfg(feature = "flex")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
fn cpu() -> Option<Device> {
    Some(Device::flex())
}

#[cfg(not(feature = "flex"))]
fn cpu() -> Option<Device> {
    None
}

#[cfg(feature = "wgpu")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
fn wgpu() -> Option<Device> {
    Some(Device::wgpu(burn::tensor::DeviceKind::default()))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Option<Device> {
    None
}

/// Probes for the device first: without a driver the runtime would panic on first use.
#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "None without the feature")]
fn cuda(index: usize) -> Option<Result<Device, String>> {
    let found = std::panic::catch_unwind(|| Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len());
    Some(match found {
        Ok(count) if index < count => Ok(Device::cuda(index)),
        Ok(count) => Err(format!("{count} CUDA devices were found; check the driver with nvidia-smi")),
        Err(_) => Err("no CUDA driver was found; check it with nvidia-smi".to_owned()),
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Option<Result<Device, String>> {
    None
}
