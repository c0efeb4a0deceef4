//! The other end of a worker: starts it, has it work, and watches the machine meanwhile.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::Failure;
use crate::process;

/// What the system's clocks of processor time can be off by, in seconds: they tick a hundred times a second.
const GRAIN: f64 = 0.04;

/// One repetition of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Repetition {
    /// Wall time.
    pub(crate) seconds: f64,
    /// Processors that the process kept busy, on average.
    pub(crate) processors: f64,
    /// Processors that anything else kept busy, on average.
    pub(crate) elsewhere: f64,
}

impl Repetition {
    /// Whether next to nothing else ran on the machine.
    pub(crate) fn is_quiet(&self) -> bool {
        self.elsewhere <= 0.1
    }
}

/// Measures something that a process does, with what the rest of the machine does meanwhile. `used` is the processor time of all
/// that belongs to the work; `act` may return a wall time of its own.
///
/// # Errors
/// If it fails.
pub(crate) fn watched(
    used: impl Fn() -> Result<Duration, Failure>,
    act: impl FnOnce() -> Result<Option<f64>, Failure>,
) -> Result<Repetition, Failure> {
    let (own, busy, clock) = (used()?, process::busy_time()?, Instant::now());
    let seconds = act()?;
    let wall = clock.elapsed().as_secs_f64();
    let own = used()?.saturating_sub(own).as_secs_f64();
    let busy = process::busy_time()?.saturating_sub(busy).as_secs_f64();
    let (processors, elsewhere) = (own / wall, (busy - own - GRAIN).max(0.0) / wall);
    Ok(Repetition { seconds: seconds.unwrap_or(wall), processors, elsewhere })
}

/// A worker that waits for the next `go`.
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    name: String,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Session {
    /// Starts a worker and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started or ends before.
    pub(crate) fn start(mut command: Command, name: &str) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("a worker has no output")?);
        let mut session = Self { child, input, output, name: name.to_owned(), ready: Value::Null };
        session.ready = session.answer("ready")?;
        Ok(session)
    }

    /// Has it work once.
    ///
    /// # Errors
    /// If it ends instead.
    pub(crate) fn go(&mut self) -> Result<Repetition, Failure> {
        let id = self.child.id();
        watched(
            || process::processor_time(id, true),
            || {
                let input = self.input.as_mut().ok_or("the worker was told to end")?;
                writeln!(input, "go")?;
                input.flush()?;
                let seconds = self.answer("seconds")?.as_f64();
                Ok(Some(seconds.ok_or_else(|| format!("{}: seconds that are no number", self.name))?))
            },
        )
    }

    /// Lets it end; returns its peak of memory in bytes.
    ///
    /// # Errors
    /// If it fails at that.
    pub(crate) fn end(mut self) -> Result<u64, Failure> {
        drop(self.input.take());
        let peak = self.answer("peak_bytes")?.as_u64();
        self.child.wait()?;
        Ok(peak.ok_or_else(|| format!("{}: a peak that is no number", self.name))?)
    }

    /// The value of `key` in the next line that has it; other lines are libraries talking.
    fn answer(&mut self, key: &str) -> Result<Value, Failure> {
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 {
            if let Ok(Value::Object(mut object)) = serde_json::from_str(&line)
                && let Some(value) = object.remove(key)
            {
                return Ok(value);
            }
            line.clear();
        }
        let status = self.child.wait()?;
        Err(format!("{} ended with {status} before it said `{key}`; its messages are above", self.name).into())
    }
}

impl Drop for Session {
    /// A worker that was not let to an end is ended.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It may have ended by itself meanwhile.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
