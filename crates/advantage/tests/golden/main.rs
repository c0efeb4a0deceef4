//! The components reproduce recorded outputs of an independent f64 implementation.

#[path = "../credit_laws/device.rs"]
mod device;

mod cases;

mod estimators;
mod shapers;
