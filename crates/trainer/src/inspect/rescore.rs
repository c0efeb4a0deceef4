//! A step's responses, put together again from their records and scored by another recipe or policy.

use burn::tensor::Device;
use inspector::{RolloutRecord, TokenRecord};
use reward::{Part, Truth, Verdict};
use rollout::{Completion, Finish};
use vlm_model::processor::Processor;
use vlm_model::{ModelConfig, PromptTokens, QwenVl};

use super::originals::Originals;
use crate::TrainError;
use crate::collect::Group;
use crate::config::TrainConfig;
use crate::features::features_of;
use crate::prepare::{Task, prepare};
use crate::recipe::Algorithm;
use crate::record::Recorder;
use crate::score::Scorer;
use crate::seeds::{Purpose, derive};
use crate::step::{progress, vocabulary};
use crate::step_values::StepValues;

/// What scores again.
pub(super) struct Judge<'a> {
    pub(super) config: &'a TrainConfig,
    pub(super) processor: &'a Processor,
    pub(super) policy: &'a QwenVl,
    /// The policy the run began with, if the recipe reads it.
    pub(super) reference: Option<&'a QwenVl>,
    pub(super) algorithm: &'a Algorithm,
}

/// A step put together again.
pub(super) struct Rebuilt {
    groups: Vec<Group>,
    /// Groups whose tokens are known.
    pub(super) scored: usize,
    /// Why another group could not be put together, if one could not.
    pub(super) missing: Option<String>,
}

/// The tokens of each response as scored again, in the order of the records; `None` where they were not recorded.
pub(super) type Again = Vec<Option<TokenRecord>>;

impl Judge<'_> {
    /// Puts the groups of a step together from its records, which are ordered by group and place in it.
    ///
    /// A response whose tokens were not recorded keeps its reward and has none, so that advantages within its group are what they
    /// were; so do all responses to a problem that is not there any more.
    ///
    /// # Errors
    /// If the step lacks a response, so that draws for the others cannot be found again, or the policy lacks a token.
    pub(super) fn rebuild(&self, records: &[RolloutRecord], originals: &mut Originals) -> Result<Rebuilt, String> {
        self.require_known_tokens(records)?;
        let mut rebuilt = Rebuilt { groups: Vec::new(), scored: 0, missing: None };
        for (number, members) in records.chunk_by(|a, b| a.group == b.group).enumerate() {
            if members.iter().enumerate().any(|(place, record)| (record.group, record.response) != (number, place)) {
                return Err("some of its responses are not among its records".to_owned());
            }
            let task = if members.iter().any(|record| record.tokens.is_some()) {
                let task = originals.problem(&members[0]).and_then(|problem| self.task(&problem));
                task.map_err(|reason| rebuilt.missing = Some(reason)).ok()
            } else {
                None
            };
            rebuilt.scored += usize::from(task.is_some());
            rebuilt.groups.push(self.group(task, members)?);
        }
        let tasks: Vec<Task> = rebuilt.groups.iter().map(|group| group.task.clone()).collect();
        for (group, features) in rebuilt.groups.iter_mut().zip(features_of(self.policy, &tasks, None)) {
            group.features = features;
        }
        Ok(rebuilt)
    }

    fn require_known_tokens(&self, records: &[RolloutRecord]) -> Result<(), String> {
        let ids = records.iter().filter_map(|record| record.tokens.as_ref()).flat_map(|tokens| &tokens.ids);
        let (largest, size) = (ids.copied().max().unwrap_or(0), self.policy.config.text.vocab_size);
        if largest as usize >= size {
            return Err(format!("it has the token {largest}, and the checkpoint to score with has {size} tokens"));
        }
        Ok(())
    }

    /// Scores a step's groups and assigns their credit, by optimizer batches as the run does.
    ///
    /// # Errors
    /// If the recipe's components do not fit what was recorded.
    pub(super) fn score(&self, step: usize, rebuilt: Rebuilt) -> Result<Again, TrainError> {
        let (config, algorithm) = (self.config, self.algorithm);
        let device: Device = self.policy.device();
        let before = step.saturating_sub(1);
        let scorer = Scorer {
            policy: self.policy,
            reference: self.reference,
            metric: algorithm.metric.as_deref(),
            vocabulary: &vocabulary(config, self.policy, &device),
            processor: &self.processor.image,
            tokens_per_micro_batch: config.update.tokens_per_micro_batch,
            seed: contrast_seed(config.seed, step),
        };
        let scored = scorer.score(rebuilt.groups)?;
        let mut values = StepValues::of(&scored, true);
        let batches = scored.optimizer_batches(config.update.updates_per_step);
        let progress = progress(before, config.schedule.steps)?;
        for batch in &batches {
            let evidence = batch.evidence(algorithm.recipe.reward_kl)?.with_progress(progress);
            let credit = advantage::assign(&*algorithm.estimator, &algorithm.shapers, &evidence)?;
            values.add(batch, &evidence, &credit, &algorithm.recipe)?;
        }
        let contrasts = algorithm.metric.as_ref().map_or(&[][..], |metric| metric.contrasts());
        let tokenizer = &self.processor.tokenizer;
        let recorder = Recorder { step, token_groups: usize::MAX, contrasts, tokenizer };
        let again = recorder.records(&batches, &values)?.into_iter();
        Ok(again.map(|record| record.tokens.filter(|tokens| !tokens.ids.is_empty())).collect())
    }

    /// Responses to a task; without one, responses of no tokens behind a prompt that nothing is computed from.
    fn group(&self, task: Option<Task>, records: &[RolloutRecord]) -> Result<Group, String> {
        let known = task.is_some();
        let completion = |record: &RolloutRecord| {
            let tokens = record.tokens.as_ref().filter(|_| known);
            let tokens = tokens.map(|tokens| (tokens.ids.clone(), tokens.sampling_log_probs.clone()));
            let (tokens, log_probs) = tokens.unwrap_or_default();
            let finish = match record.finish {
                inspector::Finish::Stop => Finish::Stop,
                inspector::Finish::Length => Finish::Length,
            };
            Completion { tokens, log_probs, finish }
        };
        let verdict = |record: &RolloutRecord| Verdict {
            overall: record.reward,
            accuracy: record.accuracy,
            parts: record.parts.iter().map(|(name, &value)| Part { name: name.clone(), value }).collect(),
        };
        Ok(Group {
            task: task.map_or_else(|| nothing(&self.policy.config), Ok)?,
            features: None,
            completions: records.iter().map(completion).collect(),
            texts: records.iter().map(|record| record.text.clone()).collect(),
            verdicts: records.iter().map(verdict).collect(),
            asked: records.len(),
            ungraded: 0,
        })
    }

    fn task(&self, problem: &dataset::Problem) -> Result<Task, String> {
        prepare(problem, self.processor, &self.policy.config, &self.config.data).map_err(|error| error.to_string())
    }
}

/// Seed of the random draws of a step's contrasts; steps are counted from 1.
pub(super) fn contrast_seed(seed: u64, step: usize) -> u64 {
    derive(seed, Purpose::Contrast, &[step.saturating_sub(1) as u64])
}

fn nothing(config: &ModelConfig) -> Result<Task, String> {
    Ok(Task {
        prompt: PromptTokens::new(vec![config.tokens.eos], &[], config).map_err(|error| error.to_string())?,
        images: Vec::new(),
        patches: Vec::new(),
        truth: Truth { answer: String::new() },
        problem: String::new(),
        place: None,
        index: None,
    })
}
