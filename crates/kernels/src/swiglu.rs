//! The gate of a gated feed-forward layer.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::activation::silu;
use rayon::prelude::*;

use crate::host::{Host, TASK, exp, in_order, is_host, tensor, values, vectorized};

/// `silu(gate) ⊙ up`, where `silu(x) = x / (1 + e^−x)`.
///
/// # Shapes
/// - `gate`, `up`: `[rows, width]`
/// - returns `[rows, width]`
///
/// # Panics
/// If the shapes differ.
///
/// # Source
/// Shazeer 2020, arXiv:2002.05202 (SwiGLU).
#[must_use]
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    assert_eq!(gate.dims(), up.dims(), "shapes of both projections");
    if is_host(&gate) && is_host(&up) {
        return Tensor::from_dispatch(<Dispatch as Swiglu>::swiglu(gate.into_dispatch(), up.into_dispatch()));
    }
    silu(gate) * up
}

#[backend_extension(Autodiff, Flex)]
trait Swiglu: Backend {
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Swiglu for Flex {
    fn swiglu(gate: Host, up: Host) -> Host {
        let (gate, up) = (in_order(gate), in_order(up));
        let shape = gate.layout().shape().clone();
        let (gate, up) = (values(&gate), values(&up));
        let mut output = vec![0.0; gate.len()];
        output.par_chunks_mut(TASK).zip(gate.par_chunks(TASK)).zip(up.par_chunks(TASK)).for_each(
            |((output, gate), up)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for ((output, &gate), &up) in output.iter_mut().zip(gate).zip(up) {
                            *output = gate / (1.0 + exp(-gate)) * up;
                        }
                    },
                );
            },
        );
        tensor(output, shape)
    }
}

/// Gradients of gate and up.
///
/// With `s` the sigmoid of the gate: `u·up·s·(1 + gate·(1 − s))` and `u·gate·s`.
fn backward(gate: Host, up: Host, upstream: Host) -> (Host, Host) {
    let (gate, up, upstream) = (in_order(gate), in_order(up), in_order(upstream));
    let shape = gate.layout().shape().clone();
    let (gate, up, upstream) = (values(&gate), values(&up), values(&upstream));
    let (mut for_gate, mut for_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    let outputs = for_gate.par_chunks_mut(TASK).zip(for_up.par_chunks_mut(TASK));
    let inputs = gate.par_chunks(TASK).zip(up.par_chunks(TASK)).zip(upstream.par_chunks(TASK));
    outputs.zip(inputs).for_each(|((for_gate, for_up), ((gate, up), upstream))| {
        vectorized(
            #[inline(always)]
            || {
                let outputs = for_gate.iter_mut().zip(for_up);
                let inputs = gate.iter().zip(up).zip(upstream);
                for ((for_gate, for_up), ((&gate, &up), &upstream)) in outputs.zip(inputs) {
                    let sigmoid = 1.0 / (1.0 + exp(-gate));
                    *for_up = upstream * gate * sigmoid;
                    *for_gate = upstream * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
                }
            },
        );
    });
    (tensor(for_gate, shape.clone()), tensor(for_up, shape))
}

impl<C: CheckpointStrategy> Swiglu for Autodiff<Flex, C> {
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Step;
        impl Backward<Flex, 2> for Step {
            type State = (Host, Host);
            fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [of_gate, of_up] = ops.parents;
                let upstream = gradients.consume::<Flex>(&ops.node);
                let (gate, up) = ops.state;
                let (for_gate, for_up) = backward(gate, up, upstream);
                if let Some(node) = of_gate {
                    gradients.register::<Flex>(node.id, for_gate);
                }
                if let Some(node) = of_up {
                    gradients.register::<Flex>(node.id, for_up);
                }
            }
        }
        let ((gate, of_gate), (up, of_up)) = (gate.into_parts(), up.into_parts());
        match Step.prepare::<C>([of_gate, of_up]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let output = Flex::swiglu(gate.clone(), up.clone());
                step.finish((gate, up), output)
            }
            OpsKind::UnTracked(step) => step.finish(Flex::swiglu(gate, up)),
        }
    }
}
