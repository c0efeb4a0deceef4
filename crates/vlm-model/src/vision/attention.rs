//! Self-attention among the patches of a window or of a whole frame.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use kernels::{AttentionPlan, Run, attention, rotate};

use crate::ModelError;
use crate::layers::Linear;
use crate::weights::Builder;

/// Multi-head self-attention with one projection for queries, keys and values.
#[derive(Module, Debug)]
pub struct VisionAttention {
    /// Queries, keys and values in one projection, `[3 · width, width]`.
    pub qkv: Linear,
    /// Output projection, `[width, width]`.
    pub proj: Linear,
    /// Number of heads.
    #[module(skip)]
    pub heads: usize,
}

impl VisionAttention {
    pub(crate) fn build(b: &mut Builder, width: usize, heads: usize) -> Result<Self, ModelError> {
        Ok(Self {
            qkv: b.child("qkv", |b| Linear::build(b, width, 3 * width, true))?,
            proj: b.child("proj", |b| Linear::build(b, width, width, true))?,
            heads,
        })
    }

    /// Its output is added to `onto`.
    ///
    /// # Shapes
    /// - `onto`, `x`: `[patches, width]`
    /// - `cos`, `sin`: `[patches, 1, head width / 2]`
    /// - returns `[patches, width]`
    pub(crate) fn forward_onto(
        &self,
        onto: Tensor<2>,
        x: Tensor<2>,
        cos: &Tensor<3>,
        sin: &Tensor<3>,
        plan: &Arc<AttentionPlan>,
    ) -> Tensor<2> {
        let [patches, width] = x.dims();
        let head = width / self.heads;
        let qkv = self.qkv.forward(x).reshape([patches, 3, self.heads, head]);
        let part = |index: usize| qkv.clone().narrow(1, index, 1).reshape([patches, self.heads, head]);
        let (query, key, value) = (rotate(part(0), cos, sin), rotate(part(1), cos, sin), part(2));
        self.proj.forward_onto(onto, attention(query, key, value, plan))
    }
}

/// Full attention inside each of consecutive runs of patches.
pub(crate) fn segments(lengths: &[usize]) -> Arc<AttentionPlan> {
    let mut end = 0;
    let run = |&length: &usize| {
        let start = end;
        end += length;
        Run { tokens: start..end, causal: false, context: 0..0 }
    };
    Arc::new(AttentionPlan::new(lengths.iter().map(run).collect(), Vec::new()))
}
