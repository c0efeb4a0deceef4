//! The only place where a distribution over the vocabulary exists: a chunk of positions at a time.
//!
//! Log-probabilities, entropy, divergences and, in the backward pass, the gradient of the output projection are all
//! computed from chunks of hidden states; the logits of a chunk are dropped before the next one and recomputed for the
//! gradient. Peak memory is a chunk times the vocabulary, however long the responses are.

use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use dependency::Divergence;
use vlm_model::QwenVl;

use crate::gradients::Gradients;

/// Stands in for −∞ at excluded tokens: its exponential is zero, and products with zero stay zero.
const EXCLUDED: f32 = -1e9;

/// How hidden states become the policy's distribution over the next token.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Divides the logits, as at sampling. Above 0.
    pub temperature: f64,
    /// Positions whose logits exist at once. At least 1.
    pub chunk: usize,
    /// Added to the logits, `[1, vocab]`: takes the tokens out that can never be sampled.
    exclusion: Option<Tensor<2>>,
}

/// What is known of each sampled token.
#[derive(Clone, Debug)]
pub struct TokenScores {
    /// Log-probability of the sampled token, in nats; `[tokens]`.
    pub log_probs: Tensor<1>,
    /// Entropy of the distribution it was drawn from, in nats; `[tokens]`.
    pub entropy: Tensor<1>,
}

/// A contrast view's scores of the same tokens.
#[derive(Clone, Debug)]
pub struct ContrastScores {
    /// Log-probability of the sampled token under the contrast view; `[tokens]`.
    pub log_probs: Tensor<1>,
    /// One list per divergence asked for; each `[tokens]`.
    pub divergences: Vec<Tensor<1>>,
}

impl ContrastScores {
    /// The same list of tokens taken of everything.
    pub(crate) fn map(&self, take: impl Fn(&Tensor<1>) -> Tensor<1>) -> Self {
        Self { log_probs: take(&self.log_probs), divergences: self.divergences.iter().map(take).collect() }
    }
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
    /// `KL(policy ‖ reference)` over the whole vocabulary, nats, at least 0 up to rounding; `[tokens]`.
    pub reference_divergence: Option<Tensor<1>>,
}

impl Vocabulary {
    /// The model's own distribution at temperature 1, over all tokens.
    #[must_use]
    pub const fn plain(chunk: usize) -> Self {
        Self { temperature: 1.0, chunk, exclusion: None }
    }

    /// The distribution a rollout samples from, before top-k and top-p.
    ///
    /// # Panics
    /// If an excluded token lies outside the vocabulary.
    #[must_use]
    pub fn sampled(temperature: f64, chunk: usize, vocab_size: usize, excluded: &[u32], device: &Device) -> Self {
        let mut bias = vec![0.0; vocab_size];
        for &token in excluded {
            bias[token as usize] = EXCLUDED;
        }
        let exclusion = Tensor::from_data(TensorData::new(bias, [1, vocab_size]), device);
        // A greedy rollout (temperature 0) is scored at temperature 1.
        let temperature = if temperature == 0.0 { 1.0 } else { temperature };
        Self { temperature, chunk, exclusion: Some(exclusion) }
    }

    /// # Shapes
    /// - `hidden`: `[positions, width]`
    /// - returns `[positions, vocab]`
    fn logits(&self, model: &QwenVl, hidden: Tensor<2>) -> Tensor<2> {
        let logits = model.logits(hidden);
        let logits = match &self.exclusion {
            Some(exclusion) => logits + exclusion.clone(),
            None => logits,
        };
        if self.temperature == 1.0 { logits } else { logits / self.temperature }
    }

    /// Log-probability and entropy of each sampled token.
    ///
    /// # Shapes
    /// - `hidden`: `[tokens, width]`, the states the tokens are predicted from
    /// - `sampled`: `[tokens]`
    #[must_use]
    pub fn score(&self, model: &QwenVl, hidden: &Tensor<2>, sampled: &Tensor<1, Int>) -> TokenScores {
        let (mut log_probs, mut entropies) = (Vec::new(), Vec::new());
        for (start, length) in chunks(hidden.dims()[0], self.chunk) {
            let logits = self.logits(model, hidden.clone().narrow(0, start, length));
            let scores = log_softmax(logits, 1);
            log_probs.push(at_sampled(scores.clone(), sampled.clone().narrow(0, start, length)));
            entropies.push(entropy(scores));
        }
        TokenScores { log_probs: joined(log_probs, hidden), entropy: joined(entropies, hidden) }
    }

