//! Passes that keep what each layer is given and nothing else, and compute the layer again when the gradient comes to it.
//!
//! Activations of one layer exist at a time, however many layers there are, and each parameter's gradient is handed on as
//! soon as it is known. The price is a second forward pass. Values and gradients are those of [`QwenVl::hidden`]: the same
//! operations on the same numbers.
//!
//! # Source
//! Chen et al. 2016, arXiv:1604.06174, with a checkpoint at every layer.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::batch::TokenBatch;
use crate::image_input::ImagePatches;
use crate::language::Frame;
use crate::model::QwenVl;
use crate::vision::{VisionFrame, VisionTower};

/// Takes the gradients of parts of a model, in any order.
pub trait GradientSink {
    /// Adds a share of the gradient of the module's parameters.
    fn add<M: Module>(&mut self, module: &M, share: GradientsParams);
}

/// A forward pass of the language model, to be differentiated later.
pub struct KeptHidden<'a> {
    model: &'a QwenVl,
    batch: TokenBatch,
    frame: Frame,
    /// What each layer was given, without autodiff.
    inputs: Vec<Tensor<2>>,
    /// What the last one made of it.
    last: Tensor<2>,
}

/// A forward pass of the vision tower, to be differentiated later.
pub struct KeptFeatures<'a> {
    tower: &'a VisionTower,
    images: Vec<&'a ImagePatches>,
    frame: VisionFrame,
    /// What each block was given, without autodiff.
    inputs: Vec<Tensor<2>>,
    /// What the last one made of it.
    last: Tensor<2>,
}

impl QwenVl {
    /// As [`Self::hidden`] without a cache, for a model on a device with autodiff. The states returned are not part of a graph;
    /// [`KeptHidden::backward`] differentiates them. The batch's image features count as constants.
    ///
    /// # Shapes
    /// - returns `[tokens, width]`, without autodiff
    #[must_use]
    pub fn hidden_kept(&self, batch: &TokenBatch) -> (Tensor<2>, KeptHidden<'_>) {
        let model = self.model.valid();
        let frame = model.frame(batch, None, &self.config);
        let (mut last, mut inputs) = (model.embed(batch), Vec::new());
        for (index, layer) in model.layers.iter().enumerate() {
            inputs.push(last.clone());
            last = layer.forward(last, &frame, index, None);
        }
        let hidden = model.norm.forward(last.clone());
        (hidden, KeptHidden { model: self, batch: batch.clone(), frame, inputs, last })
    }

    /// As [`Self::image_features`], in the manner of [`Self::hidden_kept`].
    ///
    /// # Shapes
    /// - returns `[image tokens, width]`, without autodiff
    #[must_use]
    pub fn image_features_kept<'a>(&'a self, images: &[&'a ImagePatches]) -> Option<(Tensor<2>, KeptFeatures<'a>)> {
        (!images.is_empty()).then(|| {
            let tower = self.visual.valid();
            let frame = tower.frame(images);
            let mut last = tower.patch_embed.forward(images).select(0, frame.order.clone());
            let mut inputs = Vec::new();
            for (index, block) in tower.blocks.iter().enumerate() {
                inputs.push(last.clone());
                last = block.forward(last, &frame, index);
            }
            let features = tower.merger.forward(last.clone()).select(0, frame.cell_places.clone());
            (features, KeptFeatures { tower: &self.visual, images: images.to_vec(), frame, inputs, last })
        })
    }
}

impl KeptHidden<'_> {
    /// Differentiates `objective`, a sum that is formed from the hidden states, and hands the gradient of every parameter
    /// to `sink`. Returns the gradient of the image features, if the batch has some.
    ///
    /// # Shapes
    /// - `objective`: is given `[tokens, width]` with autodiff, returns `[1]`
    /// - returns `[image tokens, width]`, without autodiff
    pub fn backward(
        self,
        objective: impl FnOnce(Tensor<2>) -> Tensor<1>,
        sink: &mut impl GradientSink,
    ) -> Option<Tensor<2>> {
        let Self { model, mut batch, frame, inputs, last } = self;
        let model = &model.model;
        let mut upstream = differentiate(&model.norm, last, |x| objective(model.norm.forward(x)), sink);
        for ((index, layer), input) in model.layers.iter().enumerate().zip(inputs).rev() {
            let forward = |x| along(layer.forward(x, &frame, index, None), upstream);
            upstream = differentiate(layer, input, forward, sink);
        }
        let leaf = batch.image_features.map(|features| features.autodiff().require_grad());
        batch.image_features = leaf.clone();
        let mut found = along(model.embed(&batch), upstream).backward();
        let of_features = leaf.and_then(|leaf| leaf.grad_remove(&mut found));
        sink.add(&model.embed_tokens, GradientsParams::from_grads(found, &model.embed_tokens));
        of_features
    }
}

impl KeptFeatures<'_> {
    /// Carries the gradient of the image features to every parameter of the tower, and hands those to `sink`.
    ///
    /// # Shapes
    /// - `upstream`: `[image tokens, width]`, without autodiff
    pub fn backward(self, upstream: Tensor<2>, sink: &mut impl GradientSink) {
        let Self { tower, images, frame, inputs, last } = self;
        let merged = |x| along(tower.merger.forward(x).select(0, frame.cell_places.clone()), upstream);
        let mut upstream = differentiate(&tower.merger, last, merged, sink);
        for ((index, block), input) in tower.blocks.iter().enumerate().zip(inputs).rev() {
            let forward = |x| along(block.forward(x, &frame, index), upstream);
            upstream = differentiate(block, input, forward, sink);
        }
        let embedded = tower.patch_embed.forward(&images).select(0, frame.order.clone());
        let found = along(embedded, upstream).backward();
        sink.add(&tower.patch_embed, GradientsParams::from_grads(found, &tower.patch_embed));
    }
}

/// A sum whose gradient with respect to `x` is `upstream`.
fn along(x: Tensor<2>, upstream: Tensor<2>) -> Tensor<1> {
    (x * upstream.autodiff()).sum()
}

/// Hands the gradient of a module's parameters to `sink` and returns that of its input.
fn differentiate<M: Module>(
    module: &M,
    input: Tensor<2>,
    objective: impl FnOnce(Tensor<2>) -> Tensor<1>,
    sink: &mut impl GradientSink,
) -> Tensor<2> {
    let leaf = input.autodiff().require_grad();
    let mut found = objective(leaf.clone()).backward();
    let gradient = leaf.grad_remove(&mut found).unwrap_or_else(|| leaf.inner().zeros_like());
    sink.add(module, GradientsParams::from_grads(found, module));
    gradient
}
