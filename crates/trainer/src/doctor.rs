//! Whether a device computes what it should, and what it is.
//!
//! Backends differ in what they make of extremes, of numbers that are none, of small logarithms, and some are wrong. So
//! a device is examined before it is trusted: arithmetic against answers worked out in f64 on the host, everything else
//! against the CPU, and the CPU against values recorded once.

mod arithmetic;
mod check;
mod compare;
mod credit;
mod examination;
mod host;
mod inputs;
mod policy;
mod recorded;

use burn::tensor::Device;

use crate::{TrainError, device};

pub use check::Extent;
pub use compare::Tolerance;
pub use examination::{Examination, Finding, Verdict};
pub use host::Host;

/// What the values of a device are compared with where their answer is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// What the CPU computes now; recorded values if the program was built without it.
    Cpu,
    /// Some of the values that the CPU computed when they were recorded.
    Recorded,
}

/// Stands between a device and the comparison: takes a check's name and what the device computed, and returns what is
/// compared.
pub type Through<'a> = dyn Fn(&str, Vec<f32>) -> Vec<f32> + 'a;

/// Examines a device.
///
/// A panic of its backend is a failed check and no panic. `through` is the identity but in tests, which make a device
/// wrong by it.
#[must_use]
pub fn examine(device: &Device, extent: Extent, reference: Reference, through: &Through) -> Vec<Finding> {
    let cpu = if reference == Reference::Cpu { device::cpu() } else { None };
    let checks = arithmetic::checks().into_iter().chain(policy::checks()).chain(credit::checks());
    checks.filter(|check| extent == Extent::Full || check.extent == Extent::Quick).fold(
        Vec::new(),
        |mut findings, check| {
            let clock = std::time::Instant::now();
            let found = check.run(device, through);
            let seconds = clock.elapsed().as_secs_f64();
            let of_cpu = || cpu.as_ref().map(|cpu| check.run(cpu, &|_, values| values)).transpose();
            findings.extend(examination::compare(&check, found, of_cpu, seconds));
            findings
        },
    )
}

/// Examines the device of a name as `sightline doctor` does: the CPU against recorded values, all others against the
/// CPU.
///
/// # Errors
/// If there is no such device.
pub fn examine_named(name: &str, extent: Extent) -> Result<Examination, TrainError> {
    let device = device(name)?;
    let reference = if is_cpu(name) { Reference::Recorded } else { Reference::Cpu };
    let findings = examine(&device, extent, reference, &|_, values| values);
    Ok(Examination { device: name.to_owned(), findings })
}

/// Refuses a device, other than the CPU, that fails the quick part of the examination. On the CPU nothing runs.
///
/// # Errors
/// [`TrainError::UnsoundDevice`] with the table of what was found, or if there is no such device.
pub fn require_sound(name: &str) -> Result<(), TrainError> {
    if is_cpu(name) {
        return Ok(());
    }
    tracing::info!("examining {name} before it is trusted; --skip-doctor leaves this out");
    examine_named(name, Extent::Quick)?.require_sound()
}

fn is_cpu(name: &str) -> bool {
    name.split(':').next() == Some("cpu")
}
