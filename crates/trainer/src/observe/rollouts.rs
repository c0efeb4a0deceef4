//! Files of the responses a run trained on.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use inspector::RolloutRecord;

use super::TrainObserver;
use crate::TrainError;
use crate::disk;
use crate::report::StepReport;

/// Writes the records of each recorded step to `rollouts/step-N.jsonl`, one to a line.
///
/// A file is written aside and renamed, so that one which has the name is whole. Where a run goes on from an earlier step, or
/// starts anew in a folder, the files of later steps are of an abandoned life: they are renamed to `step-N.jsonl.abandoned`
/// before the first step, and go when the step is recorded again; on the CPU, with the same bytes.
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
        disk::replace(&path, &text)?;
        let abandoned = abandoned(&path);
        match fs::remove_file(&abandoned) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TrainError::file("remove", &abandoned)(error)),
            _ => Ok(()),
        }
    }
}

/// The name that a file has once its step is abandoned. Nothing reads it as a step's.
fn abandoned(file: &Path) -> PathBuf {
    file.with_extension("jsonl.abandoned")
}

impl TrainObserver for RolloutFiles {
    fn on_start(&mut self, first: usize, _steps: usize) -> Result<(), TrainError> {
        for (_, file) in step_files(&self.folder)?.into_iter().filter(|(step, _)| *step > first) {
            fs::rename(&file, abandoned(&file)).map_err(TrainError::file("rename", &file))?;
        }
        Ok(())
    }

    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        report.rollouts.as_ref().map_or(Ok(()), |records| self.write(report.step, records))
    }
}

/// The files `step-N.jsonl` of a folder, by N.
///
/// # Errors
/// If the folder is there and cannot be listed.
pub(crate) fn step_files(folder: &Path) -> Result<BTreeMap<usize, PathBuf>, TrainError> {
    let mut files = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder).map_err(TrainError::file("list", folder))? {
        let file = entry.map_err(TrainError::file("list", folder))?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        let step = name.and_then(|name| name.strip_prefix("step-")?.strip_suffix(".jsonl")?.parse().ok());
        if let Some(step) = step {
            files.insert(step, file);
        }
    }
    Ok(files)
}
