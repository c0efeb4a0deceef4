//! Records of the responses that a step trained on.

use std::collections::BTreeMap;

use dependency::Contrast;
use inspector::{ContrastRecord, Finish, RolloutRecord, TokenRecord};
use rollout::Completion;
use vlm_model::text_input::Tokenizer;

use crate::TrainError;
use crate::collect::Group;
use crate::config::RecordConfig;
use crate::scored::Scored;
use crate::step_values::StepValues;

impl RecordConfig {
    /// Whether a step, counted from 1, is recorded.
    #[must_use]
    pub const fn is_due(&self, step: usize) -> bool {
        self.every > 0 && step.is_multiple_of(self.every)
    }
}

/// Makes records of a step's responses.
pub(crate) struct Recorder<'a> {
    /// The step, from 1.
    pub(crate) step: usize,
    /// Groups whose tokens are kept.
    pub(crate) token_groups: usize,
    /// The contrasts of the recipe's metric.
    pub(crate) contrasts: &'a [Contrast],
    pub(crate) tokenizer: &'a Tokenizer,
}

impl Recorder<'_> {
    /// One record for each response of the step's optimizer batches, in order. Groups that were filtered out are not there:
    /// they were never scored.
    ///
    /// # Errors
    /// If the tokenizer cannot show a token.
    pub(crate) fn records(&self, batches: &[Scored], values: &StepValues) -> Result<Vec<RolloutRecord>, TrainError> {
        let groups = batches.iter().flat_map(|batch| &batch.groups);
        let mut records = Vec::new();
        let mut first = 0;
        for (number, group) in groups.enumerate() {
            for (response, completion) in group.completions.iter().enumerate() {
                let tokens =
                    (number < self.token_groups).then(|| self.tokens(completion, values, first)).transpose()?;
                records.push(RolloutRecord { tokens, ..self.record(group, number, response) });
                first += completion.tokens.len();
            }
        }
        Ok(records)
    }

    fn record(&self, group: &Group, number: usize, response: usize) -> RolloutRecord {
        let verdict = &group.verdicts[response];
        let mut parts: BTreeMap<String, f32> =
            verdict.parts.iter().map(|part| (part.name.clone(), part.value)).collect();
        parts.insert("accuracy".to_owned(), verdict.accuracy);
        RolloutRecord {
            step: self.step,
            group: number,
            response,
            problem_index: group.task.index,
            place: group.task.place.as_ref().map(ToString::to_string),
            problem: group.task.problem.clone(),
            answer: group.task.truth.answer.clone(),
            text: group.texts[response].clone(),
            finish: match group.completions[response].finish {
                rollout::Finish::Stop => Finish::Stop,
                rollout::Finish::Length => Finish::Length,
            },
            reward: verdict.overall,
            accuracy: verdict.accuracy,
            parts,
            tokens: None,
        }
    }

    /// The values of a response whose first token is the step's number `first`.
    fn tokens(&self, completion: &Completion, values: &StepValues, first: usize) -> Result<TokenRecord, TrainError> {
        let own = |list: &[f32]| list[first..first + completion.tokens.len()].to_vec();
        let contrasts = self.contrasts.iter().zip(&values.contrasts);
        Ok(TokenRecord {
            ids: completion.tokens.clone(),
            texts: self.tokenizer.decode_each(&completion.tokens)?,
            log_probs: own(&values.log_probs),
            sampling_log_probs: own(&values.sampling_log_probs),
            entropy: own(&values.entropy),
            dependency: values.dependency.as_deref().map(own),
            contrasts: contrasts
                .map(|(contrast, (log_probs, divergence))| ContrastRecord {
                    name: contrast.name.clone(),
                    log_probs: own(log_probs),
                    divergence: own(divergence),
                })
                .collect(),
            advantage: own(&values.advantage),
            gate: own(&values.gate),
        })
    }
}
