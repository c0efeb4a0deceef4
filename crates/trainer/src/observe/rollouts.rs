//! Files of the responses a run trained on.

use std::fs;
use std::path::{Path, PathBuf};

use inspector::RolloutRecord;

use super::TrainObserver;
use crate::TrainError;
use crate::disk;
use crate::report::StepReport;

/// Writes the records of each recorded step to `rollouts/step-N.jsonl`, one to a line.
///
/// A file is written aside and renamed, so that one which has the name is whole. After a resume the steps that are taken again
/// replace theirs; on the CPU, by the same bytes.
#[derive(Debug)]
pub struct RolloutFiles {
    folder: PathBuf,
}

impl RolloutFiles {
    /// Makes the folder `rollouts` of a run, and clears away what a killed process left half written there.
    ///
    /// # Errors
    /// If it cannot be made, or something there not be removed.
    pub fn open(output: &Path) -> Result<Self, TrainError> {
        let folder = output.join("rollouts");
        fs::create_dir_all(&folder).map_err(TrainError::file("create", &folder))?;
        for entry in fs::read_dir(&folder).map_err(TrainError::file("list", &folder))? {
            let path = entry.map_err(TrainError::file("list", &folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(".step-") && name.ends_with(".writing") {
                fs::remove_file(&path).map_err(TrainError::file("remove", &path))?;
            }
        }
        Ok(Self { folder })
    }

    fn write(&self, step: usize, records: &[RolloutRecord]) -> Result<(), TrainError> {
        let path = self.folder.join(format!("step-{step}.jsonl"));
        let mut text = String::new();
        for record in records {
            let line = serde_json::to_string(record)
                .map_err(|source| TrainError::Json { place: path.display().to_string(), source })?;
            text += &line;
            text.push('\n');
        }
        disk::replace(&path, &text)
    }
}

impl TrainObserver for RolloutFiles {
    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        report.rollouts.as_ref().map_or(Ok(()), |records| self.write(report.step, records))
    }
}
