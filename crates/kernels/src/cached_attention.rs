//! Attention of one new token of each row to a cache.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::attention::{ContextKeys, attend};
use crate::host::{Host, exponentials, in_order, is_plain, sum_pairs, tensor, values, vectorized};

/// What rows that continue one context have cached.
#[derive(Clone, Debug)]
pub struct CachedKeys<'a> {
    /// Keys and values that all rows see, each `[key heads, context, width]`.
    pub context: (&'a Tensor<3>, &'a Tensor<3>),
    /// −∞ where a key of the context is hidden and 0 elsewhere, `[context]`; `None` hides nothing.
    pub context_bias: Option<&'a Tensor<1>>,
    /// Keys and values of each row's own tokens, each `[key heads, rows, capacity, width]`.
    pub own: (&'a Tensor<4>, &'a Tensor<4>),
    /// How many of the row's own places are filled, the new token's among them. At least 1.
    pub filled: usize,
}

/// `softmax(q kᵀ / √width) v` of one query for each row, over the context and the row's own tokens. Has no gradient.
///
/// # Shapes
/// - `query`: `[rows, heads, width]`, without autodiff
/// - returns `[rows, heads · width]`
#[must_use]
pub fn cached_attention(query: Tensor<3>, keys: &CachedKeys<'_>) -> Tensor<2> {
    let (key, value) = keys.own;
    if is_plain(&query) && is_plain(key) && is_plain(keys.context.0) {
        // A bias of no length hides nothing.
        let bias = keys.context_bias.map_or_else(|| Tensor::zeros([0], &query.device()), Clone::clone);
        let output = <Dispatch as CachedAttention>::cached_attention(
            query.into_dispatch(),
            keys.context.0.clone().into_dispatch(),
            keys.context.1.clone().into_dispatch(),
            bias.into_dispatch(),
            key.clone().into_dispatch(),
            value.clone().into_dispatch(),
            keys.filled,
        );
        return Tensor::from_dispatch(output);
    }
    let filled = |x: &Tensor<4>| x.clone().narrow(2, 0, keys.filled);
    let context =
        ContextKeys { key: keys.context.0.clone(), value: keys.context.1.clone(), bias: keys.context_bias.cloned() };
    attend(query.unsqueeze_dim(1), Some(context), filled(key), filled(value), None)
}

#[backend_extension(Flex)]
trait CachedAttention: Backend {
    fn cached_attention(
        query: FloatTensor<Self>,
        context_key: FloatTensor<Self>,
        context_value: FloatTensor<Self>,
        context_bias: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        filled: usize,
    ) -> FloatTensor<Self>;
}

impl CachedAttention for Flex {
    fn cached_attention(
        query: Host,
        context_key: Host,
        context_value: Host,
        context_bias: Host,
        key: Host,
        value: Host,
        filled: usize,
    ) -> Host {
        let [query, context_key, context_value, bias, key, value] =
            [query, context_key, context_value, context_bias, key, value].map(in_order);
        let (shape, own) = (query.layout().shape(), key.layout().shape());
        let (rows, heads, width) = (shape[0], shape[1], shape[2]);
        let cache = Cache {
            context: [values(&context_key), values(&context_value)],
            context_length: context_key.layout().shape()[1],
            bias: values(&bias),
            own: [values(&key), values(&value)],
            key_heads: own[0],
            rows,
            capacity: own[2],
            filled,
            width,
        };
        let mut output = vec![0.0; rows * heads * width];
        let queries = values(&query).par_chunks(heads * width);
        output.par_chunks_mut(heads * width).zip(queries).enumerate().for_each_init(
            Vec::new,
            |scores, (row, (output, query))| {
                vectorized(
                    #[inline(always)]
                    || cache.attend(row, query, output, scores),
                );
            },
        );
        tensor(output, [rows, heads * width])
    }
}

struct Cache<'a> {
    context: [&'a [f32]; 2],
    context_length: usize,
    bias: &'a [f32],
    own: [&'a [f32]; 2],
    key_heads: usize,
    rows: usize,
    capacity: usize,
    filled: usize,
    width: usize,
}

impl Cache<'_> {
    /// A key head's vectors (keys or values) of the context and of a row's own tokens.
    #[inline(always)]
    fn vectors(&self, which: usize, key_head: usize, row: usize) -> impl Iterator<Item = &[f32]> {
        let width = self.width;
        let context = key_head * self.context_length * width;
        let own = (key_head * self.rows + row) * self.capacity * width;
        let context = &self.context[which][context..context + self.context_length * width];
        let own = &self.own[which][own..own + self.filled * width];
        context.chunks_exact(width).chain(own.chunks_exact(width))
    }

    #[inline(always)]
    fn attend(&self, row: usize, query: &[f32], output: &mut [f32], scores: &mut Vec<f32>) {
        let (width, share) = (self.width, query.len() / self.width / self.key_heads);
        let scale = 1.0 / (width as f32).sqrt();
        for (head, (query, output)) in query.chunks_exact(width).zip(output.chunks_exact_mut(width)).enumerate() {
            let key_head = head / share;
            scores.clear();
            for key in self.vectors(0, key_head, row) {
                scores.push(sum_pairs(query, key, |q, k| q * k) * scale);
            }
            scores.iter_mut().zip(self.bias).for_each(|(score, bias)| *score += bias);
            let (_, sum) = exponentials(scores);
            for (weight, value) in scores.iter().zip(self.vectors(1, key_head, row)) {
                let weight = weight / sum;
                output.iter_mut().zip(value).for_each(|(output, value)| *output += weight * value);
            }
        }
    }
}
