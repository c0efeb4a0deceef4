//! The problems a run was asked, as far as they are still what they were.

use std::collections::BTreeMap;

use dataset::Problem;
use inspector::RolloutRecord;

use crate::config::DataConfig;
use crate::problems::Problems;

/// A run's training data. What is wrong with it is a reason to show less, never an error.
pub(super) struct Originals {
    problems: Result<Problems, String>,
    known: BTreeMap<usize, Result<Problem, String>>,
}

impl Originals {
    pub(super) fn open(data: &DataConfig) -> Self {
        let problems = data.open(&data.train).map_err(|error| format!("the run's data cannot be opened: {error}"));
        Self { problems, known: BTreeMap::new() }
    }

    /// The problem that a response answers, or why it cannot be had.
    pub(super) fn problem(&mut self, record: &RolloutRecord) -> Result<Problem, String> {
        let problems = self.problems.as_ref().map_err(String::clone)?;
        let index = record.problem_index.ok_or("the record does not say which problem it answers")?;
        let read = || {
            if index >= problems.len() {
                return Err(format!("the run's data has changed: there is no problem {index} any more"));
            }
            problems.dataset().problem(index).map_err(|error| format!("the problem cannot be read: {error}"))
        };
        let problem = self.known.entry(index).or_insert_with(read).as_ref().map_err(String::clone)?;
        if problem.problem != record.problem {
            return Err(format!("the run's data has changed: {} is another problem now", problem.place));
        }
        Ok(problem.clone())
    }
}
