//! Problems in, judged groups of responses out.

pub(crate) mod judging;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use dataset::Sampler;
use reward::{Reward, Verdict};
use rollout::{Completion, NativeEngine, RolloutPrompt};
use vlm_model::QwenVl;
use vlm_model::processor::Processor;

use self::judging::Answered;
use crate::TrainError;
use crate::config::TrainConfig;
use crate::features::{FeatureCache, features_of};
use crate::prepare::Task;
use crate::problems::Problems;
use crate::recipe::AccuracyBand;
use crate::seeds::{Purpose, derive};

/// A problem with its sampled and judged responses. Responses that could not be judged are not among them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The problem.
    pub task: Task,
    /// Features of its images under the policy that sampled, `[image tokens, width]`.
    pub features: Option<Tensor<2>>,
    /// Its responses.
    pub completions: Vec<Completion>,
    /// The responses as text.
    pub texts: Vec<String>,
    /// What each response earned.
    pub verdicts: Vec<Verdict>,
    /// How many of them the reward judged; the others were cut, and count as wrong unasked.
    pub asked: usize,
    /// Responses that were sampled besides and left ungraded.
    pub ungraded: usize,
}

/// Where responses come from and who judges them.
pub struct Source<'a> {
    /// The policy, without autodiff.
    pub policy: &'a QwenVl,
    /// The checkpoint's processor.
    pub processor: &'a Processor,
    /// The judge.
    pub reward: &'a dyn Reward,
    /// The run's configuration.
    pub config: &'a TrainConfig,
    /// Features of images that the policy's vision tower has seen, if it stays as it is.
    pub features: Option<&'a FeatureCache>,
}

/// The groups of one step, and what was tried to get them.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Groups that pass the accuracy band, at most as many as a step asks for.
    pub groups: Vec<Group>,
    /// Groups sampled in all.
    pub sampled_groups: usize,
    /// Bad problems passed over.
    pub skipped_problems: usize,
    /// Groups dropped because too few of their responses could be judged for a comparison.
    pub ungraded_groups: usize,
    /// Sampled groups whose rewards are all equal; they carry no signal.
    pub flat_groups: usize,
    /// Tokens of all sampled responses, those that could not be judged included.
    pub sampled_tokens: usize,
    /// Sums over all sampled responses: reward, accuracy, parts, and how many there are.
    pub sampled: RewardSums,
    /// Wall time of judging.
    pub judging: Duration,
}

/// Responses to some tasks, not yet judged.
struct Responses {
    tasks: Vec<Task>,
    features: Vec<Option<Tensor<2>>>,
    completions: Vec<Vec<Completion>>,
}

/// Sums, so that means can be taken over any number of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RewardSums {
    /// Sum of rewards.
    pub overall: f64,
    /// Right responses.
    pub accuracy: f64,
    /// Sum of each part by its name. A response that lacks a part adds nothing to it.
    pub parts: BTreeMap<String, f64>,
    /// Responses with a verdict.
    pub count: usize,
    /// How many of them the reward judged; the others were cut, and count as wrong unasked.
    pub asked: usize,
    /// Responses that could not be judged, which are in none of the above.
    pub ungraded: usize,
}

