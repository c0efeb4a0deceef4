//! What a step did, as numbers with a definition.
//!
//! Names follow EasyR1 and verl where they have one. Every mean is a sum over a count taken over the whole step; nothing
//! is a mean of means. What a mean of nothing would be is not a number, and `null` in the line. `docs/metrics.md` lists all
//! names.

mod cost;
mod figures;
mod of_step;

use std::collections::BTreeMap;

use inspector::RolloutRecord;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::TrainError;

pub use cost::Cost;
pub(crate) use cost::Timings;
pub(crate) use of_step::StepFacts;

/// The record of one step, one line of `metrics.jsonl`.
///
/// Kept responses are those of the groups trained on. What is said of the objective is over the optimizer steps that were taken,
/// each by what its averages are over; `actor/grad_norm` is over their number.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StepReport {
    /// Number of the step, from 1.
    pub step: usize,
    /// Mean reward of all judged responses, those of filtered groups included; `None` if nothing was judged.
    #[serde(rename = "reward/overall")]
    pub reward: Option<f64>,
    /// Share of all judged responses that are right; `None` if nothing was judged.
    #[serde(rename = "reward/accuracy")]
    pub accuracy: Option<f64>,
    /// Mean of each other part of the reward over all judged responses, by `reward/NAME`.
    #[serde(flatten)]
    pub parts: BTreeMap<String, f64>,
    /// Share of the kept groups whose rewards are all equal; they carry no signal.
    #[serde(rename = "reward/frac_zero_std")]
    pub zero_variance_groups: f64,
    /// Responses that could not be judged; they are in none of the means.
    #[serde(rename = "rollout/ungraded")]
    pub ungraded: usize,
    /// Tokens of all sampled responses.
    #[serde(rename = "rollout/sampled_tokens")]
    pub sampled_tokens: usize,
    /// Groups sampled.
    #[serde(rename = "groups/sampled")]
    pub sampled_groups: usize,
    /// Groups dropped because too few of their responses could be judged.
    #[serde(rename = "groups/ungraded")]
    pub ungraded_groups: usize,
    /// Sampled groups whose rewards are all equal.
    #[serde(rename = "groups/zero_variance")]
    pub flat_groups: usize,
    /// Groups trained on.
    #[serde(rename = "groups/kept")]
    pub kept_groups: usize,
    /// Bad problems that were drawn and passed over.
    #[serde(rename = "data/skipped")]
    pub skipped_problems: usize,
    /// Mean reward of the kept responses.
    #[serde(rename = "critic/score/mean")]
    pub score: f64,
    /// Largest reward of a kept response.
    #[serde(rename = "critic/score/max")]
    pub score_max: f64,
    /// Smallest reward of a kept response.
    #[serde(rename = "critic/score/min")]
    pub score_min: f64,
    /// Mean over the kept responses of the reward less what tokens paid for leaving the reference policy.
    #[serde(rename = "critic/rewards/mean")]
    pub total_reward: f64,
    /// Largest of those.
    #[serde(rename = "critic/rewards/max")]
    pub total_reward_max: f64,
    /// Smallest of those.
    #[serde(rename = "critic/rewards/min")]
    pub total_reward_min: f64,
    /// Mean advantage of a kept token after shaping.
    #[serde(rename = "critic/advantages/mean")]
    pub signed_advantage: f64,
    /// Largest advantage of a kept token.
    #[serde(rename = "critic/advantages/max")]
    pub advantage_max: f64,
    /// Smallest advantage of a kept token.
    #[serde(rename = "critic/advantages/min")]
    pub advantage_min: f64,
    /// Mean absolute advantage of a kept token.
    #[serde(rename = "critic/advantages/abs_mean")]
    pub advantage: f64,
    /// Mean tokens of the kept responses.
    #[serde(rename = "response_length/mean")]
    pub response_length: f64,
    /// Tokens of the longest kept response.
    #[serde(rename = "response_length/max")]
    pub response_length_max: f64,
    /// Tokens of the shortest kept response.
    #[serde(rename = "response_length/min")]
    pub response_length_min: f64,
    /// Share of the kept responses that reached the length limit.
    #[serde(rename = "response_length/clip_ratio")]
    pub truncated: f64,
    /// Mean tokens of the kept groups' prompts.
    #[serde(rename = "prompt_length/mean")]
    pub prompt_length: f64,
    /// Tokens of the longest of them.
    #[serde(rename = "prompt_length/max")]
    pub prompt_length_max: f64,
    /// Tokens of the shortest of them.
    #[serde(rename = "prompt_length/min")]
    pub prompt_length_min: f64,
    /// Share of them that are as long as prompts may be; longer ones were passed over.
    #[serde(rename = "prompt_length/clip_ratio")]
    pub prompts_at_limit: f64,
    /// Mean entropy of the sampling distribution over the kept tokens, in nats.
    #[serde(rename = "actor/entropy")]
    pub entropy: f64,
    /// Whether the recipe measures dependency; not part of the line.
    #[serde(skip)]
    pub measures_dependency: bool,
    /// Mean dependency of the kept tokens, if it was measured.
    #[serde(rename = "dependency/mean", skip_serializing_if = "Option::is_none")]
    pub dependency: Option<f64>,
    /// More of the dependency, if it was measured.
    #[serde(flatten)]
    pub dependencies: Option<DependencyFigures>,
    /// Largest absolute gap between the log-probabilities seen at sampling and those recomputed, in nats. With top-p
    /// below 1 it contains the renormalisation.
    #[serde(rename = "training/rollout_log_probs_diff_max")]
    pub gap_max: f64,
    /// Mean absolute gap, in nats.
    #[serde(rename = "training/rollout_log_probs_diff_mean")]
    pub gap_mean: f64,
    /// Sample standard deviation of the absolute gaps, in nats.
    #[serde(rename = "training/rollout_log_probs_diff_std")]
    pub gap_std: f64,
    /// Largest absolute gap between the probabilities.
    #[serde(rename = "training/rollout_probs_diff_max")]
    pub probability_gap_max: f64,
    /// Mean absolute gap between the probabilities.
    #[serde(rename = "training/rollout_probs_diff_mean")]
    pub probability_gap_mean: f64,
    /// Sample standard deviation of the absolute gaps between the probabilities.
    #[serde(rename = "training/rollout_probs_diff_std")]
    pub probability_gap_std: f64,
    /// Pearson correlation of the probabilities seen at sampling with those recomputed.
    #[serde(rename = "training/rollout_actor_probs_pearson_corr")]
    pub probability_correlation: f64,
    /// Share of the kept tokens with a positive gate.
    #[serde(rename = "actor/selected_fraction")]
    pub selected: f64,
    /// The surrogate's value.
    #[serde(rename = "actor/pg_loss")]
    pub policy_loss: f64,
    /// Mean negative log-probability of the sampled tokens.
    #[serde(rename = "actor/entropy_loss")]
    pub entropy_proxy: f64,
    /// Mean entropy of the policy in nats; 0 without an entropy bonus.
    #[serde(rename = "actor/entropy_bonus")]
    pub entropy_at_update: f64,
    /// Mean reference KL.
    #[serde(rename = "actor/kl_loss")]
    pub reference_kl: f64,
    /// Mean divergence from the contrast of the perception term.
    #[serde(rename = "actor/kl_prcp_loss")]
    pub perception_kl: f64,
    /// Mean negative log-probability of the sampled tokens under that contrast.
    #[serde(rename = "actor/entropy_mask_loss")]
    pub masked_entropy: f64,
    /// Share of tokens whose ratio was clipped.
    #[serde(rename = "actor/pg_clipfrac_higher")]
    pub clipped_high: f64,
    /// Share of tokens the dual clip acted on.
    #[serde(rename = "actor/pg_clipfrac_lower")]
    pub clipped_low: f64,
    /// Mean of old minus current log-probability.
    #[serde(rename = "actor/ppo_kl")]
    pub drift: f64,
    /// Mean importance weight of a token; 1 without a correction.
    #[serde(rename = "rollout_is/mean")]
    pub importance: f64,
    /// Effective sample size of the importance weights, as a share of the tokens.
    #[serde(rename = "rollout_is/eff_sample_size")]
    pub effective_share: f64,
    /// Share of tokens whose importance weight was truncated or masked.
    #[serde(rename = "rollout_is/limited_fraction")]
    pub limited: f64,
    /// Mean gradient norm before clipping, over the optimizer steps that were taken.
    #[serde(rename = "actor/grad_norm")]
    pub gradient_norm: f64,
    /// Optimizer steps taken.
    #[serde(rename = "actor/updates")]
    pub updates: usize,
    /// Optimizer steps left out because the gradient was not finite.
    #[serde(rename = "actor/skipped_updates")]
    pub skipped_updates: usize,
    /// Log-probabilities that were not finite, at sampling or recomputed; nothing is learned from a step with one.
    #[serde(rename = "training/not_finite")]
    pub not_finite: usize,
    /// The learning rate.
    #[serde(rename = "actor/lr")]
    pub learning_rate: f64,
    /// Time and memory.
    #[serde(flatten)]
    pub cost: Cost,
    /// Records of the kept responses, if the step was recorded; not part of the line.
    #[serde(skip)]
    pub rollouts: Option<Vec<RolloutRecord>>,
}

