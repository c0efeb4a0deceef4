//! Diffusion noise that fades in the course of training.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::DiffusionStep;
use crate::NonNegative;

/// How far the diffusion process goes at each training step.
///
/// # Source
/// NoisyRollout, arXiv:2504.13055, section 3 and released code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseAnnealing {
    /// Diffusion step of the full strength.
    pub initial: DiffusionStep,
    /// What is left of it.
    pub decay: NoiseDecay,
}

/// The share of the full strength that is left at training step `step` of `total`, in `0..=1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NoiseDecay {
    /// `1 - sigmoid(steepness (step - middle) / total)`: all at first, half at the middle.
    Sigmoid {
        /// Slope of the fall; 30 on Geometry3K, 60 on K12.
        steepness: NonNegative,
        /// The training step at which half is left; 40 in the paper.
        middle: NonNegative,
    },
    /// `1 - step / total`.
    Linear,
    /// `1 - (step / total)^exponent`.
    Power {
        /// Above 1 the fall comes late.
        exponent: NonNegative,
    },
    /// Always 1.
    Constant,
}

impl Default for NoiseDecay {
    /// The paper's on Geometry3K.
    fn default() -> Self {
        Self::Sigmoid { steepness: const { NonNegative::literal(30.0) }, middle: const { NonNegative::literal(40.0) } }
    }
}

impl NoiseAnnealing {
    /// The diffusion step at training step `step` of `total`: the full strength times what is left of it, cut to an integer.
    ///
    /// Beyond the last step, a linear or power decay leaves 0.
    #[must_use]
    pub fn at(&self, step: u32, total: NonZeroU32) -> DiffusionStep {
        let total = f64::from(total.get());
        let progress = f64::from(step) / total;
        let left = match self.decay {
            NoiseDecay::Sigmoid { steepness, middle } => {
                let past = progress - middle.value() / total;
                1.0 - 1.0 / (1.0 + (-steepness.value() * past).exp())
            }
            NoiseDecay::Linear => 1.0 - progress,
            NoiseDecay::Power { exponent } => 1.0 - progress.powf(exponent.value()),
            NoiseDecay::Constant => 1.0,
        };
        self.initial.scaled(left)
    }
}
