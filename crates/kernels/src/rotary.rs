//! Rotary positions.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::{Host, TASK, at_least_f32, in_dtype, in_order, is_host, tensor, values, vectorized};

/// Rotates the two halves of each head by the given angles (the "rotate half" convention).
///
/// No gradient reaches the angles.
///
/// # Shapes
/// - `x`: `[tokens, heads, width]`, the width even
/// - `cos`, `sin`: `[tokens, 1, width / 2]`, in f32
/// - returns `[tokens, heads, width]`, in the dtype of `x`
///
/// # Source
/// Su et al. 2021, arXiv:2104.09864, equation 34, with the halves for the pairs.
#[must_use]
pub fn rotate(x: Tensor<3>, cos: &Tensor<3>, sin: &Tensor<3>) -> Tensor<3> {
    if is_host(&x) && is_host(cos) && is_host(sin) {
        let (cos, sin) = (cos.clone().into_dispatch(), sin.clone().into_dispatch());
        return Tensor::from_dispatch(<Dispatch as Rotate>::rotate(x.into_dispatch(), cos, sin));
    }
    let (half, dtype) = (x.dims()[2] / 2, x.dtype());
    let x = at_least_f32(x);
    let (first, second) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
    let rotated_first = first.clone() * cos.clone() - second.clone() * sin.clone();
    let rotated_second = second * cos.clone() + first * sin.clone();
    in_dtype(Tensor::cat(vec![rotated_first, rotated_second], 2), dtype)
}

#[backend_extension(Autodiff, Flex)]
trait Rotate: Backend {
    fn rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Rotate for Flex {
    fn rotate(x: Host, cos: Host, sin: Host) -> Host {
        turned(&x, &cos, &sin, 1.0)
    }
}

/// Rotation by the angles times `direction`, 1 or −1.
fn turned(x: &Host, cos: &Host, sin: &Host, direction: f32) -> Host {
    let (x, cos, sin) = (in_order(x.clone()), in_order(cos.clone()), in_order(sin.clone()));
    let shape = x.layout().shape().clone();
    let (input, cos, sin) = (values(&x), values(&cos), values(&sin));
    let (token, width) = (shape[1] * shape[2], shape[2]);
    let half = width / 2;
    let mut output = vec![0.0; input.len()];
    let tokens = TASK.div_ceil(token.max(1));
    let angles = cos.par_chunks(tokens * half).zip(sin.par_chunks(tokens * half));
    output.par_chunks_mut(tokens * token).zip(input.par_chunks(tokens * token)).zip(angles).for_each(
        |((output, input), (cos, sin))| {
            vectorized(
                #[inline(always)]
                || {
                    let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
                    let tokens = output.chunks_exact_mut(token).zip(input.chunks_exact(token));
                    for ((output, input), (cos, sin)) in tokens.zip(angles) {
                        for (output, input) in output.chunks_exact_mut(width).zip(input.chunks_exact(width)) {
                            let (first, second) = input.split_at(half);
                            let (to_first, to_second) = output.split_at_mut(half);
                            for i in 0..half {
                                let turn = sin[i] * direction;
                                to_first[i] = first[i] * cos[i] - second[i] * turn;
                                to_second[i] = second[i] * cos[i] + first[i] * turn;
                            }
                        }
                    }
                },
            );
        },
    );
    tensor(output, shape)
}

impl<C: CheckpointStrategy> Rotate for Autodiff<Flex, C> {
    fn rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Step;
        impl Backward<Flex, 1> for Step {
            type State = (Host, Host);
            fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [of_x] = ops.parents;
                let upstream = gradients.consume::<Flex>(&ops.node);
                let (cos, sin) = ops.state;
                if let Some(node) = of_x {
                    gradients.register::<Flex>(node.id, turned(&upstream, &cos, &sin, -1.0));
                }
            }
        }
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        let (x, of_x) = x.into_parts();
        let output = turned(&x, &cos, &sin, 1.0);
        match Step.prepare::<C>([of_x]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((cos, sin), output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }
}
