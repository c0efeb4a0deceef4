//! The vision tower: pixels in, image tokens out.

mod attention;
pub mod geometry;

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use kernels::{Addends, AttentionPlan};

use crate::ModelError;
use crate::config::VisionConfig;
use crate::image_input::ImagePatches;
use crate::indices::index_tensor;
use crate::layers::{GatedMlp, Gelu, INITIALIZER_RANGE, Linear, RmsNorm};
use crate::weights::{Builder, Init};
pub use attention::VisionAttention;
use attention::segments;
use geometry::Geometry;

/// Every norm of the tower uses this, whatever the language model's configuration says.
const NORM_EPSILON: f64 = 1e-6;
/// Base of the tower's rotary frequencies.
const ROPE_THETA: f32 = 10_000.0;

/// The vision tower of Qwen2.5-VL: 3-D patch embedding, windowed and full-attention blocks with 2-D rotary positions, and
/// the merger that turns each 2×2 square of patches into one image token.
///
/// # Source
/// Qwen2.5-VL technical report, arXiv:2502.13923, section 2.1; checked stage by stage against the reference implementation.
#[derive(Module, Debug)]
pub struct VisionTower {
    /// Linear map of a patch's pixels.
    pub patch_embed: PatchEmbedding,
    /// Transformer blocks.
    pub blocks: Vec<VisionBlock>,
    /// Projection of merged patches to the language model's width.
    pub merger: PatchMerger,
    /// The tower's shape.
    #[module(skip)]
    pub config: VisionConfig,
}

/// Where the patches of some images stand, and which of them see one another.
pub(crate) struct VisionFrame {
    /// From the order of the patches to that of the blocks, window by window.
    pub(crate) order: Tensor<1, Int>,
    /// From the order of the cells to that of the image tokens.
    pub(crate) cell_places: Tensor<1, Int>,
    cos: Tensor<3>,
    sin: Tensor<3>,
    windows: Arc<AttentionPlan>,
    frames: Arc<AttentionPlan>,
    /// Blocks whose patches see their whole frame.
    full: Vec<usize>,
}

/// Embeds the pixels of a patch; a 3-D convolution whose stride is its kernel, hence a matrix product.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    /// The kernel.
    pub proj: PatchKernel,
}

/// The patch embedding's kernel.
#[derive(Module, Debug)]
pub struct PatchKernel {
    /// Shape `[width, channels, frames, patch, patch]`.
    pub weight: Param<Tensor<5>>,
}

/// One block of the tower, pre-norm.
#[derive(Module, Debug)]
pub struct VisionBlock {
    /// Norm before attention.
    pub norm1: RmsNorm,
    /// Norm before the feed-forward layer.
    pub norm2: RmsNorm,
    /// Attention inside a window or a frame.
    pub attn: VisionAttention,
    /// Feed-forward layer, with biases.
    pub mlp: GatedMlp,
}

/// Joins the patches of a cell and projects them to the language model's width.
#[derive(Module, Debug)]
pub struct PatchMerger {
    /// Norm over single patches.
    pub ln_q: RmsNorm,
    /// Two layers with an exact GELU between them.
    pub mlp: (Linear, Gelu, Linear),
}

impl VisionTower {
    pub(crate) fn build(b: &mut Builder, config: &VisionConfig) -> Result<Self, ModelError> {
        let c = config;
        let kernel = [c.hidden_size, c.in_chans, c.temporal_patch_size, c.patch_size, c.patch_size];
        let fan_in: usize = kernel[1..].iter().product();
        let deviation = (1.0 / fan_in as f32).sqrt().max(INITIALIZER_RANGE);
        let patch_embed = b.child("patch_embed", |b| {
            let proj =
                b.child("proj", |b| Ok(PatchKernel { weight: b.param("weight", kernel, Init::Normal(deviation))? }))?;
            Ok(PatchEmbedding { proj })
        })?;
        let blocks = b.child("blocks", |b| (0..c.depth).map(|i| b.child(i, |b| VisionBlock::build(b, c))).collect())?;
        let merger = b.child("merger", |b| PatchMerger::build(b, c))?;
        Ok(Self { patch_embed, blocks, merger, config: config.clone() })
    }

    /// Image tokens of several images, in order.
    ///
    /// # Shapes
    /// - returns `[image tokens of all images, language model width]`
    #[must_use]
    pub fn forward(&self, images: &[&ImagePatches]) -> Tensor<2> {
        self.forward_observed(images, |_| {})
    }

