//! Group relative policy optimization (GRPO): rewards in units of their group's spread.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::groups::CenteredRewards;
use crate::{AdvantageEstimator, CreditError, Deviation, Evidence, GroupOfOne, Positive};

/// `(reward - mean) / (deviation + epsilon)` within each group, the same for every token of a response.
///
/// Equal rewards give exactly 0.
///
/// # Source
/// DeepSeekMath, arXiv:2402.03300, section 4.1.2; epsilon and the sample deviation as in the released VPPO code
/// (`verl/trainer/core_algos.py`, arXiv:2510.09285), which refuses a group of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpo {
    /// Added to the deviation, in units of the reward.
    pub epsilon: Positive,
    /// Which standard deviation divides.
    pub deviation: Deviation,
    /// What a prompt with a single response gets.
    pub group_of_one: GroupOfOne,
}

impl Default for Grpo {
    fn default() -> Self {
        Self {
            epsilon: const { Positive::literal(1e-6) },
            deviation: Deviation::Sample,
            group_of_one: GroupOfOne::Zero,
        }
    }
}

impl AdvantageEstimator for Grpo {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let rewards = CenteredRewards::new(evidence, self.group_of_one)?;
        let advantage = rewards.values.clone() / (rewards.deviation(self.deviation) + self.epsilon.value());
        Ok(rewards.spread(advantage, evidence.response()))
    }
}
