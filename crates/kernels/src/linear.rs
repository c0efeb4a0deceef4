//! Products with a weight that lies as checkpoints keep it, output by input.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::{Host, in_order, is_host, tensor, values, vectorized};

/// Up to so many rows, reading the weight once for all of them beats a blocked product, which would copy it first.
const FEW: usize = 24;
/// Rows of the weight that one task multiplies.
const OUTPUTS: usize = 32;

/// `x Wᵀ`.
///
/// The weight's gradient has the weight's own order in memory, so that adding to it and stepping along it are single
/// passes.
///
/// # Shapes
/// - `x`: `[rows, in]`
/// - `weight`: `[out, in]`
/// - returns `[rows, out]`
#[must_use]
pub fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    if is_host(&x) && is_host(&weight) {
        return Tensor::from_dispatch(<Dispatch as Linear>::linear(x.into_dispatch(), weight.into_dispatch()));
    }
    x.matmul(weight.transpose())
}

#[backend_extension(Autodiff, Flex)]
trait Linear: Backend {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Linear for Flex {
    fn linear(x: Host, weight: Host) -> Host {
        let rows = x.layout().shape()[0];
        if rows <= FEW && weight.as_slice::<f32>().is_some() {
            return few_rows(x, &weight);
        }
        Self::float_matmul(x, weight.transpose(0, 1))
    }
}

/// The product of a few rows, each row of the weight read once.
fn few_rows(x: Host, weight: &Host) -> Host {
    let x = in_order(x);
    let (rows, input) = (x.layout().shape()[0], x.layout().shape()[1]);
    let outputs = weight.layout().shape()[0];
    let (x, weight) = (values(&x), values(weight));
    // Transposed, so that a task writes one run of memory.
    let mut by_output = vec![0.0; rows * outputs];
    by_output.par_chunks_mut(OUTPUTS * rows).zip(weight.par_chunks(OUTPUTS * input)).for_each(|(output, weight)| {
        vectorized(
            #[inline(always)]
            || {
                for (output, weight) in output.chunks_exact_mut(rows).zip(weight.chunks_exact(input)) {
                    let mut row = 0;
                    while row + 4 <= rows {
                        let x = &x[row * input..(row + 4) * input];
                        output[row..row + 4].copy_from_slice(&dot_4(weight, x));
                        row += 4;
                    }
                    while row < rows {
                        output[row] = dot(weight, &x[row * input..(row + 1) * input]);
                        row += 1;
                    }
                }
            },
        );
    });
    let mut values = vec![0.0; rows * outputs];
    for (row, values) in values.chunks_exact_mut(outputs).enumerate() {
        for (value, output) in values.iter_mut().zip(by_output.chunks_exact(rows)) {
            *value = output[row];
        }
    }
    tensor(values, [rows, outputs])
}

const LANES: usize = 16;

/// Products of one row of the weight with four rows that lie one after another.
#[inline(always)]
fn dot_4(weight: &[f32], x: &[f32]) -> [f32; 4] {
    let input = weight.len();
    let (a, rest) = x.split_at(input);
    let (b, rest) = rest.split_at(input);
    let (c, d) = rest.split_at(input);
    let mut lanes = [[0.0_f32; LANES]; 4];
    let whole = input - input % LANES;
    let parts = a[..whole].chunks_exact(LANES).zip(b[..whole].chunks_exact(LANES));
    let parts = parts.zip(c[..whole].chunks_exact(LANES).zip(d[..whole].chunks_exact(LANES)));
    for (w, ((a, b), (c, d))) in weight[..whole].chunks_exact(LANES).zip(parts) {
        for i in 0..LANES {
            lanes[0][i] = w[i].mul_add(a[i], lanes[0][i]);
            lanes[1][i] = w[i].mul_add(b[i], lanes[1][i]);
            lanes[2][i] = w[i].mul_add(c[i], lanes[2][i]);
            lanes[3][i] = w[i].mul_add(d[i], lanes[3][i]);
        }
    }
    let mut sums = lanes.map(|lanes| lanes.iter().sum::<f32>());
    for i in whole..input {
        for (sum, x) in sums.iter_mut().zip([a, b, c, d]) {
            *sum += weight[i] * x[i];
        }
    }
    sums
}

#[inline(always)]
fn dot(weight: &[f32], x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = weight.len() - weight.len() % LANES;
    for (w, x) in weight[..whole].chunks_exact(LANES).zip(x[..whole].chunks_exact(LANES)) {
        for i in 0..LANES {
            lanes[i] = w[i].mul_add(x[i], lanes[i]);
        }
    }
    lanes.iter().sum::<f32>() + weight[whole..].iter().zip(&x[whole..]).map(|(w, x)| w * x).sum::<f32>()
}

impl<C: CheckpointStrategy> Linear for Autodiff<Flex, C> {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Step;
        impl Backward<Flex, 2> for Step {
            type State = (Option<Host>, Option<Host>);
            fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [of_x, of_weight] = ops.parents;
                let upstream = gradients.consume::<Flex>(&ops.node);
                let (x, weight) = ops.state;
                if let (Some(node), Some(weight)) = (of_x, weight) {
                    gradients.register::<Flex>(node.id, Flex::float_matmul(upstream.clone(), weight));
                }
                if let (Some(node), Some(x)) = (of_weight, x) {
                    gradients.register::<Flex>(node.id, Flex::float_matmul(upstream.transpose(0, 1), x));
                }
            }
        }
        let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
        let output = Flex::linear(x.clone(), weight.clone());
        match Step.prepare::<C>([of_x, of_weight]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((Some(x), Some(weight)), output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }
}
