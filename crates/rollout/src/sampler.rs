//! One token per row from a batch of logits.
//!
//! The host draws one uniform number per row from that row's own generator; everything of vocabulary size stays on the
//! device. A token is found by inverting the cumulative distribution, so a row's token depends on its own number alone.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};

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
    sampling: Sampling,
    /// −∞ at the excluded tokens, 0 elsewhere; `[1, vocab]`.
    exclusion: Tensor<2>,
}

impl Sampler {
    /// For a vocabulary of the given size, some of whose tokens must never be chosen.
    ///
    /// # Panics
    /// If an excluded token lies outside the vocabulary.
    #[must_use]
    pub fn new(sampling: Sampling, vocab_size: usize, excluded: &[u32], device: &Device) -> Self {
        let mut bias = vec![0.0_f32; vocab_size];
        for &token in excluded {
            bias[token as usize] = f32::NEG_INFINITY;
        }
        Self { sampling, exclusion: Tensor::from_data(TensorData::new(bias, [1, vocab_size]), device) }
    }

    /// Chooses one token per row. `uniform` holds one number of [0, 1) per row and is not read by a greedy choice.
    ///
    /// Order of the filters as in transformers: temperature, top-k, top-p; the token that crosses `top_p` is kept.
    ///
    /// # Shapes
    /// - `logits`: `[rows, vocab]`, f32
    #[must_use]
    pub fn draw(&self, logits: Tensor<2>, uniform: &[f32]) -> Vec<Draw> {
        let (tokens, log_probs) = if self.sampling.temperature == 0.0 {
            let tokens = (logits.clone() + self.exclusion.clone()).argmax(1);
            (tokens.clone(), log_softmax(logits, 1).gather(1, tokens))
        } else {
            self.invert(logits, uniform)
        };
        let tokens = tokens.into_data().convert::<i64>();
        let log_probs = log_probs.into_data().convert::<f32>();
        tokens
            .iter::<i64>()
            .zip(log_probs.iter::<f32>())
            .map(|(token, log_prob)| Draw { token: token as u32, log_prob })
            .collect()
    }

    /// Inverts each row's cumulative distribution at its uniform number.
    fn invert(&self, logits: Tensor<2>, uniform: &[f32]) -> (Tensor<2, Int>, Tensor<2>) {
        let device = logits.device();
        let scaled = (logits + self.exclusion.clone()) / self.sampling.temperature;
        let (probability, order) = self.filter(softmax(scaled, 1));
        let vocab = probability.dims()[1];
        let cumulative = probability.clone().cumsum(1);
        let mass = cumulative.clone().narrow(1, vocab - 1, 1);
        // Strictly below one in f32 also after multiplication with the mass, so that the last token is never overshot.
        let uniform: Vec<f32> = uniform.iter().map(|&u| u * (1.0 - 1e-6)).collect();
        let rows = uniform.len();
        let target = Tensor::<2>::from_data(TensorData::new(uniform, [rows, 1]), &device) * mass.clone();
        let place = cumulative.lower_equal(target).int().sum_dim(1).clamp(0, vocab as i64 - 1);
        let log_prob = (probability.gather(1, place.clone()) / mass).log();
        let token = match order {
            Some(order) => order.gather(1, place),
            None => place,
        };
        (token, log_prob)
    }

    /// Zeroes what top-k and top-p cut away. Filtered rows come sorted, with the tokens they stand for.
    fn filter(&self, probability: Tensor<2>) -> (Tensor<2>, Option<Tensor<2, Int>>) {
        let Sampling { top_p, top_k, .. } = self.sampling;
        let vocab = probability.dims()[1];
        let keep = if top_k == 0 { vocab } else { top_k.min(vocab) };
        if top_p >= 1.0 && keep == vocab {
            return (probability, None);
        }
        let (sorted, order) = probability.sort_descending_with_indices(1);
        let (sorted, order) = (sorted.narrow(1, 0, keep), order.narrow(1, 0, keep));
        if top_p >= 1.0 {
            return (sorted, Some(order));
        }
        let before = sorted.clone().cumsum(1) - sorted.clone();
        let mass = sorted.clone().sum_dim(1);
        let cut = before.greater_equal(mass * top_p);
        (sorted.mask_fill(cut, 0.0), Some(order))
    }
}
