//! Who watches a run: the console, files of metrics and of responses.

mod console;
mod headline;
mod log;
mod metrics;
mod rollouts;
mod tensorboard;
mod tui;

use crate::TrainError;
use crate::evaluate::Evaluation;
use crate::report::StepReport;

pub use console::{Console, has_color, progress_bar};
pub use log::LogLines;
pub use metrics::MetricsFile;
pub use rollouts::RolloutFiles;
pub(crate) use rollouts::step_files;
pub use tensorboard::TensorBoard;
pub use tui::Tui;

/// Something that is told what happens in a run.
pub trait TrainObserver {
    /// Before the first step of this process.
    ///
    /// # Errors
    /// If the observer cannot do its work; the run stops.
    fn on_start(&mut self, first: usize, steps: usize) -> Result<(), TrainError> {
        let _ = (first, steps);
        Ok(())
    }

    /// After every step.
    ///
    /// # Errors
    /// As for [`Self::on_start`].
    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError>;

    /// After a validation.
    ///
    /// # Errors
    /// As for [`Self::on_start`].
    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        let _ = (step, evaluation);
        Ok(())
    }

    /// After something that took `seconds` besides the steps; it is told before its own event.
    ///
    /// # Errors
    /// As for [`Self::on_start`].
    fn on_phase(&mut self, step: usize, phase: Phase, seconds: f64) -> Result<(), TrainError> {
        let _ = (step, phase, seconds);
        Ok(())
    }

    /// After the last step of this process, also if it was asked to stop.
    ///
    /// # Errors
    /// As for [`Self::on_start`].
    fn on_finish(&mut self) -> Result<(), TrainError> {
        Ok(())
    }
}

/// What a run does besides steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Answering the held-out problems.
    Validation,
    /// Writing a checkpoint.
    Checkpoint,
}

impl Phase {
    /// The metric that its seconds are.
    #[must_use]
    pub const fn metric(self) -> &'static str {
        match self {
            Self::Validation => "timing_s/validation",
            Self::Checkpoint => "timing_s/save_checkpoint",
        }
    }
}
