//! Grouped-query self-attention over a shared prompt.

use burn::module::Module;
use burn::tensor::Tensor;

use super::layout::{GroupLayout, Layout};
use crate::ModelError;
use crate::cache::{KeyValueCache, LayerCache};
use crate::config::ModelConfig;
use crate::layers::{Linear, in_f32, rotate};
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

    /// # Shapes
    /// - `x`: `[tokens, width]`, packed
    /// - `rotary`: cosines and sines, each `[tokens, 1, head width / 2]`
    /// - returns `[tokens, width]`
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        rotary: &(Tensor<3>, Tensor<3>),
        layout: &Layout,
        layer: usize,
        mut cache: Option<&mut KeyValueCache>,
    ) -> Tensor<2> {
        let heads = |x: Tensor<2>| {
            let [tokens, width] = x.dims();
            x.reshape([tokens, width / self.head, self.head])
        };
        let query = rotate(heads(self.q_proj.forward(x.clone())), &rotary.0, &rotary.1);
        let key = rotate(heads(self.k_proj.forward(x.clone())), &rotary.0, &rotary.1);
        let packed = Packed { query, key, value: heads(self.v_proj.forward(x)) };
        let mut outputs = Vec::new();
        for (index, group) in layout.groups.iter().enumerate() {
            let cached = cache.as_deref_mut().map(|cache| &mut cache.groups[index].layers);
            packed.attend_group(group, layer, cached, &mut outputs);
        }
        self.o_proj.forward(Tensor::cat(outputs, 0))
    }
}

/// Projections of a packed batch, `[tokens, heads or key heads, head width]`.
struct Packed {
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
}

/// Keys and values of a prompt, `[key heads, prompt, head width]`, and −∞ where a key is hidden.
struct PromptKeys {
    key: Tensor<3>,
    value: Tensor<3>,
    hidden: Option<Tensor<1>>,
}

impl Packed {
    /// Appends the outputs of the group's prompt and of its responses, each `[tokens, heads · head width]`.
    fn attend_group(
        &self,
        group: &GroupLayout,
        layer: usize,
        mut cached: Option<&mut Vec<LayerCache>>,
        outputs: &mut Vec<Tensor<2>>,
    ) {
        let run = |x: &Tensor<3>, start, length| x.clone().narrow(0, start, length);
        let by_head = |x: Tensor<4>| x.permute([2, 0, 1, 3]);
        let mut prompt_keys = None;
        if let Some(prompt) = &group.prompt {
            let take = |x: &Tensor<3>| run(x, prompt.start, prompt.length).unsqueeze::<4>();
            let (key, value) = (by_head(take(&self.key)), by_head(take(&self.value)));
            outputs.push(attend(take(&self.query), None, key.clone(), value.clone(), Some(&prompt.bias)));
            let keys =
                PromptKeys { key: key.squeeze_dim(1), value: value.squeeze_dim(1), hidden: prompt.hidden.clone() };
            match &mut cached {
                Some(layers) => layers.push(LayerCache::new((keys.key, keys.value), keys.hidden)),
                None => prompt_keys = Some(keys),
            }
        }
        if let Some(responses) = &group.responses {
            let take = |x: &Tensor<3>| responses.rectangle(run(x, responses.start, responses.length));
            let (mut key, mut value) = (by_head(take(&self.key)), by_head(take(&self.value)));
            if let Some(layers) = &mut cached {
                let layer = &mut layers[layer];
                (key, value) = layer.append(key, value);
                let (prompt_key, prompt_value) = layer.prompt.clone();
                prompt_keys =
                    Some(PromptKeys { key: prompt_key, value: prompt_value, hidden: layer.prompt_bias.clone() });
            }
            let output = attend(take(&self.query), prompt_keys, key, value, responses.bias.as_ref());
            outputs.push(responses.packed(output));
        }
    }
}

/// Attention of each row's queries to the prompt that all rows share and to the row's own keys, normalized together.
///
/// The heads that share a key head become query rows, so keys are never repeated; all rows' queries meet the prompt's keys
/// in one product.
///
/// # Shapes
/// - `query`: `[rows, tokens, heads, head width]`
/// - `key`, `value`: `[key heads, rows, keys, head width]`
/// - `bias`: `[tokens, keys]`, added to the scores of the row's own keys
/// - returns `[rows · tokens, heads · head width]`
fn attend(
    query: Tensor<4>,
    prompt: Option<PromptKeys>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<&Tensor<2>>,
) -> Tensor<2> {
    let dtype = query.dtype();
    let [rows, tokens, heads, width] = query.dims();
    let [key_heads, _, keys, _] = key.dims();
    let share = heads / key_heads;
    let lines = share * tokens;
    let scale = 1.0 / (width as f64).sqrt();
    // [key heads, rows, share · tokens, head width]
    let query = (query * scale).reshape([rows, tokens, key_heads, share, width]);
    let query = query.permute([2, 0, 3, 1, 4]).reshape([key_heads, rows, lines, width]);

    let mut own = in_f32(query.clone().matmul(key.transpose()));
    if let Some(bias) = bias {
        let open = own.reshape([key_heads * rows, share, tokens, keys]) + bias.clone().unsqueeze();
        own = open.reshape([key_heads, rows, lines, keys]);
    }
    let own_top = own.clone().detach().max_dim(3);
    let back = |x: Tensor<4>| if x.dtype() == dtype { x } else { x.cast(dtype) };
    let Some(prompt) = prompt else {
        let weight = (own - own_top).exp();
        let total = weight.clone().sum_dim(3);
        return merge_heads(back(weight).matmul(value) / back(total), [rows, tokens, heads, width], key_heads);
    };

    let prompt_tokens = prompt.key.dims()[1];
    let flat = query.reshape([key_heads, rows * lines, width]);
    let mut shared = in_f32(flat.matmul(prompt.key.transpose()));
    if let Some(hidden) = prompt.hidden {
        shared = shared + hidden.unsqueeze();
    }
    let shared = shared.reshape([key_heads, rows, lines, prompt_tokens]);
    // The shift by the largest score cancels in the quotient, so no gradient need flow through it.
    let top = own_top.max_pair(shared.clone().detach().max_dim(3));
    let own_weight = (own - top.clone()).exp();
    let shared_weight = (shared - top).exp();
    let total = own_weight.clone().sum_dim(3) + shared_weight.clone().sum_dim(3);
    let from_prompt = back(shared_weight).reshape([key_heads, rows * lines, prompt_tokens]).matmul(prompt.value);
    let sum = back(own_weight).matmul(value) + from_prompt.reshape([key_heads, rows, lines, width]);
    merge_heads(sum / back(total), [rows, tokens, heads, width], key_heads)
}

/// # Shapes
/// - `x`: `[key heads, rows, share · tokens, head width]`
/// - returns `[rows · tokens, heads · head width]`
fn merge_heads(x: Tensor<4>, [rows, tokens, heads, width]: [usize; 4], key_heads: usize) -> Tensor<2> {
    x.reshape([key_heads, rows, heads / key_heads, tokens, width])
        .permute([1, 3, 0, 2, 4])
        .reshape([rows * tokens, heads * width])
}
