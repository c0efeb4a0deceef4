//! The language model: packed tokens in, hidden states out.

mod attention;
mod layout;
pub mod positions;

use std::collections::BTreeSet;

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};
use kernels::at_least_f32;

use crate::ModelError;
use crate::batch::TokenBatch;
use crate::cache::{GroupCache, KeyValueCache};
use crate::config::ModelConfig;
use crate::indices::index_tensor;
use crate::layers::{GatedMlp, INITIALIZER_RANGE, RmsNorm};
use crate::vision::cosines_and_sines;
use crate::weights::{Builder, Init};
pub use attention::SelfAttention;
use layout::Layout;
use positions::Positions;

/// The decoder of Qwen2.5-VL without its output projection.
#[derive(Module, Debug)]
pub struct LanguageModel {
    /// Token embedding.
    pub embed_tokens: Embedding,
    /// Decoder layers.
    pub layers: Vec<DecoderLayer>,
    /// Final norm.
    pub norm: RmsNorm,
}

/// A table of token vectors.
#[derive(Module, Debug)]
pub struct Embedding {
    /// Shape `[vocab, width]`.
    pub weight: Param<Tensor<2>>,
}

/// One pre-norm decoder layer.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Norm before attention.
    pub input_layernorm: RmsNorm,
    /// Attention.
    pub self_attn: SelfAttention,
    /// Norm before the feed-forward layer.
    pub post_attention_layernorm: RmsNorm,
    /// Feed-forward layer, without biases.
    pub mlp: GatedMlp,
}

/// Where a batch's tokens stand, and who sees whom.
pub(crate) struct Frame {
    /// Cosines and sines of the tokens' positions, each `[tokens, 1, head width / 2]`.
    rotary: (Tensor<3>, Tensor<3>),
    layout: Layout,
}

impl LanguageModel {
    pub(crate) fn build(b: &mut Builder, config: &ModelConfig) -> Result<Self, ModelError> {
        let text = &config.text;
        let shape = [text.vocab_size, text.hidden_size];
        Ok(Self {
            embed_tokens: b.child("embed_tokens", |b| {
                Ok(Embedding { weight: b.param("weight", shape, Init::Normal(INITIALIZER_RANGE))? })
            })?,
            layers: b.child("layers", |b| {
                (0..text.num_hidden_layers).map(|i| b.child(i, |b| DecoderLayer::build(b, config))).collect()
            })?,
            norm: b.child("norm", |b| RmsNorm::build(b, text.hidden_size, text.rms_norm_eps))?,
        })
    }

    /// Hidden states of the packed tokens after the final norm.
    ///
    /// # Shapes
    /// - returns `[tokens, width]`
    pub(crate) fn forward(
        &self,
        batch: &TokenBatch,
        mut cache: Option<&mut KeyValueCache>,
        config: &ModelConfig,
        mut observe: impl FnMut(&Tensor<2>),
    ) -> Tensor<2> {
        let frame = self.frame(batch, cache.as_deref_mut(), config);
        let mut x = self.embed(batch);
        observe(&x);
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &frame, index, cache.as_deref_mut());
            if index + 1 < self.layers.len() {
                observe(&x);
            }
        }
        let x = self.norm.forward(x);
        observe(&x);
        x
    }

    /// What every layer needs to know of a batch. With a cache, opens its groups and moves their clocks on.
    pub(crate) fn frame(&self, batch: &TokenBatch, cache: Option<&mut KeyValueCache>, config: &ModelConfig) -> Frame {
        let device = self.embed_tokens.weight.val().device();
        let half = config.head_width() / 2;
        let angles = positions::angles(positions_of(batch, cache).iter(), config);
        let rotary = cosines_and_sines(&angles, angles.len() / half, half, &device);
        Frame { rotary, layout: Layout::new(batch, &device) }
    }

    /// Token vectors, with the image features in the places of the prompts' image placeholders. Placeholders that a
    /// response might contain stay ordinary tokens.
    pub(crate) fn embed(&self, batch: &TokenBatch) -> Tensor<2> {
        let device = self.embed_tokens.weight.val().device();
        let (mut ids, mut sources, mut features) = (Vec::new(), Vec::new(), 0);
        let total = batch.len();
        for group in &batch.groups {
            if let Some(prompt) = &group.prompt {
                for (&id, &visual) in prompt.ids.iter().zip(&prompt.visual) {
                    sources.push(if visual { total + features } else { ids.len() });
                    features += usize::from(visual);
                    ids.push(id as usize);
                }
            }
            for &id in group.responses.iter().flatten() {
                sources.push(ids.len());
                ids.push(id as usize);
            }
        }
        let text = self.embed_tokens.vectors(&ids);
        match &batch.image_features {
            Some(image) => {
                let image = image.clone().cast(text.dtype());
                Tensor::cat(vec![text, image], 0).select(0, index_tensor(&sources, &device))
            }
            None => text,
        }
    }
}

