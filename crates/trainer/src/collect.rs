//! Problems in, judged groups of responses out.

use burn::tensor::Tensor;
use dataset::{Problem, Sampler};
use reward::{Reward, Verdict};
use rollout::{Completion, Finish, NativeEngine, RolloutPrompt};
use vlm_model::QwenVl;
use vlm_model::processor::Processor;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::prepare::{Task, prepare};
use crate::recipe::AccuracyBand;
use crate::seeds::{Purpose, derive};

/// A problem with its sampled and judged responses.
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
}

/// The groups of one step, and what was tried to get them.
#[derive(Clone, Debug)]
pub struct Collected {
    /// Groups that pass the accuracy band, at most as many as a step asks for.
    pub groups: Vec<Group>,
    /// Groups sampled in all.
    pub sampled_groups: usize,
    /// Sums over all sampled responses: reward, accuracy, format, and how many there are.
    pub sampled: RewardSums,
}

/// Sums, so that means can be taken over any number of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RewardSums {
    /// Sum of rewards.
    pub overall: f64,
    /// Right responses.
    pub accuracy: f64,
    /// Well-formed responses.
    pub format: f64,
    /// All responses.
    pub count: usize,
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
    /// If a problem cannot be prepared or nothing can be sampled.
    pub fn collect(
        &self,
        problems: &[Problem],
        sampler: &mut Sampler,
        band: Option<AccuracyBand>,
        step: u64,
    ) -> Result<Collected, TrainError> {
        let wanted = self.config.rollout.prompts_per_step;
        let rounds = if band.is_some() { self.config.rollout.max_rounds } else { 1 };
        let mut collected = Collected { groups: Vec::new(), sampled_groups: 0, sampled: RewardSums::default() };
        for round in 0..rounds as u64 {
            let tasks: Vec<Task> = sampler
                .next_batch(wanted)
                .into_iter()
                .map(|index| prepare(&problems[index], self.processor, &self.policy.config, &self.config.data))
                .collect::<Result<_, _>>()?;
            let seed = derive(self.config.seed, Purpose::Rollout, &[step, round]);
            for group in self.answer(tasks, self.config.rollout.responses, seed)? {
                collected.sampled.add(&group.verdicts);
                collected.sampled_groups += 1;
                if band.is_none_or(|band| band.admits(&group.verdicts)) {
                    collected.groups.push(group);
                }
            }
            if collected.groups.len() >= wanted {
                collected.groups.truncate(wanted);
                break;
            }
        }
        Ok(collected)
    }

    /// Samples and judges responses to each task.
    ///
    /// # Errors
    /// If nothing can be sampled.
    pub fn answer(&self, tasks: Vec<Task>, responses: usize, seed: u64) -> Result<Vec<Group>, TrainError> {
        let policy = self.policy;
        let features = features_of(policy, &tasks);
        let prompts: Vec<RolloutPrompt> = tasks
            .iter()
            .zip(&features)
            .enumerate()
            .map(|(index, (task, features))| RolloutPrompt {
                tokens: task.prompt.clone(),
                image_features: features.clone(),
                seed: derive(seed, Purpose::Rollout, &[index as u64]),
            })
            .collect();
        let tokens = &policy.config.tokens;
        let rollout = &self.config.rollout;
        let engine = NativeEngine::new(policy, rollout.sampling.clone(), &[tokens.eos, tokens.bos], rollout.max_rows)?;
        let completions = engine.generate(&prompts, responses)?;
        tasks
            .into_iter()
            .zip(features)
            .zip(completions)
            .map(|((task, features), c)| self.judge(task, features, c))
            .collect()
    }

    fn judge(
        &self,
        task: Task,
        features: Option<Tensor<2>>,
        completions: Vec<Completion>,
    ) -> Result<Group, TrainError> {
        let text = |completion: &Completion| self.processor.tokenizer.decode(&completion.tokens, true);
        let texts: Vec<String> = completions.iter().map(text).collect::<Result<_, _>>()?;
        let judged = |(completion, text): (&Completion, &String)| {
            let truncated = completion.finish == Finish::Length && !self.config.rollout.judge_truncated;
            if truncated { Verdict::default() } else { self.reward.judge(text, &task.truth) }
        };
        let verdicts = completions.iter().zip(&texts).map(judged).collect();
        Ok(Group { task, features, completions, texts, verdicts })
    }
}

impl RewardSums {
    /// Counts some verdicts in.
    pub fn add(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            self.overall += f64::from(verdict.overall);
            self.accuracy += f64::from(verdict.accuracy);
            self.format += f64::from(verdict.format);
            self.count += 1;
        }
    }
}

/// Image features of each task, from one pass of the vision tower over all images.
#[must_use]
pub(crate) fn features_of(model: &QwenVl, tasks: &[Task]) -> Vec<Option<Tensor<2>>> {
    let images: Vec<_> = tasks.iter().flat_map(|task| &task.patches).collect();
    let mut rest = model.image_features(&images);
    tasks
        .iter()
        .map(|task| {
            let count = task.prompt.image_tokens();
            let all = rest.take()?;
            let total = all.dims()[0];
            rest = (total > count).then(|| all.clone().narrow(0, count, total - count));
            if count == 0 {
                rest = Some(all);
                return None;
            }
            Some(all.narrow(0, 0, count))
        })
        .collect()
}
