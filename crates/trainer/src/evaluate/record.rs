//! What is kept of an evaluation: one line of `responses.jsonl` for every response, and for every problem left out.

use std::collections::BTreeSet;

use dataset::Problem;
use reward::{Answer, Reward, Truth, Verdict};
use rollout::Finish;
use serde::{Deserialize, Serialize};

use crate::collect::judging::{Answered, outcomes, with_penalty};
use crate::config::RolloutConfig;

/// One line of `responses.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// A response and its verdict.
    Response(Response),
    /// A problem that could not be asked.
    Skipped(Skipped),
}

/// A response to a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The problem's number in the data, from 0.
    pub problem: usize,
    /// The response's number among those to its problem, from 0.
    pub sample: usize,
    /// Where the problem stands in its file.
    pub place: String,
    /// What sort of problem it is, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The problem's text.
    pub question: String,
    /// The expected answer.
    pub gold: String,
    /// The text the model wrote.
    pub response: String,
    /// Its tokens, the one that ended it included.
    pub tokens: usize,
    /// Whether it was cut at the length limit.
    pub truncated: bool,
    /// Whether it was cut and counts as wrong without the reward being asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
    /// What it earned; absent if it could not be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why it could not be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ungraded: Option<String>,
}

/// A problem that could not be made into a prompt, and so has no responses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// The problem's number in the data, from 0.
    pub problem: usize,
    /// Where it stands in its file.
    pub place: String,
    /// Why it could not be asked.
    pub reason: String,
}

impl Record {
    /// The number of the problem it is about, from 0.
    #[must_use]
    pub fn problem(&self) -> usize {
        match self {
            Self::Response(response) => response.problem,
            Self::Skipped(skipped) => skipped.problem,
        }
    }

    fn is_ungraded(&self) -> bool {
        matches!(self, Self::Response(response) if response.verdict.is_none())
    }
}

/// The records of the responses to problem `number`.
pub(super) fn records(number: usize, problem: Problem, answered: Answered) -> impl Iterator<Item = Record> {
    let Answered { task, responses, .. } = answered;
    let (place, category) = (problem.place.to_string(), problem.category);
    responses.into_iter().enumerate().map(move |(sample, (completion, judged))| {
        let (verdict, ungraded) = match judged.verdict {
            Ok(verdict) => (Some(verdict), None),
            Err(reason) => (None, Some(reason)),
        };
        Record::Response(Response {
            problem: number,
            sample,
            place: place.clone(),
            category: category.clone(),
            question: task.problem.clone(),
            gold: task.truth.answer.clone(),
            response: judged.text,
            tokens: completion.tokens.len(),
            truncated: completion.finish == Finish::Length,
            unasked: !judged.asked,
            verdict,
            ungraded,
        })
    })
}

/// Judges the problems among the records of a block that have a response without a verdict. All their responses are
/// handed over, since a reward may compare them; a verdict that is there gives way to another verdict alone.
pub(super) fn judge_again(records: &mut [Record], reward: &dyn Reward, rollout: &RolloutConfig) {
    let open: BTreeSet<usize> = records.iter().filter(|record| record.is_ungraded()).map(Record::problem).collect();
    let mut asked: Vec<(&mut Response, Truth)> = Vec::new();
    for record in records {
        if let Record::Response(response) = record
            && open.contains(&response.problem)
            && !response.unasked
        {
            let truth = Truth { answer: response.gold.clone() };
            asked.push((response, truth));
        }
    }
    let answers: Vec<Answer<'_>> = asked
        .iter()
        .map(|(response, truth)| Answer {
            problem: &response.question,
            response: &response.response,
            truth,
            tokens: response.tokens,
            group: response.problem,
        })
        .collect();
    if answers.is_empty() {
        return;
    }
    let verdicts = outcomes(reward, &answers);
    for ((response, _), verdict) in asked.iter_mut().zip(verdicts) {
        let penalty = rollout.overlong_penalty.map(|penalty| penalty.penalty(response.tokens));
        match verdict {
            Ok(verdict) => {
                response.verdict = Some(with_penalty(verdict, penalty));
                response.ungraded = None;
            }
            Err(reason) if response.verdict.is_none() => response.ungraded = Some(reason),
            Err(_) => {}
        }
    }
}