    /// How far a contrast view's predictions are from the clean ones.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: `[tokens, width]`
    /// - `sampled`: `[tokens]`
    #[must_use]
    pub fn contrast(
        &self,
        model: &QwenVl,
        clean: &Tensor<2>,
        contrast: &Tensor<2>,
        sampled: &Tensor<1, Int>,
        divergences: &[&dyn Divergence],
    ) -> ContrastScores {
        let mut log_probs = Vec::new();
        let mut values: Vec<Vec<Tensor<1>>> = vec![Vec::new(); divergences.len()];
        for (start, length) in chunks(clean.dims()[0], self.chunk) {
            let part = |hidden: &Tensor<2>| self.logits(model, hidden.clone().narrow(0, start, length));
            let (clean, contrast) = (part(clean), part(contrast));
            let sampled = sampled.clone().narrow(0, start, length);
            log_probs.push(at_sampled(log_softmax(contrast.clone(), 1), sampled.clone()));
            for (divergence, values) in divergences.iter().zip(&mut values) {
                values.push(divergence.per_token(clean.clone(), contrast.clone(), sampled.clone()));
            }
        }
        let divergences = values.into_iter().map(|values| joined(values, clean)).collect();
        ContrastScores { log_probs: joined(log_probs, clean), divergences }
    }

    /// What an objective reads of the policy's distributions at some positions. Only what is asked for is computed.
    #[must_use]
    pub fn predictions(&self, model: &QwenVl, positions: &Positions) -> Predictions {
        let (mut log_probs, mut entropies, mut divergences) = (Vec::new(), Vec::new(), Vec::new());
        for (start, length) in chunks(positions.count(), self.chunk) {
            let hidden = positions.hidden.clone().narrow(0, start, length);
            let part = self.part(model, hidden, positions, start, length);
            log_probs.push(part.log_probs);
            entropies.extend(part.entropy);
            divergences.extend(part.reference_divergence);
        }
        let joined = |parts| joined(parts, &positions.hidden);
        Predictions {
            log_probs: joined(log_probs),
            entropy: positions.entropy.then(|| joined(entropies)),
            reference_divergence: positions.reference.is_some().then(|| joined(divergences)),
        }
    }

    /// Carries the gradient with respect to [`Self::predictions`] back to the hidden states and, into `gradients`, to the
    /// output projection. Logits are recomputed chunk by chunk. The reference gets no gradient.
    ///
    /// # Shapes
    /// - `upstream`: of what was asked for, each `[tokens]`; `None` counts as 0
    /// - returns `[tokens, width]`
    pub fn backward(
        &self,
        model: &QwenVl,
        positions: &Positions,
        upstream: &Predictions,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let parts = chunks(positions.count(), self.chunk).map(|(start, length)| {
            let leaf = positions.hidden.clone().narrow(0, start, length).autodiff().require_grad();
            let part = self.part(model, leaf.clone(), positions, start, length);
            let along = |values: Tensor<1>, upstream: &Tensor<1>| {
                (values * upstream.clone().narrow(0, start, length).autodiff()).sum()
            };
            let mut surrogate = along(part.log_probs, &upstream.log_probs);
            for (values, upstream) in
                [(part.entropy, &upstream.entropy), (part.reference_divergence, &upstream.reference_divergence)]
            {
                if let (Some(values), Some(upstream)) = (values, upstream) {
                    surrogate = surrogate + along(values, upstream);
                }
            }
            let mut found = surrogate.backward();
            let part = leaf.grad_remove(&mut found).unwrap_or_else(|| leaf.inner().zeros_like());
            gradients.add(model, GradientsParams::from_grads(found, model));
            part
        });
        Tensor::cat(parts.collect(), 0)
    }

    /// The predictions of one chunk, whose states are `hidden`.
    fn part(
        &self,
        model: &QwenVl,
        hidden: Tensor<2>,
        positions: &Positions,
        start: usize,
        length: usize,
    ) -> Predictions {
        let scores = log_softmax(self.logits(model, hidden), 1);
        let reference_divergence = positions.reference.as_ref().map(|(reference, states)| {
            let logits = self.logits(reference, states.clone().narrow(0, start, length));
            let difference = scores.clone() - log_softmax(logits, 1);
            (scores.clone().exp() * difference).sum_dim(1).squeeze_dim(1)
        });
        Predictions {
            log_probs: at_sampled(scores.clone(), positions.sampled.clone().narrow(0, start, length)),
            entropy: positions.entropy.then(|| entropy(scores)),
            reference_divergence,
        }
    }
}

/// Start and length of each chunk.
fn chunks(total: usize, chunk: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..total).step_by(chunk.max(1)).map(move |start| (start, chunk.max(1).min(total - start)))
}

/// Entropy of each row of log-probabilities.
fn entropy(scores: Tensor<2>) -> Tensor<1> {
    (scores.clone().exp() * scores).sum_dim(1).neg().squeeze_dim(1)
}

fn at_sampled(scores: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1> {
    scores.gather(1, sampled.unsqueeze_dim(1)).squeeze_dim(1)
}

fn joined(parts: Vec<Tensor<1>>, like: &Tensor<2>) -> Tensor<1> {
    if parts.is_empty() { Tensor::zeros([0], &like.device()) } else { Tensor::cat(parts, 0) }
}
