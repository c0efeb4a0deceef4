//! GRPO done right (Dr. GRPO): no division by the deviation of the group.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::groups::CenteredRewards;
use crate::{AdvantageEstimator, CreditError, Evidence, GroupOfOne};

/// `reward - mean` within each group, the same for every token of a response.
///
/// Dividing by the deviation would weigh prompts by how rarely their responses disagree.
///
/// # Source
/// Understanding R1-Zero-Like Training, arXiv:2503.20783, section 3.2. Its other half, dividing the loss by a constant length,
/// belongs to the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrGrpo {
    /// What a prompt with a single response gets.
    pub group_of_one: GroupOfOne,
}

impl AdvantageEstimator for DrGrpo {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let rewards = CenteredRewards::new(evidence, self.group_of_one)?;
        let advantage = rewards.values.clone();
        Ok(rewards.spread(advantage, evidence.response()))
    }
}
