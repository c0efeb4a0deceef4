//! Who watches a run: the console and a file of metrics.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use crate::TrainError;
use crate::evaluate::Evaluation;
use crate::report::StepReport;

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

    /// After the last step of this process, also if it was asked to stop.
    ///
    /// # Errors
    /// As for [`Self::on_start`].
    fn on_finish(&mut self) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Appends one JSON object per event to `metrics.jsonl`. After a resume the abandoned steps stay in the file; the last line
/// of a step counts.
#[derive(Debug)]
pub struct MetricsFile {
    file: File,
    path: std::path::PathBuf,
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
        Ok(Self { file, path })
    }

    fn append(&mut self, line: &serde_json::Value) -> Result<(), TrainError> {
        // One write per line, so that a killed run leaves whole lines.
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(TrainError::file("append to", &self.path))
    }
}

impl TrainObserver for MetricsFile {
    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        let line = serde_json::to_value(report)
            .map_err(|source| TrainError::Json { place: self.path.display().to_string(), source })?;
        self.append(&line)
    }

    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        let overall = &evaluation.overall;
        let mut line = serde_json::json!({
            "step": step,
            "val/accuracy": overall.accuracy,
            "val/accuracy_standard_error": overall.standard_error,
            "val/reward_score": overall.reward,
            "val/problems": overall.problems,
            "val/samples": evaluation.samples,
            "val/skipped": evaluation.skipped.len(),
            "val/ungraded": overall.ungraded,
            "val_response_length/mean": overall.length.mean,
            "val_response_length/p50": overall.length.p50,
            "val_response_length/p95": overall.length.p95,
            "val_response_length/max": overall.length.max,
            "val_response_length/clip_ratio": overall.truncated,
        });
        for (k, pass) in &overall.pass_at {
            line[format!("val/pass@{k}")] = (*pass).into();
        }
        for (part, mean) in overall.parts.iter().filter(|(part, _)| *part != "accuracy") {
            line[format!("val/{part}_reward")] = (*mean).into();
        }
        for (category, score) in &evaluation.categories {
            line[format!("val/accuracy/{category}")] = score.accuracy.into();
        }
        self.append(&line)
    }
}

/// A live line on the terminal.
#[derive(Debug)]
pub struct Console {
    bar: ProgressBar,
}

impl Default for Console {
    fn default() -> Self {
        Self { bar: ProgressBar::hidden() }
    }
}

impl TrainObserver for Console {
    fn on_start(&mut self, first: usize, steps: usize) -> Result<(), TrainError> {
        self.bar = progress_bar("steps", steps);
        self.bar.set_position(first as u64);
        self.bar.reset_eta();
        Ok(())
    }

    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        self.bar.set_message(line(report));
        self.bar.set_position(report.step as u64);
        if self.bar.is_hidden() {
            tracing::info!("step {}: {}", report.step, line(report));
        }
        Ok(())
    }

    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        self.bar.suspend(|| tracing::info!("step {step}: held-out accuracy {evaluation}"));
        Ok(())
    }

    fn on_finish(&mut self) -> Result<(), TrainError> {
        self.bar.abandon();
        Ok(())
    }
}

/// A bar of known length for the terminal, hidden where there is none.
#[must_use]
pub fn progress_bar(unit: &str, length: usize) -> ProgressBar {
    let template = format!("{{elapsed_precise}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{eta}} left\n{{msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_style(style)
}

/// The figures of a step a person wants to see.
fn line(report: &StepReport) -> String {
    let dependency = report.dependency.map_or_else(String::new, |dependency| format!("  dependency {dependency:.3}"));
    let ungraded = if report.ungraded == 0 { String::new() } else { format!("  ungraded {}", report.ungraded) };
    let judged = match (report.reward, report.accuracy) {
        (Some(reward), Some(accuracy)) => format!("reward {reward:.3}  accuracy {:.1} %", 100.0 * accuracy),
        _ => "no response was judged".to_owned(),
    };
    format!(
        "{judged}  length {:.1}{dependency}  groups {}/{}{ungraded}  gradient {:.2}  {:.0} tokens/s",
        report.response_length, report.kept_groups, report.sampled_groups, report.gradient_norm, report.throughput
    )
}
