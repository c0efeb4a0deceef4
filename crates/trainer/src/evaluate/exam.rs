//! An evaluation by itself, from a configuration to figures.

use super::figures::Evaluation;
use super::go_on;
use super::journal::Journal;
use super::protocol::Protocol;
use super::record::judge_again;
use super::tally::Tally;
use crate::TrainError;
use crate::collect::Source;
use crate::config::TrainConfig;
use crate::device::device_for;
use crate::problems::Problems;

/// A configuration whose model is to answer its held-out problems, as its validation does.
#[derive(Debug)]
pub struct Exam {
    /// The configuration. What concerns training alone is not read.
    pub config: TrainConfig,
    /// The preset that made some of its settings, if there is one.
    pub preset: Option<String>,
    /// The problems.
    pub problems: Problems,
    /// How many of them are asked, from the first on.
    pub count: usize,
}

impl Exam {
    /// Opens the files of `data.held_out`, of which at most the first `limit` problems are asked.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(config: TrainConfig, preset: Option<String>, limit: Option<usize>) -> Result<Self, TrainError> {
        let missing = || TrainError::Usage("there are no problems to answer; name some with --data".to_owned());
        let problems = config.data.open(config.data.held_out.as_ref().ok_or_else(missing)?)?;
        let count = problems.len().min(limit.unwrap_or(usize::MAX));
        Ok(Self { config, preset, problems, count })
    }

    /// Everything that the figures will depend on. Reads the model's files whole.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn protocol(&self) -> Result<Protocol, TrainError> {
        Protocol::new(&self.config, self.preset.as_deref(), self.problems.dataset(), self.count)
    }

    /// Answers the problems and takes the figures; with a journal, only the problems it does not hold, and what it
    /// holds without a verdict is judged again. `done` is told after every block. The model is loaded if there is
    /// something left to answer.
    ///
    /// # Errors
    /// If the model cannot be loaded, nothing can be sampled, or the journal cannot be written.
    pub fn take(&self, mut journal: Option<&mut Journal>, done: impl FnMut(&Tally)) -> Result<Evaluation, TrainError> {
        let config = &self.config;
        let reward = config.reward.build()?;
        if let Some(journal) = &mut journal {
            journal.judge_again(|records| judge_again(records, &reward, &config.rollout))?;
        }
        let fresh = || Tally::new(config.schedule.validation_samples);
        let tally = journal.as_ref().map_or_else(fresh, |journal| journal.tally().clone());
        if tally.problems() == self.count {
            return Ok(tally.evaluation());
        }
        let device = device_for(&config.device, config.precision)?;
        let policy = vlm_model::load(&config.model, &device)?.in_precision(config.precision);
        let processor = config.data.processor(&config.model)?;
        let source = Source { policy: &policy, processor: &processor, reward: &reward, config, features: None };
        let keep = |records: &[_]| journal.as_mut().map_or(Ok(()), |journal| journal.append(records));
        Ok(go_on(&source, &self.problems, self.count, tally, keep, done)?.evaluation())
    }
}
