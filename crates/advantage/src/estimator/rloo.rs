//! REINFORCE leave-one-out (RLOO): a response is compared with the others only.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::groups::CenteredRewards;
use crate::{AdvantageEstimator, CreditError, Evidence, GroupOfOne};

/// `reward - mean of the others' rewards` within each group, the same for every token of a response.
///
/// Computed as `n / (n - 1) * (reward - mean)`, which is the same number.
///
/// # Source
/// Back to Basics, arXiv:2402.14740, the leave-one-out baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rloo {
    /// What a prompt with a single response gets.
    pub group_of_one: GroupOfOne,
}

impl AdvantageEstimator for Rloo {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let rewards = CenteredRewards::new(evidence, self.group_of_one)?;
        let advantage = rewards.values.clone() * (rewards.sizes.clone() / rewards.others());
        Ok(rewards.spread(advantage, evidence.response()))
    }
}