impl Source<'_> {
    /// Samples rounds of problems until enough groups pass the accuracy band, or the rounds run out.
    ///
    /// # Source
    /// DAPO, arXiv:2503.14476, section 3.2 (dynamic sampling).
    ///
    /// # Departures
    /// When the rounds run out, the step goes on with what it has, be it nothing; the released code raises.
    ///
    /// # Errors
    /// If no problem can be used or nothing can be sampled.
    pub fn collect(
        &self,
        problems: &Problems,
        sampler: &mut Sampler,
        band: Option<AccuracyBand>,
        step: u64,
    ) -> Result<Collected, TrainError> {
        let wanted = self.config.rollout.prompts_per_step;
        let rounds = if band.is_some() { self.config.rollout.max_rounds } else { 1 };
        let mut collected = Collected::default();
        for round in 0..rounds as u64 {
            let drawn = problems.draw(sampler, wanted, self)?;
            collected.skipped_problems += drawn.skipped;
            let seed = derive(self.config.seed, Purpose::Rollout, &[step, round]);
            let seeds: Vec<u64> =
                (0..drawn.tasks.len() as u64).map(|index| derive(seed, Purpose::Rollout, &[index])).collect();
            let responses = self.sample(drawn.tasks, self.config.rollout.responses, &seeds)?;
            collected.sampled_tokens +=
                responses.completions.iter().flatten().map(|one| one.tokens.len()).sum::<usize>();
            let clock = Instant::now();
            let mut answered: Vec<Group> = self.judged(responses)?.into_iter().map(Answered::graded).collect();
            collected.judging += clock.elapsed();
            for group in &answered {
                collected.sampled.add(group);
                collected.flat_groups += usize::from(group.is_flat());
            }
            let sampled = answered.len();
            // One response alone can be compared with nothing, unless that is what the run asks for.
            answered.retain(|group| group.verdicts.len() >= self.config.rollout.responses.min(2));
            collected.sampled_groups += sampled;
            collected.ungraded_groups += sampled - answered.len();
            if admit(&mut collected.groups, answered, |group| &group.verdicts, band, wanted) {
                break;
            }
        }
        Ok(collected)
    }

    /// Samples responses to each task, from the draws of its own one of `seeds`, and judges all of them together. A group
    /// lacks the responses that could not be judged; it may be left with none.
    ///
    /// # Errors
    /// If nothing can be sampled.
    pub fn answer(&self, tasks: Vec<Task>, responses: usize, seeds: &[u64]) -> Result<Vec<Group>, TrainError> {
        Ok(self.respond(tasks, responses, seeds)?.into_iter().map(Answered::graded).collect())
    }

    /// As [`Self::answer`], with the responses that could not be judged.
    ///
    /// # Errors
    /// If nothing can be sampled.
    pub(crate) fn respond(
        &self,
        tasks: Vec<Task>,
        responses: usize,
        seeds: &[u64],
    ) -> Result<Vec<Answered>, TrainError> {
        self.judged(self.sample(tasks, responses, seeds)?)
    }

    fn sample(&self, tasks: Vec<Task>, responses: usize, seeds: &[u64]) -> Result<Responses, TrainError> {
        let policy = self.policy;
        let features = features_of(policy, &tasks, self.features);
        let prompts: Vec<RolloutPrompt> = tasks
            .iter()
            .zip(&features)
            .zip(seeds)
            .map(|((task, features), &seed)| RolloutPrompt {
                tokens: task.prompt.clone(),
                image_features: features.clone(),
                seed,
            })
            .collect();
        let tokens = &policy.config.tokens;
        let rollout = &self.config.rollout;
        let engine = NativeEngine::new(policy, &rollout.sampling, &[tokens.eos, tokens.bos], rollout.max_rows)?;
        let completions = engine.generate(&prompts, responses)?;
        Ok(Responses { tasks, features, completions })
    }

    fn judged(&self, responses: Responses) -> Result<Vec<Answered>, TrainError> {
        let Responses { tasks, features, completions } = responses;
        let judged = self.judge(&tasks, &completions)?;
        let groups = tasks.into_iter().zip(features).zip(completions.into_iter().zip(judged));
        Ok(groups
            .map(|((task, features), (completions, judged))| {
                let responses = completions.into_iter().zip(judged).collect();
                Answered { task, features, responses }
            })
            .collect())
    }
}

impl Group {
    /// Whether all its rewards are equal, so that it carries no signal. A group without a response is not.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        let mut rewards = self.verdicts.iter().map(|verdict| verdict.overall);
        rewards.next().is_some_and(|first| rewards.all(|reward| reward == first))
    }
}

/// Adds those of a round's groups that pass the band to the kept ones, in order and up to `wanted` in all, and says whether there
/// are that many.
fn admit<G>(
    kept: &mut Vec<G>,
    round: Vec<G>,
    verdicts: impl Fn(&G) -> &[Verdict],
    band: Option<AccuracyBand>,
    wanted: usize,
) -> bool {
    kept.extend(round.into_iter().filter(|group| band.is_none_or(|band| band.admits(verdicts(group)))));
    kept.truncate(wanted);
    kept.len() == wanted
}

