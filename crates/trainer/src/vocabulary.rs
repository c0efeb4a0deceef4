//! The only place where a distribution over the vocabulary exists: a chunk of positions at a time.
//!
//! Log-probabilities, entropy, divergences and, in the backward pass, the gradient of the output projection are all
//! computed from chunks of hidden states. A chunk's logits are made once for each view, read in one pass, and dropped before
//! the next chunk's; for the gradient they are made again, unless there is one chunk only. Peak memory is a chunk times the
//! vocabulary for each of the views that are compared, and once more where the gradient leaves positions out of kept logits,
//! however long the responses are.

mod backward;
mod compare;

use burn::tensor::{Device, Int, Tensor};
use kernels::{Prediction, Softmax, forward_kl};
use vlm_model::QwenVl;

pub use compare::{Clean, ContrastScores, ViewPair};

/// How hidden states become the policy's distribution over the next token.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Positions whose logits exist at once. At least 1.
    pub chunk: usize,
    /// Temperature, and the tokens that can never be sampled.
    softmax: Softmax,
}

/// What is known of each sampled token.
#[derive(Clone, Debug)]
pub struct TokenScores {
    /// Log-probability of the sampled token, in nats; `[tokens]`.
    pub log_probs: Tensor<1>,
    /// Entropy of the distribution it was drawn from, in nats; `[tokens]`. Not a number where it was not computed.
    pub entropy: Tensor<1>,
}

/// Response tokens, and what an objective wants to know of the distributions they were drawn from.
#[derive(Clone, Debug)]
pub struct Positions<'a> {
    /// The states the tokens are predicted from, without autodiff; `[tokens, width]`.
    pub hidden: Tensor<2>,
    /// The tokens, `[tokens]`.
    pub sampled: Tensor<1, Int>,
    /// Whether it wants entropies.
    pub entropy: bool,
    /// A reference policy and its states of the same tokens, both without autodiff, if it wants divergences from it.
    pub reference: Option<(&'a QwenVl, Tensor<2>)>,
}

impl Positions<'_> {
    fn count(&self) -> usize {
        self.hidden.dims()[0]
    }
}

/// What an objective reads of the current policy's distributions, or its gradient with respect to that.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// Log-probability of each sampled token, nats; `[tokens]`.
    pub log_probs: Tensor<1>,
    /// Entropy of each distribution, nats; `[tokens]`.
    pub entropy: Option<Tensor<1>>,
    /// `KL(policy ‖ reference)` over the whole vocabulary, nats, at least 0; `[tokens]`.
    pub reference_divergence: Option<Tensor<1>>,
}

/// The logits of all positions, where they are no more than a chunk.
#[derive(Debug, Default)]
pub struct KeptLogits(Option<Tensor<2>>);

impl Vocabulary {
    /// The model's own distribution at temperature 1, over all tokens.
    #[must_use]
    pub const fn plain(chunk: usize) -> Self {
        Self { chunk, softmax: Softmax::plain() }
    }

    /// The distribution a rollout samples from, before top-k and top-p.
    ///
    /// # Panics
    /// If an excluded token lies outside the vocabulary.
    #[must_use]
    pub fn sampled(temperature: f64, chunk: usize, vocab_size: usize, excluded: &[u32], device: &Device) -> Self {
        // A greedy rollout (temperature 0) is scored at temperature 1.
        let temperature = if temperature == 0.0 { 1.0 } else { temperature };
        Self { chunk, softmax: Softmax::new(temperature, vocab_size, excluded, device) }
    }

    /// What the logits divide by, as at sampling. Above 0.
    #[must_use]
    pub const fn temperature(&self) -> f64 {
        self.softmax.temperature()
    }

    /// What is read of the distributions at some positions, which must be few enough for their logits to exist at once.
    fn predict(&self, model: &QwenVl, hidden: Tensor<2>, sampled: Tensor<1, Int>) -> Prediction {
        self.softmax.predict(model.logits(hidden), sampled)
    }

    /// Log-probability and entropy of each sampled token.
    ///
    /// # Shapes
    /// - `hidden`: `[tokens, width]`, the states the tokens are predicted from
    /// - `sampled`: `[tokens]`
    #[must_use]
    pub fn score(&self, model: &QwenVl, hidden: &Tensor<2>, sampled: &Tensor<1, Int>) -> TokenScores {
        self.compare(model, &Clean::States(hidden.clone()), sampled, &[]).0
    }

    /// What an objective reads of the policy's distributions at some positions. Only what is asked for is computed.
    #[must_use]
    pub fn predictions(&self, model: &QwenVl, positions: &Positions) -> Predictions {
        self.forward(model, positions).0
    }

    /// As [`Self::predictions`], with what saves [`Self::backward`] from making logits again.
    #[must_use]
    pub fn forward(&self, model: &QwenVl, positions: &Positions) -> (Predictions, KeptLogits) {
        let mut kept = KeptLogits::default();
        let (mut log_probs, mut entropies, mut divergences) = (Vec::new(), Vec::new(), Vec::new());
        for (start, length) in chunks(positions.count(), self.chunk) {
            let part = |states: &Tensor<2>| states.clone().narrow(0, start, length);
            let sampled = positions.sampled.clone().narrow(0, start, length);
            let known = self.predict(model, part(&positions.hidden), sampled);
            log_probs.push(known.log_probs.clone());
            if positions.entropy {
                entropies.push(known.entropy());
            }
            if let Some((reference, states)) = &positions.reference {
                let others = self.softmax.adjusted(reference.logits(part(states)));
                divergences.push(forward_kl(known.logits.clone(), others));
            }
            if length == positions.count() {
                kept = KeptLogits(Some(known.logits));
            }
        }
        let joined = |parts| joined(parts, &positions.hidden.device());
        let predictions = Predictions {
            log_probs: joined(log_probs),
            entropy: positions.entropy.then(|| joined(entropies)),
            reference_divergence: positions.reference.is_some().then(|| joined(divergences)),
        };
        (predictions, kept)
    }
}

/// Start and length of each chunk.
fn chunks(total: usize, chunk: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..total).step_by(chunk.max(1)).map(move |start| (start, chunk.max(1).min(total - start)))
}

/// Values of some chunks or micro-batches in a row, `[tokens]`.
pub(crate) fn joined(mut parts: Vec<Tensor<1>>, device: &Device) -> Tensor<1> {
    match parts.len() {
        0 => Tensor::zeros([0], device),
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 0),
    }
}
