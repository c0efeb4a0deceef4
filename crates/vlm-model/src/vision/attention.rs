//! Self-attention among the patches of a window or of a whole frame.

use burn::module::Module;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Int, Tensor};

use crate::ModelError;
use crate::indices::index_tensor;
use crate::layers::{Linear, rotate};
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

    /// # Shapes
    /// - `x`: `[patches, width]`
    /// - `cos`, `sin`: `[patches, 1, head width / 2]`
    /// - returns `[patches, width]`
    pub(crate) fn forward(&self, x: Tensor<2>, cos: &Tensor<3>, sin: &Tensor<3>, segments: &Segments) -> Tensor<2> {
        let [patches, width] = x.dims();
        let head = width / self.heads;
        let qkv = self.qkv.forward(x).reshape([patches, 3, self.heads, head]);
        let part = |index: usize| qkv.clone().narrow(1, index, 1).reshape([patches, self.heads, head]);
        let (query, key, value) = (rotate(part(0), cos, sin), rotate(part(1), cos, sin), part(2));
        self.proj.forward(segments.attend(&query, &key, &value))
    }
}

/// A partition of the patches into runs that attend among themselves, grouped by length so that equal runs share one
/// batched product and nothing is padded.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    /// `(runs, length, places of their patches)`; the places are `None` when one class holds all patches in order.
    classes: Vec<(usize, usize, Option<Tensor<1, Int>>)>,
    /// Puts the classes' concatenated outputs back in order.
    restore: Option<Tensor<1, Int>>,
}

impl Segments {
    /// From the lengths of consecutive runs.
    pub(crate) fn new(lengths: &[usize], device: &Device) -> Self {
        let mut distinct = lengths.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if let [length] = distinct[..] {
            return Self { classes: vec![(lengths.len(), length, None)], restore: None };
        }
        let mut order = Vec::new();
        let mut classes = Vec::new();
        for length in distinct {
            let mut places = Vec::new();
            let mut start = 0;
            for &run in lengths {
                if run == length {
                    places.extend(start..start + run);
                }
                start += run;
            }
            order.extend_from_slice(&places);
            classes.push((places.len() / length, length, Some(index_tensor(&places, device))));
        }
        let mut restore = vec![0; order.len()];
        for (at, &place) in order.iter().enumerate() {
            restore[place] = at;
        }
        Self { classes, restore: Some(index_tensor(&restore, device)) }
    }

    /// Full attention inside each run.
    ///
    /// # Shapes
    /// - `query`, `key`, `value`: `[patches, heads, head width]`
    /// - returns `[patches, heads · head width]`
    fn attend(&self, query: &Tensor<3>, key: &Tensor<3>, value: &Tensor<3>) -> Tensor<2> {
        let [_, heads, head] = query.dims();
        let outputs = self
            .classes
            .iter()
            .map(|(runs, length, places)| {
                let batched = |x: &Tensor<3>| {
                    let x = match places {
                        Some(places) => x.clone().select(0, places.clone()),
                        None => x.clone(),
                    };
                    x.reshape([*runs, *length, heads, head]).swap_dims(1, 2)
                };
                let options = AttentionModuleOptions::default();
                let output = attention(batched(query), batched(key), batched(value), None, None, options);
                output.swap_dims(1, 2).reshape([runs * length, heads * head])
            })
            .collect();
        let joined = Tensor::cat(outputs, 0);
        match &self.restore {
            Some(restore) => joined.select(0, restore.clone()),
            None => joined,
        }
    }
}
