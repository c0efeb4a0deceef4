//! What a step did, as numbers with a definition.
//!
//! Names follow EasyR1 and verl where they have one. Every mean is a sum over a count taken over the whole step; nothing
//! is a mean of means.

use std::collections::BTreeMap;
use std::time::Duration;

use advantage::Credit;
use serde::Serialize;

use crate::collect::Collected;
use crate::scored::Scored;
use crate::update::UpdateReport;

/// The record of one step, one line of `metrics.jsonl`.
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
    /// Responses that could not be judged; they are in none of the means.
    #[serde(rename = "rollout/ungraded")]
    pub ungraded: usize,
    /// Groups sampled.
    #[serde(rename = "groups/sampled")]
    pub sampled_groups: usize,
    /// Groups dropped because too few of their responses could be judged.
    #[serde(rename = "groups/ungraded")]
    pub ungraded_groups: usize,
    /// Bad problems that were drawn and passed over.
    #[serde(rename = "data/skipped")]
    pub skipped_problems: usize,
    /// Groups trained on.
    #[serde(rename = "groups/kept")]
    pub kept_groups: usize,
    /// Share of the kept groups whose rewards are all equal; they carry no signal.
    #[serde(rename = "reward/frac_zero_std")]
    pub zero_variance_groups: f64,
    /// Mean tokens of the kept responses.
    #[serde(rename = "response_length/mean")]
    pub response_length: f64,
    /// Share of the kept responses that reached the length limit.
    #[serde(rename = "response_length/clip_ratio")]
    pub truncated: f64,
    /// Mean entropy of the sampling distribution over the kept tokens, in nats.
    #[serde(rename = "actor/entropy")]
    pub entropy: f64,
    /// Mean dependency of the kept tokens, if it was measured.
    #[serde(rename = "dependency/mean", skip_serializing_if = "Option::is_none")]
    pub dependency: Option<f64>,
    /// Largest absolute gap between the log-probabilities seen at sampling and those recomputed, in nats. With top-p
    /// below 1 it contains the renormalisation.
    #[serde(rename = "training/rollout_log_probs_diff_max")]
    pub gap_max: f64,
    /// Mean absolute gap, in nats.
    #[serde(rename = "training/rollout_log_probs_diff_mean")]
    pub gap_mean: f64,
    /// Share of the tokens with a positive gate.
    #[serde(rename = "actor/selected_fraction")]
    pub selected: f64,
    /// Mean absolute advantage of a token after shaping.
    #[serde(rename = "critic/advantages/abs_mean")]
    pub advantage: f64,
    /// The surrogate's value, averaged over the optimizer steps.
    #[serde(rename = "actor/pg_loss")]
    pub policy_loss: f64,
    /// Mean negative log-probability of the sampled tokens, averaged over the optimizer steps.
    #[serde(rename = "actor/entropy_loss")]
    pub entropy_proxy: f64,
    /// Mean entropy of the policy over the optimizer steps, in nats; 0 without an entropy bonus.
    #[serde(rename = "actor/entropy_bonus")]
    pub entropy_at_update: f64,
    /// Mean reference KL, averaged over the optimizer steps.
    #[serde(rename = "actor/kl_loss")]
    pub reference_kl: f64,
    /// Mean divergence from the contrast of the perception term, averaged over the optimizer steps.
    #[serde(rename = "actor/kl_prcp_loss")]
    pub perception_kl: f64,
    /// Mean negative log-probability of the sampled tokens under that contrast, averaged over the optimizer steps.
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
    /// Gradient norm before clipping, averaged over the optimizer steps that had a finite one.
    #[serde(rename = "actor/grad_norm")]
    pub gradient_norm: f64,
    /// Optimizer steps left out because the gradient was not finite.
    #[serde(rename = "actor/skipped_updates")]
    pub skipped_updates: usize,
    /// Log-probabilities that were not finite, at sampling or recomputed; nothing is learned from a step with one.
    #[serde(rename = "training/not_finite")]
    pub not_finite: usize,
    /// The learning rate.
    #[serde(rename = "actor/lr")]
    pub learning_rate: f64,
    /// Tokens trained on: prompts once per group, and responses.
    #[serde(rename = "perf/total_num_tokens")]
    pub tokens: usize,
    /// Those tokens per second of the step.
    #[serde(rename = "perf/throughput")]
    pub throughput: f64,
    /// Seconds of sampling and judging.
    #[serde(rename = "timing_s/gen")]
    pub rollout_seconds: f64,
    /// Seconds of scoring.
    #[serde(rename = "timing_s/old")]
    pub score_seconds: f64,
    /// Seconds of credit assignment and updates.
    #[serde(rename = "timing_s/update_actor")]
    pub update_seconds: f64,
    /// Seconds of the step.
    #[serde(rename = "timing_s/step")]
    pub step_seconds: f64,
    #[serde(skip)]
    updates: usize,
    #[serde(skip)]
    credited_tokens: usize,
}