    /// As [`Self::forward`], showing `observe` the patch embeddings in merge order and then every block's output in window
    /// order, each `[patches, width]`.
    pub fn forward_observed(&self, images: &[&ImagePatches], mut observe: impl FnMut(&Tensor<2>)) -> Tensor<2> {
        let frame = self.frame(images);
        let x = self.patch_embed.forward(images);
        observe(&x);
        let mut x = x.select(0, frame.order.clone());
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, &frame, index);
            observe(&x);
        }
        self.merger.forward(x).select(0, frame.cell_places)
    }

    /// What every block needs to know of some images.
    pub(crate) fn frame(&self, images: &[&ImagePatches]) -> VisionFrame {
        let device = self.patch_embed.proj.weight.val().device();
        let grids: Vec<_> = images.iter().map(|image| image.grid).collect();
        let geometry = Geometry::new(&grids, &self.config);
        let order = index_tensor(&geometry.patch_order(self.config.spatial_merge_size), &device);
        let (cos, sin) = self.rotary(&geometry, &device);
        VisionFrame {
            cos: cos.select(0, order.clone()),
            sin: sin.select(0, order.clone()),
            order,
            cell_places: index_tensor(&geometry.cell_places(), &device),
            windows: segments(&geometry.window_lengths),
            frames: segments(&geometry.frame_lengths),
            full: self.config.fullatt_block_indexes.clone(),
        }
    }

    /// Rotary cosines and sines: half of a head's frequencies follow the row, half the column.
    fn rotary(&self, geometry: &Geometry, device: &Device) -> (Tensor<3>, Tensor<3>) {
        let half = self.config.hidden_size / self.config.num_heads / 2;
        let inverse: Vec<f32> = (0..half).step_by(2).map(|i| 1.0 / ROPE_THETA.powf(i as f32 / half as f32)).collect();
        let angles: Vec<f32> = geometry
            .positions
            .iter()
            .flat_map(|place| place.iter().flat_map(|&p| inverse.iter().map(move |frequency| p as f32 * frequency)))
            .collect();
        cosines_and_sines(&angles, geometry.positions.len(), half, device)
    }
}

/// Uploads the cosines and sines of `angles`, shape `[tokens, 1, half]`, computed in f32 on the host so that every device
/// gets the same values.
pub(crate) fn cosines_and_sines(angles: &[f32], tokens: usize, half: usize, device: &Device) -> (Tensor<3>, Tensor<3>) {
    let upload = |f: fn(f32) -> f32| {
        let values: Vec<f32> = angles.iter().map(|&angle| f(angle)).collect();
        Tensor::from_data(TensorData::new(values, [tokens, 1, half]), device)
    };
    (upload(f32::cos), upload(f32::sin))
}

impl PatchEmbedding {
    /// # Shapes
    /// - returns `[patches of all images, width]`
    pub(crate) fn forward(&self, images: &[&ImagePatches]) -> Tensor<2> {
        let kernel = self.proj.weight.val();
        let [width, channels, frames, height, side] = kernel.dims();
        let pixels_per_patch = channels * frames * height * side;
        let pixels: Vec<f32> = images.iter().flat_map(|image| image.pixels.iter().copied()).collect();
        let patches = pixels.len() / pixels_per_patch;
        let pixels = Tensor::<2>::from_data(TensorData::new(pixels, [patches, pixels_per_patch]), &kernel.device());
        let pixels = if pixels.dtype() == kernel.dtype() { pixels } else { pixels.cast(kernel.dtype()) };
        kernels::linear(pixels, kernel.reshape([width, pixels_per_patch]), Addends::default())
    }
}

impl VisionBlock {
    fn build(b: &mut Builder, c: &VisionConfig) -> Result<Self, ModelError> {
        Ok(Self {
            norm1: b.child("norm1", |b| RmsNorm::build(b, c.hidden_size, NORM_EPSILON))?,
            norm2: b.child("norm2", |b| RmsNorm::build(b, c.hidden_size, NORM_EPSILON))?,
            attn: b.child("attn", |b| VisionAttention::build(b, c.hidden_size, c.num_heads))?,
            mlp: b.child("mlp", |b| GatedMlp::build(b, c.hidden_size, c.intermediate_size, true))?,
        })
    }

    pub(crate) fn forward(&self, x: Tensor<2>, frame: &VisionFrame, index: usize) -> Tensor<2> {
        let plan = if frame.full.contains(&index) { &frame.frames } else { &frame.windows };
        let normed = self.norm1.forward(x.clone());
        let x = self.attn.forward_onto(x, normed, &frame.cos, &frame.sin, plan);
        let normed = self.norm2.forward(x.clone());
        self.mlp.forward_onto(x, &normed)
    }
}

impl PatchMerger {
    fn build(b: &mut Builder, c: &VisionConfig) -> Result<Self, ModelError> {
        let joined = c.hidden_size * c.spatial_merge_size * c.spatial_merge_size;
        Ok(Self {
            ln_q: b.child("ln_q", |b| RmsNorm::build(b, c.hidden_size, NORM_EPSILON))?,
            mlp: b.child("mlp", |b| {
                let first = b.child(0, |b| Linear::build(b, joined, joined, true))?;
                let second = b.child(2, |b| Linear::build(b, joined, c.out_hidden_size, true))?;
                Ok((first, Gelu, second))
            })?,
        })
    }

    /// # Shapes
    /// - `x`: `[patches, width]`, the patches of a cell next to each other
    /// - returns `[cells, out width]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let joined = self.mlp.0.weight.val().dims()[1];
        let [patches, width] = x.dims();
        let x = self.ln_q.forward(x).reshape([patches * width / joined, joined]);
        self.mlp.2.forward(self.mlp.1.forward(self.mlp.0.forward(x)))
    }
}
