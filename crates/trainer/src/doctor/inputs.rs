//! What checks compute with: the same numbers on every device, drawn on the host.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// `count` numbers drawn uniformly from a range.
pub(super) fn uniform(seed: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| low + (high - low) * random.random::<f32>()).collect()
}

/// `count` numbers drawn uniformly from `0..below`.
pub(super) fn indices(seed: u64, count: usize, below: u32) -> Vec<u32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(0..below)).collect()
}
