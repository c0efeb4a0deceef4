//! Losses, gradients, dependency and optimizer steps against numbers recorded from transformers and torch (generator
//! scripts: `tests/fixtures/scripts`), on one batch of two prompts with four responses each.
//!
//! Gradients may differ by 1e-4 in relative L2 norm: the recording's own f32 error against an independent float64
//! implementation is 3.7e-6, and a sum over a few hundred tokens in another order adds its share. Run with `BURN_DEVICE` to
//! choose the device.

mod adamw;
mod fixtures;
mod grpo;
mod vppo;
