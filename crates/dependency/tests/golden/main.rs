//! The components reproduce recorded outputs of an independent f64 implementation.

#[path = "../dependency_laws/device.rs"]
mod device;

mod cases;

mod divergences;
mod metrics;
mod perturbations;
