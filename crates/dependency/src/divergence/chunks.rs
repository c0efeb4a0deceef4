//! A divergence over a long response, a piece at a time.

use std::num::NonZeroUsize;
use std::ops::Range;

use burn::tensor::{Int, Tensor};

use super::Divergence;

/// The divergence of every token of a response whose logits do not fit into memory at once.
///
/// `logits` is asked for the logits of each range of tokens, in order, and those of one range are dropped before it is asked
/// for the next; make them in it, from hidden states for example. It is not asked about an empty response.
///
/// Any `chunk` gives what [`Divergence::per_token`] gives for the whole, since tokens are independent of each other; on a device
/// that sums a row in another order for another number of rows, up to that rounding.
///
/// # Shapes
/// - `sampled`: `[tokens]`, the vocabulary index of the token that was sampled
/// - `chunk`: how many tokens have logits at once
/// - `logits`: clean and contrast logits of a range, each `[range length, vocab]`
/// - returns `[tokens]`, f32
///
/// # Panics
/// If there are not as many clean and contrast logits as tokens in the range, or an index lies outside the vocabulary.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use burn::tensor::{Device, Int, Tensor};
/// use dependency::{Divergence, ForwardKl, in_chunks};
///
/// # let device = Device::flex();
/// // Hidden states of three tokens, seen and blind, and the projection onto a vocabulary of two.
/// let seen = Tensor::<2>::from_data([[2.0], [0.5], [1.0]], &device);
/// let blind = Tensor::<2>::from_data([[0.0], [0.5], [-1.0]], &device);
/// let projection = Tensor::<2>::from_data([[1.0, -1.0]], &device);
/// let sampled = Tensor::<1, Int>::from_data([0, 1, 0], &device);
///
/// let chunk = const { NonZeroUsize::new(2).unwrap() };
/// let in_pieces = in_chunks(&ForwardKl {}, &sampled, chunk, |tokens| {
///     let logits = |hidden: &Tensor<2>| hidden.clone().slice(tokens.clone()).matmul(projection.clone());
///     (logits(&seen), logits(&blind))
/// });
///
/// let whole = ForwardKl {}.per_token(seen.matmul(projection.clone()), blind.matmul(projection), sampled);
/// assert_eq!(in_pieces.into_data(), whole.into_data());
/// ```
pub fn in_chunks(
    divergence: &dyn Divergence,
    sampled: &Tensor<1, Int>,
    chunk: NonZeroUsize,
    mut logits: impl FnMut(Range<usize>) -> (Tensor<2>, Tensor<2>),
) -> Tensor<1> {
    let [tokens] = sampled.dims();
    if tokens == 0 {
        return Tensor::zeros([0], &sampled.device());
    }
    let pieces = (0..tokens).step_by(chunk.get()).map(|start| {
        let range = start..tokens.min(start.saturating_add(chunk.get()));
        let (clean, contrast) = logits(range.clone());
        assert_eq!(clean.dims()[0], range.len(), "logits of other tokens than the asked ones, {range:?}");
        divergence.per_token(clean, contrast, sampled.clone().slice(range))
    });
    Tensor::cat(pieces.collect(), 0)
}