impl StepReport {
    /// The line: every figure by its name.
    ///
    /// # Errors
    /// If they cannot be written as JSON.
    pub fn metrics(&self) -> Result<Map<String, Value>, TrainError> {
        let wrong = |source| TrainError::Json { place: format!("metrics of step {}", self.step), source };
        let mut line: Map<String, Value> =
            serde_json::to_value(self).and_then(serde_json::from_value).map_err(wrong)?;
        if self.measures_dependency {
            for name in ["mean", "p10", "p50", "p90", "p99", "max", "mean_selected", "mean_rejected"] {
                line.entry(format!("dependency/{name}")).or_insert(Value::Null);
            }
        }
        Ok(line)
    }
}

/// How the dependency of the kept tokens is spread. Values that are not finite are left out of all but [`Self::unknown`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DependencyFigures {
    /// The smallest dependency that at least 10 % of the tokens do not exceed.
    #[serde(rename = "dependency/p10")]
    pub p10: f64,
    /// The same for half of them.
    #[serde(rename = "dependency/p50")]
    pub p50: f64,
    /// The same for 90 %.
    #[serde(rename = "dependency/p90")]
    pub p90: f64,
    /// The same for 99 %.
    #[serde(rename = "dependency/p99")]
    pub p99: f64,
    /// The largest dependency.
    #[serde(rename = "dependency/max")]
    pub max: f64,
    /// Mean dependency of the tokens with a positive gate.
    #[serde(rename = "dependency/mean_selected")]
    pub selected: f64,
    /// Mean dependency of the others.
    #[serde(rename = "dependency/mean_rejected")]
    pub rejected: f64,
    /// Tokens whose dependency is not finite.
    #[serde(rename = "dependency/not_finite")]
    pub unknown: usize,
    /// Share of the tokens with a positive gate, among responses to a prompt with an image.
    #[serde(rename = "actor/perception_token_fraction")]
    pub selected_fraction: f64,
    /// Trajectory shaping's factors, if the recipe has it.
    #[serde(flatten)]
    pub factors: Option<FactorFigures>,
}

/// The factors by which trajectory shaping multiplies the advantages of whole responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FactorFigures {
    /// Mean over the kept responses.
    #[serde(rename = "actor/scaling_factor_mean")]
    pub mean: f64,
    /// Largest.
    #[serde(rename = "actor/scaling_factor_max")]
    pub max: f64,
    /// Smallest.
    #[serde(rename = "actor/scaling_factor_min")]
    pub min: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step whose groups were all filtered has no dependency to tell of, and says so.
    #[test]
    fn a_dependency_of_nothing_is_null() {
        let nothing = StepReport { measures_dependency: true, ..StepReport::default() };
        let line = nothing.metrics().expect("JSON");
        for name in ["dependency/mean", "dependency/p50", "dependency/mean_rejected"] {
            assert_eq!(line.get(name), Some(&Value::Null), "{name}");
        }
        let known = StepReport { dependency: Some(0.5), ..nothing };
        assert_eq!(known.metrics().expect("JSON").get("dependency/mean"), Some(&Value::from(0.5)));
        let unmeasured = StepReport::default().metrics().expect("JSON");
        assert!(!unmeasured.keys().any(|name| name.starts_with("dependency/")), "{unmeasured:?}");
    }
}
