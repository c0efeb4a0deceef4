//! GRPO for pass@k: only the best response of a group is praised, by how far it leads.

use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::groups::CenteredRewards;
use crate::{AdvantageEstimator, CreditError, Deviation, Evidence, GroupOfOne, Positive};

/// `(best reward - second best) / (sample deviation + epsilon)` for the best response of each group and 0 for the others, the
/// same for every token of a response.
///
/// Responses that share the best reward lead by nothing: their whole group gets 0. A group of one that counts as it is leads
/// by its reward.
///
/// # Source
/// arXiv:2503.19595, the leave-one-out estimate of the best of k, as in verl and EasyR1 (`grpo_passk` in
/// `verl/trainer/core_algos.py`).
///
/// # Departures
/// Releases of EasyR1 leave the other responses at their bare reward; here they get 0, as in verl. Both refuse a group of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PassAtK {
    /// Added to the deviation, in units of the reward.
    pub epsilon: Positive,
    /// What a prompt with a single response gets.
    pub group_of_one: GroupOfOne,
}

impl Default for PassAtK {
    fn default() -> Self {
        Self { epsilon: const { Positive::literal(1e-6) }, group_of_one: GroupOfOne::Zero }
    }
}

impl AdvantageEstimator for PassAtK {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let rewards = CenteredRewards::new(evidence, self.group_of_one)?;
        let values = rewards.values.clone().mask_fill(rewards.absent.clone(), f32::MIN);
        let shape = values.dims();
        let best = values.clone().max_dim(1);
        let leading = values.clone().equal(best.clone().expand(shape));
        let leaders = leading.clone().cast(FloatDType::F32);
        let shared = leaders.clone().sum_dim(1).greater_scalar(1.0);
        let second = values.mask_fill(leading, f32::MIN).max_dim(1);
        let lead = leaders * (best - second).mask_fill(shared, 0.0);
        // A group of one has no second: its value stands, 0 or the bare reward.
        let lead = lead.mask_where(rewards.alone().expand(shape), rewards.values.clone());
        let advantage = lead / (rewards.deviation(Deviation::Sample) + self.epsilon.value());
        Ok(rewards.spread(advantage, evidence.response()))
    }
}
