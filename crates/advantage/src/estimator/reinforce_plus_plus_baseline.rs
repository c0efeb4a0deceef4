//! REINFORCE++ with a baseline: rewards less the mean of their group, in units of the batch's spread.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::whitening::whitened;
use crate::groups::CenteredRewards;
use crate::{AdvantageEstimator, CreditError, Evidence, GroupOfOne};

/// `reward - mean` within each group, given to every token of the response and whitened over all response tokens of the batch.
///
/// Dividing by the spread of the batch, not of the group, keeps prompts from weighing more the less their responses disagree.
/// Whitening also takes the mean over all tokens away, in which long responses weigh more, and divides by their sample
/// deviation (`sqrt(variance + 1e-8)`). A batch whose groups all agree gets exactly 0.
///
/// A reward that is not finite makes the advantages of the whole batch not finite, since all are compared.
///
/// # Source
/// REINFORCE++, arXiv:2501.03262, the variant with a baseline, as in verl (`reinforce_plus_plus_baseline` in
/// `verl/trainer/ppo/core_algos.py`), where a group of one keeps its bare reward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReinforcePlusPlusBaseline {
    /// What a prompt with a single response brings to the batch, before whitening.
    pub group_of_one: GroupOfOne,
}

impl Default for ReinforcePlusPlusBaseline {
    fn default() -> Self {
        Self { group_of_one: GroupOfOne::Raw }
    }
}

impl AdvantageEstimator for ReinforcePlusPlusBaseline {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let rewards = CenteredRewards::new(evidence, self.group_of_one)?;
        let centered = rewards.values.clone();
        Ok(whitened(rewards.spread(centered, evidence.response()), evidence))
    }
}
