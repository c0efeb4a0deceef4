//! What the figures of an evaluation are made from, without texts.

use super::Evaluation;
use super::record::{Record, Response, Skipped};

/// The problems an evaluation has dealt with so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// Responses to each problem.
    pub samples: usize,
    /// The answered problems.
    pub outcomes: Vec<Outcome>,
    /// The problems that could not be asked.
    pub skipped: Vec<Skipped>,
}

/// An answered problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its number in the data, from 0.
    pub problem: usize,
    /// What sort of problem it is, if that is known.
    pub category: Option<String>,
    /// The responses to it.
    pub attempts: Vec<Attempt>,
}

/// A response.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its tokens, the one that ended it included.
    pub tokens: usize,
    /// Whether it was cut at the length limit.
    pub truncated: bool,
    /// What the judge said; `None` if it said nothing.
    pub marks: Option<Marks>,
}

/// What a judge said of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks {
    /// Whether the reward was asked; a response that was cut may count as wrong unasked.
    pub asked: bool,
    /// Whether the answer is right.
    pub right: bool,
    /// The reward, as learnt from in training.
    pub reward: f64,
    /// What the reward is made of, before weights, by name.
    pub parts: Vec<(String, f64)>,
}

impl Tally {
    /// Nothing yet, of so many responses to each problem.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        Self { samples, outcomes: Vec::new(), skipped: Vec::new() }
    }

    /// Problems dealt with, those left out included.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.outcomes.len() + self.skipped.len()
    }

    /// All responses.
    pub(super) fn attempts(&self) -> impl Iterator<Item = &Attempt> + Clone {
        self.outcomes.iter().flat_map(|outcome| &outcome.attempts)
    }

    /// Counts records in; those of one problem follow each other and come in one call.
    pub fn add(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Skipped(skipped) => self.skipped.push(skipped.clone()),
                Record::Response(response) => {
                    if self.outcomes.last().is_none_or(|last| last.problem != response.problem) {
                        let Response { problem, category, .. } = response;
                        self.outcomes.push(Outcome {
                            problem: *problem,
                            category: category.clone(),
                            attempts: Vec::new(),
                        });
                    }
                    if let Some(last) = self.outcomes.last_mut() {
                        last.attempts.push(Attempt::of(response));
                    }
                }
            }
        }
    }

    /// The figures.
    #[must_use]
    pub fn evaluation(self) -> Evaluation {
        Evaluation::of(self)
    }
}

impl Attempt {
    fn of(response: &Response) -> Self {
        let marks = response.verdict.as_ref().map(|verdict| Marks {
            asked: !response.unasked,
            right: verdict.is_right(),
            reward: f64::from(verdict.overall),
            parts: verdict.parts.iter().map(|part| (part.name.clone(), f64::from(part.value))).collect(),
        });
        Self { tokens: response.tokens, truncated: response.truncated, marks }
    }
}

impl Outcome {
    /// Responses that count, right or wrong.
    #[must_use]
    pub fn graded(&self) -> usize {
        self.marks().count()
    }

    /// Right responses.
    #[must_use]
    pub fn right(&self) -> usize {
        self.marks().filter(|marks| marks.right).count()
    }

    /// Share of right responses among the graded ones; `None` if none was graded.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let graded = self.graded();
        (graded > 0).then(|| self.right() as f64 / graded as f64)
    }

    /// What was said of the responses; nothing where the reward was asked and judged none of them.
    pub(super) fn marks(&self) -> impl Iterator<Item = &Marks> {
        let counts = is_judged(&self.attempts);
        self.attempts.iter().filter_map(|attempt| attempt.marks.as_ref()).filter(move |_| counts)
    }
}

/// Whether responses say anything: the reward judged one of them, or was asked for none. Where it judged nothing that
/// it was asked for, the responses that were cut and count as wrong unasked are no measurement by themselves.
pub(super) fn is_judged<'a>(attempts: impl IntoIterator<Item = &'a Attempt, IntoIter: Clone>) -> bool {
    let mut attempts = attempts.into_iter();
    let judged = attempts.clone().any(|attempt| attempt.marks.as_ref().is_some_and(|marks| marks.asked));
    judged || attempts.all(|attempt| attempt.marks.is_some())
}
