//! Where the tests compute.

use burn::tensor::Device;

/// The device that the environment variable `BURN_DEVICE` names; burn reads it itself and refuses one it was built without.
pub(crate) fn device() -> Device {
    Device::default()
}
