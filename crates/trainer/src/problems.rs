//! Problems of a run, some of which may be bad.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use dataset::{Dataset, Problem, Sampler};

use crate::TrainError;
use crate::collect::Source;
use crate::prepare::{Task, prepare};

/// A data set whose bad rows are passed over: a run is not ended by one of them, and each is named in the log when it is first met.
#[derive(Debug)]
pub struct Problems {
    dataset: Dataset,
    /// Numbers of the rows found bad so far.
    bad: Mutex<BTreeSet<usize>>,
}

/// Tasks for a round.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// As many as were asked for.
    pub tasks: Vec<Task>,
    /// Bad problems that were drawn and passed over.
    pub skipped: usize,
}

impl Problems {
    /// Of a data set, none of which is known to be bad.
    #[must_use]
    pub fn new(dataset: Dataset) -> Self {
        Self { dataset, bad: Mutex::default() }
    }

    /// All problems, good and bad.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dataset.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dataset.is_empty()
    }

    /// The problems themselves.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// How many have been found bad so far.
    #[must_use]
    pub fn bad(&self) -> usize {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A problem as a task, or nothing if it is bad.
    ///
    /// # Errors
    /// If something is wrong with more than the one problem, such as a file that is gone.
    pub fn task(&self, index: usize, source: &Source) -> Result<Option<Task>, TrainError> {
        if self.bad.lock().unwrap_or_else(PoisonError::into_inner).contains(&index) {
            return Ok(None);
        }
        Ok(self.ask(index, source)?.ok().map(|(_, task)| task))
    }

    /// A problem and its task, or why it is bad.
    ///
    /// # Errors
    /// As [`Self::task`].
    pub fn ask(&self, index: usize, source: &Source) -> Result<Result<(Problem, Task), String>, TrainError> {
        let problem = self.dataset.problem(index).map_err(TrainError::from);
        let task = |problem| {
            let task = prepare(&problem, source.processor, &source.policy.config, &source.config.data)?;
            Ok((problem, Task { index: Some(index), ..task }))
        };
        match problem.and_then(task) {
            Ok(asked) => Ok(Ok(asked)),
            Err(error) if error.place().is_some() => {
                if self.bad.lock().unwrap_or_else(PoisonError::into_inner).insert(index) {
                    tracing::warn!("skipped: {error}");
                }
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// The next tasks of a sampler; others take the place of bad problems.
    ///
    /// # Errors
    /// As [`Self::task`], and [`TrainError::NoUsableProblem`] if a whole epoch holds none.
    pub fn draw(&self, sampler: &mut Sampler, count: usize, source: &Source) -> Result<Drawn, TrainError> {
        let mut drawn = Drawn { tasks: Vec::with_capacity(count), skipped: 0 };
        let mut in_a_row = 0;
        while drawn.tasks.len() < count {
            for index in sampler.next_batch(count - drawn.tasks.len()) {
                match self.task(index, source)? {
                    Some(task) => {
                        drawn.tasks.push(task);
                        in_a_row = 0;
                    }
                    None => {
                        drawn.skipped += 1;
                        in_a_row += 1;
                    }
                }
            }
            // Two epochs, since one may begin within the batch.
            if in_a_row >= 2 * self.len() {
                return Err(TrainError::NoUsableProblem { problems: self.len() });
            }
        }
        Ok(drawn)
    }
}
