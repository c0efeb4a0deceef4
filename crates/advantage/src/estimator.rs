//! How good a response was, compared with the others to the same prompt.

mod dr_grpo;
mod grpo;
mod pass_at_k;
mod reinforce_plus_plus;
mod reinforce_plus_plus_baseline;
mod rloo;
mod whitening;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use dr_grpo::DrGrpo;
pub use grpo::Grpo;
pub use pass_at_k::PassAtK;
pub use reinforce_plus_plus::ReinforcePlusPlus;
pub use reinforce_plus_plus_baseline::ReinforcePlusPlusBaseline;
pub use rloo::Rloo;

use crate::{CreditError, Evidence};

/// Turns the rewards of a batch into one advantage per token.
pub trait AdvantageEstimator {
    /// The advantage of every token, before any shaping.
    ///
    /// # Shapes
    /// - returns `[responses, tokens]`, f32, 0 on padding
    ///
    /// # Errors
    /// If the batch cannot be compared as the estimator was told to.
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError>;
}

/// The built-in estimators, as they are named in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Estimator {
    /// Group-normalized rewards.
    Grpo(Grpo),
    /// Rewards less the mean of their group.
    DrGrpo(DrGrpo),
    /// Rewards less the mean of the others in their group.
    Rloo(Rloo),
    /// The discounted reward still to come, whitened over the batch.
    ReinforcePlusPlus(ReinforcePlusPlus),
    /// Rewards less the mean of their group, whitened over the batch.
    ReinforcePlusPlusBaseline(ReinforcePlusPlusBaseline),
    /// The lead of the best response of each group.
    #[serde(rename = "grpo-pass-at-k")]
    PassAtK(PassAtK),
}

impl AdvantageEstimator for Estimator {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        match self {
            Self::Grpo(estimator) => estimator.estimate(evidence),
            Self::DrGrpo(estimator) => estimator.estimate(evidence),
            Self::Rloo(estimator) => estimator.estimate(evidence),
            Self::ReinforcePlusPlus(estimator) => estimator.estimate(evidence),
            Self::ReinforcePlusPlusBaseline(estimator) => estimator.estimate(evidence),
            Self::PassAtK(estimator) => estimator.estimate(evidence),
        }
    }
}