impl RewardSums {
    /// A sum over the responses with a verdict as their mean. `None` without any, or where the reward was asked and
    /// judged nothing: the zeros of responses that were cut are no measurement by themselves then.
    #[must_use]
    pub fn mean(&self, sum: f64) -> Option<f64> {
        let judged = self.count > 0 && (self.asked > 0 || self.ungraded == 0);
        judged.then(|| sum / self.count as f64)
    }

    /// Counts a group in.
    pub fn add(&mut self, group: &Group) {
        self.ungraded += group.ungraded;
        self.asked += group.asked;
        for verdict in &group.verdicts {
            self.overall += f64::from(verdict.overall);
            self.accuracy += f64::from(verdict.accuracy);
            for part in &verdict.parts {
                *self.parts.entry(part.name.clone()).or_default() += f64::from(part.value);
            }
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    /// Recorded inputs and outputs of a function of an independent implementation, all of them.
    fn recorded<T: serde::de::DeserializeOwned>(function: &str) -> Vec<T> {
        let golden = include_str!("../../../tests/fixtures/credit/golden.json");
        let golden: Value = serde_json::from_str(golden).expect("the fixture is JSON");
        let cases = &golden["cases"][function];
        let found: Vec<T> = serde_json::from_value(cases.clone()).expect("cases of this form");
        assert_eq!(Some(found.len() as u64), golden["meta"]["counts"][function].as_u64());
        found
    }

    fn verdicts(accuracies: &[f32]) -> Vec<Verdict> {
        accuracies.iter().map(|&accuracy| Verdict { accuracy, ..Verdict::default() }).collect()
    }

    #[derive(Deserialize)]
    struct Keep {
        r#in: Scores,
        out: Vec<bool>,
    }

    #[derive(Deserialize)]
    struct Scores {
        scores: Vec<f32>,
        group: Vec<usize>,
        low: f64,
        high: f64,
    }

    #[test]
    fn groups_are_admitted_as_recorded() {
        for Keep { r#in: Scores { scores, group, low, high }, out } in recorded("dynamic_sampling_keep") {
            let of = |label: usize| scores.iter().zip(&group).filter(move |(_, other)| **other == label);
            let admitted = |&label: &usize| {
                let accuracies: Vec<f32> = of(label).map(|(score, _)| *score).collect();
                AccuracyBand { low, high }.admits(&verdicts(&accuracies))
            };
            assert_eq!(group.iter().map(admitted).collect::<Vec<_>>(), out, "{group:?}: {scores:?}");
        }
    }

    #[derive(Deserialize)]
    struct Fill {
        r#in: Rounds,
        out: Filled,
    }

    #[derive(Deserialize)]
    struct Rounds {
        rounds: Vec<Vec<Vec<f32>>>,
        target_groups: usize,
        low: f64,
        high: f64,
    }

    #[derive(Deserialize)]
    struct Filled {
        kept: Vec<[usize; 2]>,
        rounds_used: usize,
    }

    #[test]
    fn rounds_fill_a_step_as_recorded() {
        for Fill { r#in: Rounds { rounds, target_groups, low, high }, out } in recorded("dynamic_sampling_fill") {
            let mut kept = Vec::new();
            let used = rounds.iter().enumerate().position(|(round, groups)| {
                let named = groups.iter().enumerate().map(|(index, scores)| ([round, index], verdicts(scores)));
                admit(&mut kept, named.collect(), |group| &group.1, Some(AccuracyBand { low, high }), target_groups)
            });
            assert_eq!(used.map(|last| last + 1), Some(out.rounds_used));
            assert_eq!(kept.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), out.kept);
        }
    }

    /// Without a band every group counts; too few are kept and not enough.
    #[test]
    fn all_groups_pass_where_there_is_no_band() {
        let mut kept = Vec::new();
        let round = || vec![verdicts(&[0.0, 0.0]), verdicts(&[1.0, 1.0])];
        assert!(!admit(&mut kept, round(), Vec::as_slice, None, 3));
        assert_eq!(kept.len(), 2);
        assert!(admit(&mut kept, round(), Vec::as_slice, None, 3));
        assert_eq!(kept.len(), 3);
        let strict = Some(AccuracyBand { low: 0.01, high: 0.99 });
        assert!(!admit(&mut Vec::new(), round(), Vec::as_slice, strict, 1));
    }
}
