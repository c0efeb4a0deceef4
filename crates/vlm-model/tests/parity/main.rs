//! Every stage of the model against tensors recorded from transformers (generator scripts: `tests/fixtures/scripts`).
//!
//! Tolerances: the reference's own f32 error against an independent float64 implementation is 2.7e-5 on logits, 6.5e-6 on
//! log-probabilities, 2.7e-6 on image features and 3.7e-6 (relative) on gradients; ours are a small multiple of these.
//! Run with `BURN_DEVICE` to choose the device.

mod fixtures;
mod generation;
mod gradients;
mod half;
mod language;
mod limits;
mod vision;
mod weights;