/// Wall times of a step's phases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Sampling and judging.
    pub rollout: Duration,
    /// Scoring.
    pub score: Duration,
    /// The whole step.
    pub step: Duration,
}

impl StepReport {
    /// Starts the record from what was sampled and scored.
    #[must_use]
    pub fn new(step: usize, collected: &Collected, scored: &Scored) -> Self {
        let mean = |sum: f64, count: usize| if count == 0 { 0.0 } else { sum / count as f64 };
        let host = |x: &burn::tensor::Tensor<1>| x.to_data().iter::<f64>().collect::<Vec<f64>>();
        let (rows, tokens) = (scored.rows.rows(), scored.rows.tokens());
        let sampled = &collected.sampled;
        let completions = || scored.groups.iter().flat_map(|group| &group.completions);
        let sampling = completions().flat_map(|completion| &completion.log_probs);
        let gaps: Vec<f64> = host(&scored.clean.log_probs)
            .iter()
            .zip(sampling)
            .map(|(&ours, &theirs)| (ours - f64::from(theirs)).abs())
            .collect();
        let flat = scored
            .groups
            .iter()
            .filter(|group| group.verdicts.iter().all(|verdict| verdict.overall == group.verdicts[0].overall));
        let truncated = completions().filter(|completion| completion.finish == rollout::Finish::Length).count();
        let prompts: usize = scored.groups.iter().map(|group| group.task.prompt.ids.len()).sum();
        Self {
            step,
            reward: sampled.mean(sampled.overall),
            accuracy: sampled.mean(sampled.accuracy),
            parts: sampled
                .parts
                .iter()
                .filter(|(name, _)| *name != "accuracy")
                .filter_map(|(name, &sum)| Some((format!("reward/{name}"), sampled.mean(sum)?)))
                .collect(),
            ungraded: sampled.ungraded,
            sampled_groups: collected.sampled_groups,
            ungraded_groups: collected.ungraded_groups,
            skipped_problems: collected.skipped_problems,
            kept_groups: scored.groups.len(),
            zero_variance_groups: mean(flat.count() as f64, scored.groups.len()),
            response_length: mean(tokens as f64, rows),
            truncated: mean(truncated as f64, rows),
            entropy: mean(host(&scored.clean.entropy).iter().sum(), tokens),
            dependency: scored.dependency.as_ref().map(|dependency| mean(host(dependency).iter().sum(), tokens)),
            gap_max: gaps.iter().copied().fold(0.0, f64::max),
            gap_mean: mean(gaps.iter().sum(), gaps.len()),
            tokens: prompts + tokens,
            ..Self::default()
        }
    }

    /// Adds one optimizer step.
    pub fn add_update(&mut self, credit: &Credit, batch: &Scored, update: UpdateReport) {
        let total = |x: burn::tensor::Tensor<2>| x.into_data().iter::<f64>().sum::<f64>();
        self.advantage += total(credit.advantage.clone().abs());
        self.selected += total(credit.gate.clone().greater_scalar(0.0).float());
        self.credited_tokens += batch.rows.tokens();
        self.updates += 1;
        self.skipped_updates += usize::from(update.skipped);
        for (sum, value) in self.of_updates().into_iter().zip([
            update.policy_loss,
            update.entropy_proxy,
            update.entropy,
            update.reference_kl,
            update.perception_kl,
            update.masked_entropy,
            update.clipped_high,
            update.clipped_low,
            update.drift,
            update.importance,
            update.effective_share,
            update.limited,
        ]) {
            *sum += value;
        }
        if update.gradient_norm.is_finite() {
            self.gradient_norm += update.gradient_norm;
        }
    }

    /// What is averaged over the optimizer steps.
    const fn of_updates(&mut self) -> [&mut f64; 12] {
        [
            &mut self.policy_loss,
            &mut self.entropy_proxy,
            &mut self.entropy_at_update,
            &mut self.reference_kl,
            &mut self.perception_kl,
            &mut self.masked_entropy,
            &mut self.clipped_high,
            &mut self.clipped_low,
            &mut self.drift,
            &mut self.importance,
            &mut self.effective_share,
            &mut self.limited,
        ]
    }

    /// Turns sums into means and notes the times.
    pub fn finish(&mut self, learning_rate: f64, timings: Timings) {
        let updates = self.updates.max(1) as f64;
        for sum in self.of_updates() {
            *sum /= updates;
        }
        self.gradient_norm /= self.updates.saturating_sub(self.skipped_updates).max(1) as f64;
        self.advantage /= self.credited_tokens.max(1) as f64;
        self.selected /= self.credited_tokens.max(1) as f64;
        self.learning_rate = learning_rate;
        self.rollout_seconds = timings.rollout.as_secs_f64();
        self.score_seconds = timings.score.as_secs_f64();
        self.step_seconds = timings.step.as_secs_f64();
        self.update_seconds = (timings.step.saturating_sub(timings.rollout + timings.score)).as_secs_f64();
        self.throughput = self.tokens as f64 / self.step_seconds.max(1e-9);
    }
}
