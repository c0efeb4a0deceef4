//! The whole model, cut at the vocabulary: hidden states and logits are separate steps, so that no caller needs the
//! logits of a whole response at once.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{Addends, among_kernels, at_least_f32};

use crate::ModelError;
use crate::batch::TokenBatch;
use crate::cache::KeyValueCache;
use crate::config::ModelConfig;
use crate::image_input::ImagePatches;
use crate::language::LanguageModel;
use crate::layers::Linear;
use crate::vision::VisionTower;
use crate::weights::{Builder, WeightSource};

/// Qwen2.5-VL.
///
/// Field names are the Hub's tensor names, so that a parameter's path is its key in a checkpoint.
#[derive(Module, Debug)]
pub struct QwenVl {
    /// The vision tower.
    pub visual: VisionTower,
    /// The language model.
    pub model: LanguageModel,
    /// Output projection, `None` if it is the token embedding.
    pub lm_head: Option<Linear>,
    /// The model's shape.
    #[module(skip)]
    pub config: ModelConfig,
}

impl QwenVl {
    /// Builds the model on `device` from a checkpoint or a seed.
    ///
    /// # Errors
    /// If the configuration contradicts itself or the source lacks a tensor.
    pub fn build(config: &ModelConfig, source: &mut dyn WeightSource, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        let mut b = Builder::new(source, device);
        let (width, vocab) = (config.text.hidden_size, config.text.vocab_size);
        Ok(Self {
            visual: b.child("visual", |b| VisionTower::build(b, &config.vision))?,
            model: b.child("model", |b| LanguageModel::build(b, config))?,
            lm_head: match config.tie_word_embeddings {
                true => None,
                false => Some(b.child("lm_head", |b| Linear::build(b, width, vocab, false))?),
            },
            config: config.clone(),
        })
    }

    /// The device the parameters live on.
    #[must_use]
    pub fn device(&self) -> Device {
        self.model.embed_tokens.weight.val().device()
    }

    /// Image tokens of several images, in order; `None` without images.
    ///
    /// # Shapes
    /// - returns `[image tokens, width]`
    #[must_use]
    pub fn image_features(&self, images: &[&ImagePatches]) -> Option<Tensor<2>> {
        let weight = self.model.embed_tokens.weight.val();
        (!images.is_empty()).then(|| among_kernels(&weight, || self.visual.forward(images)))
    }

    /// Final hidden states of the batch's new tokens, packed as the batch is.
    ///
    /// Without a cache every group carries its prompt and its responses attend to it. With a cache, a group that carries a
    /// prompt opens the cache's next group; a group without one continues the cache's group of the same index by one token
    /// per response.
    ///
    /// # Shapes
    /// - returns `[tokens, width]`
    ///
    /// # Panics
    /// If batch and cache do not fit together as described.
    #[must_use]
    pub fn hidden(&self, batch: &TokenBatch, cache: Option<&mut KeyValueCache>) -> Tensor<2> {
        let weight = self.model.embed_tokens.weight.val();
        among_kernels(&weight, || self.model.forward(batch, cache, &self.config, |_| {}))
    }

    /// As [`Self::hidden`] without a cache, showing `observe` the embeddings, every layer's output but the last, and the
    /// normed last.
    pub fn hidden_observed(&self, batch: &TokenBatch, observe: impl FnMut(&Tensor<2>)) -> Tensor<2> {
        self.model.forward(batch, None, &self.config, observe)
    }

    /// Vocabulary logits, in f32.
    ///
    /// # Shapes
    /// - `hidden`: `[n, width]`
    /// - returns `[n, vocab]`
    #[must_use]
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        at_least_f32(kernels::linear(hidden, self.output_weight(), Addends::default()))
    }

    /// The output projection, `[vocab, width]`: the token embedding where the two are tied.
    #[must_use]
    pub fn output_weight(&self) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.weight.val(),
            None => self.model.embed_tokens.weight.val(),
        }
    }
}
