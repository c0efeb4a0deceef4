//! Grouped-query self-attention over a shared prompt.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Tensor;
use kernels::{attention, cached_attention, rotate, side_by_side};

use super::layout::Layout;
use crate::ModelError;
use crate::cache::{KeyValueCache, LayerCache};
use crate::config::ModelConfig;
use crate::layers::Linear;
use crate::weights::Builder;

/// Self-attention of the language model.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Query projection, `[heads · head width, width]`, with bias.
    pub q_proj: Linear,
    /// Key projection, `[key heads · head width, width]`, with bias.
    pub k_proj: Linear,
    /// Value projection, like the keys'.
    pub v_proj: Linear,
    /// Output projection, `[width, heads · head width]`, without bias.
    pub o_proj: Linear,
    /// Width of a head.
    #[module(skip)]
    pub head: usize,
}

impl SelfAttention {
    pub(crate) fn build(b: &mut Builder, config: &ModelConfig) -> Result<Self, ModelError> {
        let (text, head) = (&config.text, config.head_width());
        let (width, keys) = (text.hidden_size, text.num_key_value_heads * head);
        Ok(Self {
            q_proj: b.child("q_proj", |b| Linear::build(b, width, width, true))?,
            k_proj: b.child("k_proj", |b| Linear::build(b, width, keys, true))?,
            v_proj: b.child("v_proj", |b| Linear::build(b, width, keys, true))?,
            o_proj: b.child("o_proj", |b| Linear::build(b, width, width, false))?,
            head,
        })
    }

    /// Its output is added to `onto`.
    ///
    /// # Shapes
    /// - `onto`, `x`: `[tokens, width]`, packed
    /// - `rotary`: cosines and sines, each `[tokens, 1, head width / 2]`
    /// - returns `[tokens, width]`
    pub(crate) fn forward_onto(
        &self,
        onto: Tensor<2>,
        x: &Tensor<2>,
        rotary: &(Tensor<3>, Tensor<3>),
        layout: &Layout,
        layer: usize,
        cache: Option<&mut KeyValueCache>,
    ) -> Tensor<2> {
        let heads = |x: Tensor<2>| {
            let [tokens, width] = x.dims();
            x.reshape([tokens, width / self.head, self.head])
        };
        let rotated = |projection: &Linear| rotate(heads(projection.forward(x.clone())), &rotary.0, &rotary.1);
        let key_and_value = || (rotated(&self.k_proj), heads(self.v_proj.forward(x.clone())));
        let (query, (key, value)) = side_by_side(x, || rotated(&self.q_proj), key_and_value);
        let packed = Packed { query, key, value };
        let output = match cache {
            None => attention(packed.query, packed.key, packed.value, &layout.plan),
            Some(cache) => packed.attend_cached(layout, layer, cache),
        };
        self.o_proj.forward_onto(onto, output)
    }
}

/// Projections of a packed batch, `[tokens, heads or key heads, head width]`.
struct Packed {
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
}

impl Packed {
    /// Some consecutive tokens.
    fn run(&self, tokens: &Range<usize>) -> Self {
        let take = |x: &Tensor<3>| x.clone().narrow(0, tokens.start, tokens.len());
        Self { query: take(&self.query), key: take(&self.key), value: take(&self.value) }
    }

    /// Continues the cached groups by one token for each response, reads the new prompts, and caches both.
    ///
    /// # Shapes
    /// - returns `[tokens, heads · head width]`
    fn attend_cached(&self, layout: &Layout, layer: usize, cache: &mut KeyValueCache) -> Tensor<2> {
        let (continued, new) = cache.groups.split_at_mut(layout.continued.len());
        let mut outputs = Vec::new();
        for (tokens, group) in layout.continued.iter().zip(continued) {
            outputs.push(self.run(tokens).continue_group(&mut group.layers[layer]));
        }
        let count = layout.plan.tokens();
        if count > 0 {
            let Self { query, key, value } = self.run(&(layout.first..layout.first + count));
            for (prompt, group) in layout.prompts.iter().zip(new) {
                // Flattened in between, which copies them into the order that every later step reads.
                let by_head = |x: &Tensor<3>| {
                    let [_, heads, width] = x.dims();
                    let length = prompt.tokens.len();
                    let by_head = x.clone().narrow(0, prompt.tokens.start, length).swap_dims(0, 1);
                    by_head.reshape([heads * length * width]).reshape([heads, length, width])
                };
                group.layers.push(LayerCache::new((by_head(&key), by_head(&value)), prompt.hidden.clone()));
            }
            outputs.push(attention(query, key, value, &layout.plan));
        }
        Tensor::cat(outputs, 0)
    }

    fn continue_group(self, layer: &mut LayerCache) -> Tensor<2> {
        let Self { query, key, value } = self;
        // [key heads, rows, 1, head width]
        let by_head = |x: Tensor<3>| x.swap_dims(0, 1).unsqueeze_dim(2);
        layer.append(by_head(key), by_head(value));
        cached_attention(query, &layer.keys())
    }
}
