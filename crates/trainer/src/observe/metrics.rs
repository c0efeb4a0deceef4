//! A file of metrics.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Phase, TrainObserver};
use crate::TrainError;
use crate::evaluate::Evaluation;
use crate::report::StepReport;

/// Appends one JSON object per event to `metrics.jsonl`. After a resume the abandoned steps stay in the file; the last line
/// of a step counts. The seconds of a validation stand in its line, those of a checkpoint in the next one.
#[derive(Debug)]
pub struct MetricsFile {
    file: File,
    path: PathBuf,
    /// Seconds of what was done since the last line.
    pending: Map<String, Value>,
}

impl MetricsFile {
    /// Opens `metrics.jsonl` in a run's folder for appending. A last line that a killed process left half written is cut off.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(output: &Path) -> Result<Self, TrainError> {
        let path = output.join("metrics.jsonl");
        crate::disk::cut_partial_line(&path)?;
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(TrainError::file("open", &path))?;
        Ok(Self { file, path, pending: Map::new() })
    }

    fn append(&mut self, mut line: Map<String, Value>) -> Result<(), TrainError> {
        line.append(&mut self.pending);
        // One write per line, so that a killed run leaves whole lines.
        let line = format!("{}\n", Value::Object(line));
        self.file.write_all(line.as_bytes()).map_err(TrainError::file("append to", &self.path))
    }
}

impl TrainObserver for MetricsFile {
    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        self.append(report.metrics()?)
    }

    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        let mut line = Map::from_iter([("step".to_owned(), json!(step))]);
        line.extend(validation_metrics(evaluation));
        self.append(line)
    }

    fn on_phase(&mut self, _step: usize, phase: Phase, seconds: f64) -> Result<(), TrainError> {
        self.pending.insert(phase.metric().to_owned(), json!(seconds));
        Ok(())
    }
}

/// The figures of a validation by their names. What has none is `null`.
pub(super) fn validation_metrics(evaluation: &Evaluation) -> Map<String, Value> {
    let overall = &evaluation.overall;
    let fixed = [
        ("val/accuracy", json!(overall.accuracy)),
        ("val/accuracy_standard_error", json!(overall.standard_error)),
        ("val/reward_score", json!(overall.reward)),
        ("val/problems", json!(overall.problems)),
        ("val/samples", json!(evaluation.samples)),
        ("val/skipped", json!(evaluation.skipped.len())),
        ("val/ungraded", json!(overall.ungraded)),
        ("val_response_length/mean", json!(overall.length.mean)),
        ("val_response_length/p50", json!(overall.length.p50)),
        ("val_response_length/p95", json!(overall.length.p95)),
        ("val_response_length/max", json!(overall.length.max)),
        ("val_response_length/clip_ratio", json!(overall.truncated)),
    ];
    let passes = overall.pass_at.iter().map(|(k, pass)| (format!("val/pass@{k}"), json!(pass)));
    let parts = overall.parts.iter().filter(|(part, _)| *part != "accuracy");
    let parts = parts.map(|(part, mean)| (format!("val/{part}_reward"), json!(mean)));
    let categories = evaluation.categories.iter();
    let categories = categories.map(|(category, score)| (format!("val/accuracy/{category}"), json!(score.accuracy)));
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    fixed.chain(passes).chain(parts).chain(categories).collect()
}
