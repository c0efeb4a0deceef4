//! Event files for TensorBoard.

mod event;
mod frame;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message as _;

use self::event::{Event, Value};
use super::metrics::validation_metrics;
use super::{Phase, TrainObserver};
use crate::TrainError;
use crate::evaluate::Evaluation;
use crate::report::StepReport;

/// Steps of a histogram.
const BUCKETS: usize = 32;

/// Writes every number of `metrics.jsonl` to event files in `tensorboard`, and with them the configuration as a text and
/// histograms of the dependency and advantage of the recorded tokens.
///
/// Every process writes a file of its own. After a resume it begins with a mark that voids the steps which are taken again.
#[derive(Debug)]
pub struct TensorBoard {
    file: File,
    path: PathBuf,
    /// The run's configuration.
    configuration: Option<String>,
}

impl TensorBoard {
    /// Makes a new event file in the folder `tensorboard` of a run.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(output: &Path) -> Result<Self, TrainError> {
        let folder = output.join("tensorboard");
        fs::create_dir_all(&folder).map_err(TrainError::file("create", &folder))?;
        let path = folder.join(format!("events.out.tfevents.{:010}.sightline", number(&folder)?));
        let new = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut board = Self {
            file: new.map_err(TrainError::file("create", &path))?,
            path,
            configuration: fs::read_to_string(output.join("config.toml")).ok(),
        };
        board.write(&Event::version(now()))?;
        Ok(board)
    }

    fn write(&mut self, event: &Event) -> Result<(), TrainError> {
        // One write per entry, so that a killed run leaves whole ones.
        let frame = frame::framed(&event.encode_to_vec());
        self.file.write_all(&frame).map_err(TrainError::file("append to", &self.path))
    }

    fn write_values(&mut self, step: usize, values: Vec<Value>) -> Result<(), TrainError> {
        self.write(&Event::values(now(), step, values))
    }
}

impl TrainObserver for TensorBoard {
    fn on_start(&mut self, first: usize, _steps: usize) -> Result<(), TrainError> {
        self.write(&Event::start(now(), first + 1))?;
        match self.configuration.take() {
            Some(text) => self.write_values(first, vec![Value::text("config", &format!("```toml\n{text}```"))]),
            None => Ok(()),
        }
    }

    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        let mut values = numbers(&report.metrics()?);
        let tokens = || report.rollouts.iter().flatten().filter_map(|record| record.tokens.as_ref());
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let dependency: Vec<f64> = tokens().filter_map(|tokens| tokens.dependency.as_deref()).flat_map(wide).collect();
        let advantage: Vec<f64> = tokens().flat_map(|tokens| wide(&tokens.advantage)).collect();
        values.extend(Value::histogram("recorded/dependency", &dependency, BUCKETS));
        values.extend(Value::histogram("recorded/advantage", &advantage, BUCKETS));
        self.write_values(report.step, values)
    }

    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        self.write_values(step, numbers(&validation_metrics(evaluation)))
    }

    fn on_phase(&mut self, step: usize, phase: Phase, seconds: f64) -> Result<(), TrainError> {
        self.write_values(step, vec![Value::scalar(phase.metric(), seconds)])
    }
}

/// A line of metrics as values; the step stands elsewhere, and `null` is nothing.
fn numbers(line: &serde_json::Map<String, serde_json::Value>) -> Vec<Value> {
    let named = line.iter().filter(|(name, _)| *name != "step");
    named.filter_map(|(name, value)| Some(Value::scalar(name, value.as_f64()?))).collect()
}

/// Seconds since 1970, or one more than the newest file has, since TensorBoard reads files in the order of their names.
fn number(folder: &Path) -> Result<u64, TrainError> {
    let mut number = now() as u64;
    for entry in fs::read_dir(folder).map_err(TrainError::file("list", folder))? {
        let name = entry.map_err(TrainError::file("list", folder))?.file_name();
        let older = name.to_str().and_then(|name| name.strip_prefix("events.out.tfevents.")?.split('.').next());
        if let Some(older) = older.and_then(|older| older.parse::<u64>().ok()) {
            number = number.max(older.saturating_add(1));
        }
    }
    Ok(number)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TensorBoard's own messages and writer make the same bytes; `tests/fixtures/scripts/fx_tensorboard.py` has them.
    #[test]
    fn files_are_those_of_tensorboards_own_writer() {
        let values = vec![Value::scalar("reward/overall", 0.25), Value::scalar("actor/grad_norm", -1e30)];
        let spread = Value::histogram("dependency", &[0.0, 0.25, 0.5, 3.0, 4.0], 4).expect("some values");
        let events = [
            Event::version(1.5),
            Event::start(2.5, 3),
            Event::values(3.5, 2, vec![Value::text("config", "steps = 1 × 2")]),
            Event::values(4.5, 3, values),
            Event::values(5.5, 300, vec![spread]),
        ];
        let ours: Vec<u8> = events.iter().flat_map(|event| frame::framed(&event.encode_to_vec())).collect();
        let theirs = include_bytes!("../../../../tests/fixtures/tensorboard/events.bin");
        assert_eq!(ours, theirs);
    }

    #[test]
    fn histograms_count_every_finite_value_once() {
        let Some(event::Content::Histogram(one)) =
            Value::histogram("x", &[2.0, f64::NAN, 2.0, f64::INFINITY], 3).and_then(|value| value.content)
        else {
            panic!("there are finite values");
        };
        assert_eq!((one.min, one.max, one.count, one.sum, one.sum_squares), (2.0, 2.0, 2.0, 4.0, 8.0));
        assert_eq!((one.bucket.iter().sum::<f64>(), one.bucket_limit.len()), (2.0, 3));
        assert_eq!(Value::histogram("x", &[f64::NAN], 3), None);
    }

    /// Files of processes that begin within a second stand in their order.
    #[test]
    fn every_process_has_a_later_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths: Vec<PathBuf> =
            (0..3).map(|_| TensorBoard::open(folder.path()).expect("a writable folder").path).collect();
        assert!(paths.is_sorted() && paths[0] != paths[1] && paths[1] != paths[2], "{paths:?}");
    }
}
