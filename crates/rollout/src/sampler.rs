//! One token per row from a batch of logits.
//!
//! The host draws one uniform number per row from that row's own generator; everything of vocabulary size stays on the
//! device. A token is found by inverting the cumulative distribution, so a row's token depends on its own number alone.

use burn::tensor::{Device, Tensor};
use kernels::{Categorical, Filter};

use crate::Sampling;

/// A sampled token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// The token.
    pub token: u32,
    /// Its log-probability (nats) in the distribution it was sampled from; for a greedy choice, in the model's own
    /// distribution at temperature 1.
    pub log_prob: f32,
}

/// Samples under fixed settings.
#[derive(Debug, Clone)]
pub struct Sampler {
    categorical: Categorical,
}

impl Sampler {
    /// For a vocabulary of the given size, some of whose tokens must never be chosen.
    ///
    /// # Panics
    /// If an excluded token lies outside the vocabulary.
    #[must_use]
    pub fn new(sampling: &Sampling, vocab_size: usize, excluded: &[u32], device: &Device) -> Self {
        let Sampling { temperature, top_k, top_p, .. } = *sampling;
        let filter = Filter { temperature, top_k, top_p };
        Self { categorical: Categorical::new(filter, vocab_size, excluded, device) }
    }

    /// Chooses one token per row. `uniform` holds one number of [0, 1) per row and is not read by a greedy choice.
    ///
    /// Order of the filters as in transformers: temperature, top-k, top-p; the token that crosses `top_p` is kept.
    ///
    /// # Shapes
    /// - `logits`: `[rows, vocab]`, f32
    ///
    /// # Panics
    /// If a choice that is not greedy has not one uniform number per row.
    #[must_use]
    pub fn draw(&self, logits: Tensor<2>, uniform: &[f32]) -> Vec<Draw> {
        let draws = self.categorical.draw(logits, uniform).into_iter();
        draws.map(|draw| Draw { token: draw.column, log_prob: draw.log_prob }).collect()
    }
}