/// Positions of every run of tokens in packed order. With a cache, opens a group for each new prompt and moves each
/// group's clock on.
///
/// # Panics
/// If a group neither carries a prompt nor has one in the cache, or does both.
fn positions_of(batch: &TokenBatch, mut cache: Option<&mut KeyValueCache>) -> Vec<Positions> {
    let mut runs = Vec::new();
    for (index, group) in batch.groups.iter().enumerate() {
        let next = match (&group.prompt, cache.as_deref_mut()) {
            (Some(prompt), cache) => {
                runs.push(prompt.positions.clone());
                if let Some(cache) = cache {
                    assert_eq!(cache.groups.len(), index, "a new prompt opens the cache's next group");
                    assert!(group.responses.is_empty(), "with a cache, responses are written one token at a time");
                    cache.groups.push(GroupCache { next_position: prompt.positions.next, rows: 0, layers: Vec::new() });
                }
                prompt.positions.next
            }
            (None, Some(cache)) => {
                let cached = &mut cache.groups[index];
                assert!(
                    group.responses.iter().all(|tokens| tokens.len() == 1)
                        && (cached.rows == 0 || cached.rows == group.responses.len()),
                    "with a cache, every response of a group gets exactly one token"
                );
                cached.rows = group.responses.len();
                cached.next_position += 1;
                cached.next_position - 1
            }
            (None, None) => {
                panic!("group {index} has no prompt and there is no cache that holds it")
            }
        };
        runs.extend(group.responses.iter().map(|tokens| Positions::of_text(next, tokens.len())));
    }
    runs
}

impl Embedding {
    /// The tokens' vectors. In half precision the gradients of a token's places are summed in f32, and rounded then: among
    /// thousands of them the later ones would count for nothing.
    ///
    /// # Shapes
    /// - returns `[ids, width]`
    fn vectors(&self, ids: &[usize]) -> Tensor<2> {
        let table = self.weight.val();
        let (device, dtype) = (table.device(), table.dtype());
        if dtype == DType::F32 || !table.is_require_grad() {
            return table.select(0, index_tensor(ids, &device));
        }
        let different: BTreeSet<usize> = ids.iter().copied().collect();
        let different: Vec<usize> = different.into_iter().collect();
        let places: Vec<usize> = ids.iter().map(|id| different.partition_point(|other| other < id)).collect();
        let vectors = at_least_f32(table.select(0, index_tensor(&different, &device)));
        vectors.select(0, index_tensor(&places, &device)).cast(dtype)
    }
}

impl DecoderLayer {
    fn build(b: &mut Builder, config: &ModelConfig) -> Result<Self, ModelError> {
        let text = &config.text;
        let norm = |b: &mut Builder| RmsNorm::build(b, text.hidden_size, text.rms_norm_eps);
        Ok(Self {
            input_layernorm: b.child("input_layernorm", norm)?,
            self_attn: b.child("self_attn", |b| SelfAttention::build(b, config))?,
            post_attention_layernorm: b.child("post_attention_layernorm", norm)?,
            mlp: b.child("mlp", |b| GatedMlp::build(b, text.hidden_size, text.intermediate_size, false))?,
        })
    }

    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        frame: &Frame,
        layer: usize,
        cache: Option<&mut KeyValueCache>,
    ) -> Tensor<2> {
        let Frame { rotary, layout } = frame;
        let normed = self.input_layernorm.forward(x.clone());
        let x = self.self_attn.forward_onto(x, &normed, rotary, layout, layer, cache);
        let normed = self.post_attention_layernorm.forward(x.clone());
        self.mlp.forward_onto(x, &normed)
    }
}
