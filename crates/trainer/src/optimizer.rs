//! AdamW, a parameter at a time in one pass.

use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use kernels::{AdamWFactors, AdamWValues};

use crate::config::UpdateConfig;

/// AdamW with the papers' settings, decay on every parameter. Its state is that of burn's own `AdamW`.
pub(crate) fn optimizer(config: &UpdateConfig) -> ModuleOptimizer {
    let UpdateConfig { beta_1, beta_2, epsilon, weight_decay, .. } = *config;
    ModuleOptimizer::from(AdamW { beta_1, beta_2, epsilon, weight_decay })
}

#[derive(Clone, Copy)]
struct AdamW {
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let momentum = state.map_or_else(
            || AdaptiveMomentumState::new(0, gradient.zeros_like(), gradient.zeros_like()),
            |state| state.momentum,
        );
        let AdaptiveMomentumState { time, moment_1, moment_2, .. } = momentum;
        let time = time + 1;
        let factors = AdamWFactors {
            learning_rate,
            weight_decay: f64::from(self.weight_decay),
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            time: i32::try_from(time).unwrap_or(i32::MAX),
        };
        let values = AdamWValues { parameter, moment_1, moment_2 };
        let AdamWValues { parameter, moment_1, moment_2 } = kernels::adamw(values, gradient, factors);
        (parameter, Some(AdamWState::new(AdaptiveMomentumState::new(time, moment_1, moment_2))))
    }

    fn to_device<const D: usize>(mut state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
