//! Where the tests compute.

use std::env::{self, VarError};

use burn::tensor::Device;

/// The device that the environment variable `BURN_DEVICE` names; the processor (`cpu`, or burn's name `flex`) by default.
pub(crate) fn device() -> Device {
    match env::var("BURN_DEVICE").as_deref() {
        Err(VarError::NotPresent) | Ok("cpu" | "flex") => Device::flex(),
        other => panic!("BURN_DEVICE is {other:?}, but these tests are built for \"cpu\" only"),
    }
}
