//! Root-mean-square normalization.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::{Host, TASK, at_least_f32, in_dtype, in_order, is_host, sum_pairs, tensor, values, vectorized};

/// `x / √(mean(x²) + ε) · g`, row by row, reduced in f32.
///
/// # Shapes
/// - `x`: `[rows, width]`
/// - `scale`: `g`, `[width]`
/// - returns `[rows, width]`, in the dtype of `x`
///
/// # Panics
/// If the scale has not the width of `x`.
///
/// # Source
/// Zhang & Sennrich 2019, arXiv:1910.07467.
#[must_use]
pub fn rms_norm(x: Tensor<2>, scale: Tensor<1>, epsilon: f64) -> Tensor<2> {
    assert_eq!([x.dims()[1]], scale.dims(), "width of the rows and of the scale");
    if is_host(&x) && is_host(&scale) {
        let normed = <Dispatch as RmsNorm>::rms_norm(x.into_dispatch(), scale.into_dispatch(), epsilon);
        return Tensor::from_dispatch(normed);
    }
    composed(x, scale, epsilon)
}

fn composed(x: Tensor<2>, scale: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let dtype = x.dtype();
    let x = at_least_f32(x);
    let factor = (x.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    in_dtype(x * factor * at_least_f32(scale).unsqueeze(), dtype)
}

#[backend_extension(Autodiff, Flex)]
trait RmsNorm: Backend {
    fn rms_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;
}

impl RmsNorm for Flex {
    fn rms_norm(x: Host, scale: Host, epsilon: f64) -> Host {
        let (x, scale) = (in_order(x), in_order(scale));
        let (input, scale) = (values(&x), values(&scale));
        let width = scale.len();
        let mut output = vec![0.0; input.len()];
        let task = width * TASK.div_ceil(width);
        output.par_chunks_mut(task).zip(input.par_chunks(task)).for_each(|(output, input)| {
            vectorized(
                #[inline(always)]
                || {
                    for (output, input) in output.chunks_exact_mut(width).zip(input.chunks_exact(width)) {
                        let factor = factor(input, epsilon);
                        for ((output, &input), &scale) in output.iter_mut().zip(input).zip(scale) {
                            *output = input * factor * scale;
                        }
                    }
                },
            );
        });
        tensor(output, [input.len() / width, width])
    }
}

/// Gradients of `x` and of the scale.
fn backward(x: Host, scale: Host, upstream: Host, epsilon: f64) -> (Host, Host) {
    let (x, scale, upstream) = (in_order(x), in_order(scale), in_order(upstream));
    let (input, scale, upstream) = (values(&x), values(&scale), values(&upstream));
    let width = scale.len();
    let mut gradient = vec![0.0; input.len()];
    let task = width * TASK.div_ceil(width);
    let of_scale: Vec<Vec<f32>> = gradient
        .par_chunks_mut(task)
        .zip(input.par_chunks(task))
        .zip(upstream.par_chunks(task))
        .map(|((gradient, input), upstream)| {
            vectorized(
                #[inline(always)]
                || rows_backward(gradient, input, upstream, scale, epsilon),
            )
        })
        .collect();
    let mut total = vec![0.0; width];
    for part in of_scale {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    (tensor(gradient, [input.len() / width, width]), tensor(total, [width]))
}

#[inline(always)]
fn factor(row: &[f32], epsilon: f64) -> f32 {
    let mean = sum_pairs(row, row, |a, b| a * b) / row.len() as f32;
    1.0 / (mean + epsilon as f32).sqrt()
}

/// Fills the gradient of some rows and returns their share of the scale's.
///
/// With `r` the row's factor and `u` the upstream times the scale: `r·u − x·r³·mean(u·x)`.
#[inline(always)]
fn rows_backward(gradient: &mut [f32], input: &[f32], upstream: &[f32], scale: &[f32], epsilon: f64) -> Vec<f32> {
    let width = scale.len();
    let mut of_scale = vec![0.0; width];
    let mut scaled = vec![0.0; width];
    let rows = input.chunks_exact(width).zip(upstream.chunks_exact(width));
    for (gradient, (input, upstream)) in gradient.chunks_exact_mut(width).zip(rows) {
        let factor = factor(input, epsilon);
        for i in 0..width {
            scaled[i] = upstream[i] * scale[i];
            of_scale[i] += upstream[i] * input[i] * factor;
        }
        let along = sum_pairs(&scaled, input, |u, x| u * x) / width as f32 * factor * factor * factor;
        for i in 0..width {
            gradient[i] = scaled[i] * factor - input[i] * along;
        }
    }
    of_scale
}

impl<C: CheckpointStrategy> RmsNorm for Autodiff<Flex, C> {
    fn rms_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Step;
        impl Backward<Flex, 2> for Step {
            type State = (Host, Host, f64);
            fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [of_x, of_scale] = ops.parents;
                let upstream = gradients.consume::<Flex>(&ops.node);
                let (x, scale, epsilon) = ops.state;
                let (for_x, for_scale) = backward(x, scale, upstream, epsilon);
                if let Some(node) = of_x {
                    gradients.register::<Flex>(node.id, for_x);
                }
                if let Some(node) = of_scale {
                    gradients.register::<Flex>(node.id, for_scale);
                }
            }
        }
        let ((x, of_x), (scale, of_scale)) = (x.into_parts(), scale.into_parts());
        match Step.prepare::<C>([of_x, of_scale]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let normed = Flex::rms_norm(x.clone(), scale.clone(), epsilon);
                step.finish((x, scale, epsilon), normed)
            }
            OpsKind::UnTracked(step) => step.finish(Flex::rms_norm(x, scale, epsilon)),
        }
    }
}
