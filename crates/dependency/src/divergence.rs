//! How far apart two predictions of the same token are.

mod chunks;
mod entropy_of;
mod forward_kl;
mod jensen_shannon;
mod probability_drop;
mod sampled_absolute;
mod sampled_k1;
mod sampled_k2;
mod sampled_k3;

use burn::tensor::{DType, FloatDType, Int, Tensor};
use kernels::Softmax;
use serde::{Deserialize, Serialize};

pub use chunks::in_chunks;
pub use entropy_of::{EntropyOf, Side};
pub use forward_kl::{ForwardKl, forward_kl};
pub use jensen_shannon::{JensenShannon, jensen_shannon};
pub use probability_drop::ProbabilityDrop;
pub use sampled_absolute::SampledAbsolute;
pub use sampled_k1::SampledK1;
pub use sampled_k2::SampledK2;
pub use sampled_k3::SampledK3;

use crate::Positive;

/// Compares what a model predicts with the image as it is (clean) and with changed evidence (contrast).
///
/// Tokens are independent of each other, so a long response may be handed over in pieces of any size: a distribution over the
/// vocabulary need never exist for more than a piece; [`in_chunks`] does that.
///
/// A logit of negative infinity is a probability of 0. A prediction that finds no token possible is not a number.
pub trait Divergence {
    /// The divergence of every token: in nats and at least 0, unless the divergence says otherwise.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: `[tokens, vocab]`, logits at the sampling temperature, any float dtype; reduced in f32
    /// - `sampled`: `[tokens]`, the vocabulary index of the token that was sampled
    /// - returns `[tokens]`, f32
    ///
    /// # Panics
    /// If the shapes differ or an index lies outside the vocabulary.
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1>;

    /// The same as a function of the sampled tokens' log-probabilities, if it reads nothing else. Then no distribution over the
    /// vocabulary has to be made where those are known; else, as for any divergence that does not say so, it is.
    fn of_sampled(&self) -> Option<&dyn SampledDivergence> {
        None
    }
}

/// A divergence that reads of each prediction how likely it finds the sampled token, and nothing else.
pub trait SampledDivergence {
    /// The divergence of every token: what [`Divergence::per_token`] makes of the logits.
    ///
    /// # Shapes
    /// - `clean`, `contrast`: `[tokens]`, log-probabilities of the sampled tokens, nats, any float dtype; reduced in f32
    /// - returns `[tokens]`, f32
    ///
    /// # Panics
    /// If the shapes differ.
    fn of_log_probs(&self, clean: Tensor<1>, contrast: Tensor<1>) -> Tensor<1>;
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
    /// Difference of the sampled token's log-probabilities.
    SampledK1(SampledK1),
    /// Half its square.
    SampledK2(SampledK2),
    /// Its size.
    SampledAbsolute(SampledAbsolute),
    /// Difference of the sampled token's probabilities.
    ProbabilityDrop(ProbabilityDrop),
    /// Entropy of one of the two predictions.
    Entropy(EntropyOf),
}

impl Divergence for BuiltInDivergence {
    fn per_token(&self, clean: Tensor<2>, contrast: Tensor<2>, sampled: Tensor<1, Int>) -> Tensor<1> {
        match self {
            Self::ForwardKl(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::JensenShannon(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::SampledK3(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::SampledK1(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::SampledK2(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::SampledAbsolute(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::ProbabilityDrop(divergence) => divergence.per_token(clean, contrast, sampled),
            Self::Entropy(divergence) => divergence.per_token(clean, contrast, sampled),
        }
    }

    fn of_sampled(&self) -> Option<&dyn SampledDivergence> {
        match self {
            Self::ForwardKl(_) | Self::JensenShannon(_) | Self::Entropy(_) => None,
            Self::SampledK3(divergence) => Some(divergence),
            Self::SampledK1(divergence) => Some(divergence),
            Self::SampledK2(divergence) => Some(divergence),
            Self::SampledAbsolute(divergence) => Some(divergence),
            Self::ProbabilityDrop(divergence) => Some(divergence),
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
    kernels::entropy(in_f32(logits))
}

/// The logits in f32, untouched if they are.
fn in_f32(logits: Tensor<2>) -> Tensor<2> {
    if logits.dtype() == DType::F32 { logits } else { logits.cast(FloatDType::F32) }
}

/// Log-probabilities of the sampled tokens under the two predictions: `[tokens, vocab]` to `[tokens]`, f32.
fn of_sampled(clean: Tensor<2>, contrast: Tensor<2>, sampled: &Tensor<1, Int>) -> (Tensor<1>, Tensor<1>) {
    let of_sampled = |logits| Softmax::plain().predict(in_f32(logits), sampled.clone()).log_probs;
    (of_sampled(clean), of_sampled(contrast))
}

/// Takes values into `-limit..=limit`, if there is one; not-a-number stays.
fn within<const D: usize>(values: Tensor<D>, limit: Option<Positive>) -> Tensor<D> {
    let Some(limit) = limit.map(Positive::value) else { return values };
    // A device may clamp not-a-number to a number.
    let unknown = values.clone().is_nan();
    values.clamp(-limit, limit).mask_fill(unknown, f32::NAN)
}
