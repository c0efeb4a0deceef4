//! How far apart two predictions of the same token are.

mod forward_kl;
mod jensen_shannon;
mod sampled_k3;

use burn::tensor::activation::log_softmax;
use burn::tensor::{FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

pub use forward_kl::{ForwardKl, forward_kl};
pub use jensen_shannon::{JensenShannon, jensen_shannon};
pub use sampled_k3::SampledK3;

/// Compares what a model predicts with the image as it is (clean) and with changed evidence (contrast).
///
/// Tokens are independent of each other, so a long response may be handed over in pieces of any size: a distribution over the
/// vocabulary need never exist for more than a piece.
pub trait Divergence {
    /// The divergence of every token, in nats, at least 0.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: `[tokens, vocab]`, logits at the sampling temperature, any float dtype; reduced in f32
    /// - `sampled`: `[tokens]`, the vocabulary index of the token that was sampled
    /// - returns `[tokens]`, f32
    ///
    /// # Panics
    /// If the shapes differ or an index lies outside the vocabulary.
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1>;
}

/// The built-in divergences, as they are named in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BuiltInDivergence {
    /// KL divergence over the whole vocabulary.
    ForwardKl(ForwardKl),
    /// Jensen-Shannon divergence over the whole vocabulary.
    JensenShannon(JensenShannon),
    /// Estimate of the KL divergence from the sampled token alone.
    SampledK3(SampledK3),
}

impl Divergence for BuiltInDivergence {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1> {
        match self {
            Self::ForwardKl(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::JensenShannon(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::SampledK3(divergence) => divergence.per_token(clean, contrast, sampled),
        }
    }
}

/// Shannon entropy of next-token distributions, in nats.
///
/// Outcomes of probability 0 contribute 0.
///
/// # Shapes
/// - `logits`: `[tokens, vocab]`, any float dtype; reduced in f32
/// - returns `[tokens]`, f32, in `0..=log(vocab)` up to rounding
pub fn entropy(logits: Tensor<2>) -> Tensor<1> {
    let log_probs = log_probs(logits);
    expectation(log_probs.clone(), log_probs.neg())
}

/// Log-probabilities of every outcome: `[tokens, vocab]`, f32.
fn log_probs(logits: Tensor<2>) -> Tensor<2> {
    log_softmax(logits.cast(FloatDType::F32), 1)
}

/// Expectation of `values` under the distribution of `log_probs`, outcomes of probability 0 left out: `[tokens, vocab]` to
/// `[tokens]`.
fn expectation(log_probs: Tensor<2>, values: Tensor<2>) -> Tensor<1> {
    let probs = log_probs.exp();
    let impossible = probs.clone().equal_scalar(0.0);
    (probs * values).mask_fill(impossible, 0.0).sum_dim(1).squeeze_dim(1)
}

/// Takes to 0 what rounding left below it; not-a-number stays.
fn not_below_zero(divergence: Tensor<1>) -> Tensor<1> {
    let below = divergence.clone().lower_scalar(0.0);
    divergence.mask_fill(below, 0.0)
}
