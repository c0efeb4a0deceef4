//! The figures of a step, from what was collected, scored, credited and updated.

use burn::tensor::Device;
use rollout::Finish;

use super::figures::{Spread, correlation, deviation, mean, percentile, ratio, share};
use super::{Cost, DependencyFigures, FactorFigures, StepReport, Timings};
use crate::collect::{Collected, Group};
use crate::loss::Counts;
use crate::micro_batch::TokenCounts;
use crate::scored::Scored;
use crate::step_values::StepValues;
use crate::update::UpdateReport;

/// Everything a report is made from.
pub(crate) struct StepFacts<'a> {
    /// The step, from 1.
    pub(crate) step: usize,
    pub(crate) collected: &'a Collected,
    /// Optimizer batches: the kept groups.
    pub(crate) batches: &'a [Scored],
    pub(crate) values: &'a StepValues,
    /// What the optimizer steps did, in order.
    pub(crate) updates: &'a [UpdateReport],
    pub(crate) learning_rate: f64,
    pub(crate) max_prompt_tokens: usize,
    pub(crate) timings: Timings,
    pub(crate) device: &'a Device,
}

impl StepFacts<'_> {
    pub(crate) fn report(&self) -> StepReport {
        let mut report = StepReport { step: self.step, learning_rate: self.learning_rate, ..StepReport::default() };
        self.rewards(&mut report);
        self.lengths(&mut report);
        self.tokens(&mut report);
        self.gaps(&mut report);
        self.objective(&mut report);
        report
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        self.batches.iter().flat_map(|batch| &batch.groups)
    }

    fn rewards(&self, report: &mut StepReport) {
        let Collected { sampled, .. } = self.collected;
        report.reward = sampled.mean(sampled.overall);
        report.accuracy = sampled.mean(sampled.accuracy);
        let parts = sampled.parts.iter().filter(|(name, _)| *name != "accuracy");
        report.parts = parts.filter_map(|(name, &sum)| Some((format!("reward/{name}"), sampled.mean(sum)?))).collect();
        report.ungraded = sampled.ungraded;
        report.sampled_tokens = self.collected.sampled_tokens;
        report.sampled_groups = self.collected.sampled_groups;
        report.ungraded_groups = self.collected.ungraded_groups;
        report.flat_groups = self.collected.flat_groups;
        report.skipped_problems = self.collected.skipped_problems;
        report.kept_groups = self.groups().count();
        report.zero_variance_groups = share(self.groups().map(Group::is_flat));
        let verdicts = self.groups().flat_map(|group| &group.verdicts);
        let score = Spread::of(&verdicts.map(|verdict| f64::from(verdict.overall)).collect::<Vec<_>>());
        (report.score, report.score_max, report.score_min) = (score.mean, score.max, score.min);
        let total = Spread::of(&wide(&self.values.rewards));
        (report.total_reward, report.total_reward_max, report.total_reward_min) = (total.mean, total.max, total.min);
    }

    fn lengths(&self, report: &mut StepReport) {
        let completions = || self.groups().flat_map(|group| &group.completions);
        let responses = Spread::of(&completions().map(|completion| completion.tokens.len() as f64).collect::<Vec<_>>());
        report.response_length = responses.mean;
        (report.response_length_max, report.response_length_min) = (responses.max, responses.min);
        report.truncated = share(completions().map(|completion| completion.finish == Finish::Length));
        let lengths = || self.groups().map(|group| group.task.prompt.ids.len());
        let prompts = Spread::of(&lengths().map(|length| length as f64).collect::<Vec<_>>());
        report.prompt_length = prompts.mean;
        (report.prompt_length_max, report.prompt_length_min) = (prompts.max, prompts.min);
        report.prompts_at_limit = share(lengths().map(|length| length >= self.max_prompt_tokens));
        let tokens = lengths().sum::<usize>() + self.values.log_probs.len();
        report.cost = Cost::of(&self.timings, self.collected.sampled_tokens, tokens, self.device);
        let computed = self.updates.iter().fold(TokenCounts::default(), |all, update| TokenCounts {
            computed: all.computed + update.tokens.computed,
            unshared: all.unshared + update.tokens.unshared,
        });
        report.cost.prefix_saving = computed.saving();
    }

    fn tokens(&self, report: &mut StepReport) {
        let advantages = wide(&self.values.advantage);
        let spread = Spread::of(&advantages);
        report.signed_advantage = spread.mean;
        (report.advantage_max, report.advantage_min) = (spread.max, spread.min);
        report.advantage = mean(&advantages.iter().map(|advantage| advantage.abs()).collect::<Vec<_>>());
        report.entropy = mean(&wide(&self.values.entropy));
        report.selected = share(self.values.gate.iter().map(|&gate| gate > 0.0));
        let Some(dependency) = &self.values.dependency else { return };
        let visual = self.groups().flat_map(|group| {
            let tokens = group.completions.iter().map(|completion| completion.tokens.len()).sum();
            std::iter::repeat_n(group.task.prompt.image_tokens() > 0, tokens)
        });
        let selected = visual.zip(&self.values.gate).filter(|(visual, _)| *visual).map(|(_, &gate)| gate > 0.0);
        let known = dependency.iter().zip(&self.values.gate).filter(|(value, _)| value.is_finite());
        let known: Vec<(f64, bool)> = known.map(|(&value, &gate)| (f64::from(value), gate > 0.0)).collect();
        let of = |heard: bool| known.iter().filter(move |(_, gate)| *gate == heard).map(|(value, _)| *value);
        let mut ascending: Vec<f64> = known.iter().map(|(value, _)| *value).collect();
        report.dependency = (!ascending.is_empty()).then(|| mean(&ascending));
        ascending.sort_unstable_by(f64::total_cmp);
        let factors = Spread::of(&wide(&self.values.factors));
        report.dependencies = Some(DependencyFigures {
            p10: percentile(&ascending, 10),
            p50: percentile(&ascending, 50),
            p90: percentile(&ascending, 90),
            p99: percentile(&ascending, 99),
            max: percentile(&ascending, 100),
            selected: mean(&of(true).collect::<Vec<_>>()),
            rejected: mean(&of(false).collect::<Vec<_>>()),
            unknown: dependency.len() - known.len(),
            selected_fraction: share(selected),
            factors: (!self.values.factors.is_empty()).then_some(FactorFigures {
                mean: factors.mean,
                max: factors.max,
                min: factors.min,
            }),
        });
    }

    /// The distance between what was seen at sampling and what was recomputed.
    fn gaps(&self, report: &mut StepReport) {
        let (ours, theirs) = (wide(&self.values.log_probs), wide(&self.values.sampling_log_probs));
        let distances = |ours: &[f64], theirs: &[f64]| {
            let distances: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).collect();
            (Spread::of(&distances), deviation(&distances))
        };
        let (gap, gap_std) = distances(&ours, &theirs);
        (report.gap_mean, report.gap_max, report.gap_std) = (gap.mean, gap.max, gap_std);
        let probabilities = |log_probs: &[f64]| log_probs.iter().map(|value| value.exp()).collect::<Vec<f64>>();
        let (ours, theirs) = (probabilities(&ours), probabilities(&theirs));
        let (gap, gap_std) = distances(&ours, &theirs);
        (report.probability_gap_mean, report.probability_gap_max) = (gap.mean, gap.max);
        report.probability_gap_std = gap_std;
        report.probability_correlation = correlation(&ours, &theirs);
    }

    /// What the optimizer steps say, put together by what their averages are over.
    fn objective(&self, report: &mut StepReport) {
        let taken: Vec<&UpdateReport> = self.updates.iter().filter(|update| !update.skipped).collect();
        let joined = |value: fn(&UpdateReport) -> f64, count: fn(&Counts) -> f64| {
            let counted = taken.iter().filter(|update| count(&update.counts) > 0.0);
            let sums = counted.map(|update| (value(update) * count(&update.counts), count(&update.counts)));
            let (sum, count) = sums.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
            ratio(sum, count)
        };
        let term = |value| joined(value, |counts| counts.regularizer);
        let token = |value| joined(value, |counts| counts.report);
        report.policy_loss = joined(|update| update.policy_loss, |counts| counts.policy);
        report.entropy_proxy = term(|update| update.entropy_proxy);
        report.entropy_at_update = term(|update| update.entropy);
        report.reference_kl = term(|update| update.reference_kl);
        report.perception_kl = term(|update| update.perception_kl);
        report.masked_entropy = term(|update| update.masked_entropy);
        report.clipped_high = token(|update| update.clipped_high);
        report.clipped_low = token(|update| update.clipped_low);
        report.drift = token(|update| update.drift);
        report.importance = token(|update| update.importance);
        report.limited = token(|update| update.limited);
        report.effective_share = ratio(report.importance.powi(2), token(|update| update.squared_importance));
        report.gradient_norm = mean(&taken.iter().map(|update| update.gradient_norm).collect::<Vec<_>>());
        report.updates = taken.len();
        report.skipped_updates = self.updates.len() - taken.len();
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}
