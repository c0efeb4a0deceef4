//! A step of AdamW.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::gradient::{owned, owned_values};
use crate::host::{Host, TASK, in_order, is_plain, values, vectorized};

/// The numbers of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWFactors {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay, before it is multiplied by the learning rate.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Steps taken, this one among them; at least 1.
    pub time: i32,
}

/// A parameter and what AdamW remembers of its gradients.
#[derive(Clone, Debug)]
pub struct AdamWValues<const D: usize> {
    /// The parameter.
    pub parameter: Tensor<D>,
    /// Moving average of its gradients.
    pub moment_1: Tensor<D>,
    /// Moving average of their squares.
    pub moment_2: Tensor<D>,
}

/// Moves the moments towards a gradient and the parameter along them:
///
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `p ← (1 − η λ) p − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`.
///
/// On the CPU it is one pass, and in place where nothing else holds the values. Its numbers are those of burn's `AdamW` to the
/// last bit.
///
/// # Source
/// Loshchilov & Hutter 2019, arXiv:1711.05101.
#[must_use]
pub fn adamw<const D: usize>(values: AdamWValues<D>, gradient: Tensor<D>, factors: AdamWFactors) -> AdamWValues<D> {
    let AdamWValues { parameter, moment_1, moment_2 } = values;
    if is_plain(&parameter) && is_plain(&gradient) && is_plain(&moment_1) && is_plain(&moment_2) {
        let [parameter, moment_1, moment_2, gradient] =
            [parameter, moment_1, moment_2, gradient].map(Tensor::into_dispatch);
        let (parameter, moment_1, moment_2) =
            <Dispatch as AdamW>::adamw(parameter, moment_1, moment_2, gradient, Scalars::new(factors));
        let [parameter, moment_1, moment_2] = [parameter, moment_1, moment_2].map(Tensor::from_dispatch);
        return AdamWValues { parameter, moment_1, moment_2 };
    }
    composed(AdamWValues { parameter, moment_1, moment_2 }, gradient, factors)
}

fn composed<const D: usize>(values: AdamWValues<D>, gradient: Tensor<D>, f: AdamWFactors) -> AdamWValues<D> {
    let AdamWValues { parameter, moment_1, moment_2 } = values;
    let moment_1 = moment_1 * f.beta_1 + gradient.clone() * (1.0 - f.beta_1);
    let moment_2 = moment_2 * f.beta_2 + gradient.square() * (1.0 - f.beta_2);
    let root = (moment_2.clone() / (1.0 - f.beta_2.powi(f.time))).sqrt() + f.epsilon;
    let way = moment_1.clone() / (1.0 - f.beta_1.powi(f.time)) / root;
    let parameter = parameter * (1.0 - f.learning_rate * f.weight_decay) - way * f.learning_rate;
    AdamWValues { parameter, moment_1, moment_2 }
}

/// The factors as each value meets them.
#[derive(Clone, Copy, Debug)]
struct Scalars {
    kept: f32,
    learning_rate: f32,
    beta_1: f32,
    beta_2: f32,
    correction_1: f32,
    correction_2: f32,
    epsilon: f32,
}

impl Scalars {
    fn new(f: AdamWFactors) -> Self {
        Self {
            kept: (1.0 - f.learning_rate * f.weight_decay) as f32,
            learning_rate: f.learning_rate as f32,
            beta_1: f.beta_1,
            beta_2: f.beta_2,
            correction_1: 1.0 - f.beta_1.powi(f.time),
            correction_2: 1.0 - f.beta_2.powi(f.time),
            epsilon: f.epsilon,
        }
    }

    /// Divisions by the corrections and not products with their inverses, so that the numbers are those of the composition.
    #[inline(always)]
    fn step(self, parameter: &mut f32, moment_1: &mut f32, moment_2: &mut f32, gradient: f32) {
        *moment_1 = *moment_1 * self.beta_1 + gradient * (1.0 - self.beta_1);
        *moment_2 = *moment_2 * self.beta_2 + gradient * gradient * (1.0 - self.beta_2);
        let root = (*moment_2 / self.correction_2).sqrt() + self.epsilon;
        let way = *moment_1 / self.correction_1 / root;
        *parameter = *parameter * self.kept - way * self.learning_rate;
    }
}

#[backend_extension(Flex)]
trait AdamW: Backend {
    fn adamw(
        parameter: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        scalars: Scalars,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl AdamW for Flex {
    fn adamw(parameter: Host, moment_1: Host, moment_2: Host, gradient: Host, scalars: Scalars) -> (Host, Host, Host) {
        let (mut parameter, mut moment_1, mut moment_2) = (owned(parameter), owned(moment_1), owned(moment_2));
        let gradient = in_order(gradient);
        let parameters = owned_values(&mut parameter).par_chunks_mut(TASK);
        let moments =
            owned_values(&mut moment_1).par_chunks_mut(TASK).zip(owned_values(&mut moment_2).par_chunks_mut(TASK));
        parameters.zip(moments).zip(values(&gradient).par_chunks(TASK)).for_each(|((p, (m, v)), g)| {
            vectorized(
                #[inline(always)]
                || {
                    for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
                        scalars.step(p, m, v, g);
                    }
                },
            );
        });
        (parameter, moment_1, moment_2)
    }
}
