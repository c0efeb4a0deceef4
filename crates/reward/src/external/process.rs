//! A program that speaks JSON lines, and the threads that keep its pipes moving.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::pool::locked;
use super::protocol::shortened;

/// Lines read ahead; a program that writes more has to wait.
const READ_AHEAD: usize = 64;

/// Bytes of standard error that are kept.
const KEPT_ERRORS: usize = 4096;

/// How long a program may take to end by itself once nothing more is asked.
const FAREWELL: Duration = Duration::from_millis(500);

/// A running program. Dropping it ends it, with everything it has started in its process group.
pub(crate) struct Process {
    child: Child,
    requests: Option<Sender<Vec<u8>>>,
    lines: Receiver<Line>,
    errors: Arc<Mutex<VecDeque<u8>>>,
    /// Whether its exit status was taken, after which its number may be another's.
    is_buried: bool,
}

/// Something a program wrote.
#[derive(Debug)]
pub(crate) enum Line {
    /// A line that is not blank.
    Text(Vec<u8>),
    /// More bytes than a line may have.
    TooLong,
}

/// Why there is no line.
#[derive(Debug)]
pub(crate) enum NoLine {
    /// None came in time.
    Silent,
    /// None will come.
    Ended,
}

impl Process {
    /// Starts `command`, a program and its arguments, whose lines have at most `max_line_bytes`.
    pub(crate) fn start(command: &[String], max_line_bytes: usize) -> std::io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        in_a_group_of_its_own(&mut command);
        let mut child = command.spawn()?;
        let (requests, to_write) = channel();
        let (read, lines) = sync_channel(READ_AHEAD);
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        // The threads end with the pipes, which end with the program.
        if let Some(pipe) = child.stdin.take() {
            thread::spawn(move || write(pipe, &to_write));
        }
        if let Some(pipe) = child.stdout.take() {
            thread::spawn(move || read_lines(pipe, max_line_bytes, &read));
        }
        if let Some(pipe) = child.stderr.take() {
            let errors = Arc::clone(&errors);
            thread::spawn(move || keep_end(pipe, &errors));
        }
        Ok(Self { child, requests: Some(requests), lines, errors, is_buried: false })
    }

    /// Hands over what is to be written, without waiting for it to be read. A program that has ended reads nothing.
    pub(crate) fn send(&self, text: Vec<u8>) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(text);
        }
    }

    /// The next line.
    pub(crate) fn line_by(&self, deadline: Instant) -> Result<Line, NoLine> {
        let wait = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(wait).map_err(|error| match error {
            RecvTimeoutError::Timeout => NoLine::Silent,
            RecvTimeoutError::Disconnected => NoLine::Ended,
        })
    }

    /// Whether it has written something that nobody waits for, or ended.
    pub(crate) fn is_spent(&mut self) -> bool {
        self.lines.try_recv().is_ok() || !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it and says how it ended, and the end of what it wrote to standard error.
    pub(crate) fn end(mut self) -> (String, String) {
        // A program that has closed its output by ending is about to be gone.
        let status = self.wait_briefly(Duration::from_millis(50));
        let status = status.map_or_else(|| "still running".to_owned(), |status| status.to_string());
        self.kill();
        // What was written last may still be on its way through the thread.
        thread::sleep(Duration::from_millis(10));
        let errors: Vec<u8> = locked(&self.errors).iter().copied().collect();
        let errors = String::from_utf8_lossy(&errors);
        let last = errors.trim_end().lines().last().unwrap_or_default();
        (status, shortened(last))
    }

    fn wait_briefly(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }

    /// Kills whatever is left of it and takes its exit status, so that nothing of it stays.
    fn kill(&mut self) {
        if std::mem::replace(&mut self.is_buried, true) {
            return;
        }
        kill_group(&self.child);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_buried {
            // The end of its input asks a program to end by itself.
            self.requests = None;
            self.wait_briefly(FAREWELL);
            self.kill();
        }
    }
}

#[cfg(unix)]
fn in_a_group_of_its_own(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(not(unix))]
fn in_a_group_of_its_own(_command: &mut Command) {}

/// Kills a program and what it has started.
#[cfg(unix)]
fn kill_group(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_child: &Child) {}

fn write(mut pipe: ChildStdin, requests: &Receiver<Vec<u8>>) {
    while let Ok(text) = requests.recv() {
        if pipe.write_all(&text).and_then(|()| pipe.flush()).is_err() {
            return;
        }
    }
}

fn read_lines(pipe: ChildStdout, max_bytes: usize, lines: &SyncSender<Line>) {
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        let limit = (max_bytes as u64).saturating_add(1);
        match pipe.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > max_bytes {
            let _ = lines.send(Line::TooLong);
            return;
        }
        if !line.trim_ascii().is_empty() && lines.send(Line::Text(line)).is_err() {
            return;
        }
    }
}

fn keep_end(mut pipe: ChildStderr, kept: &Mutex<VecDeque<u8>>) {
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = pipe.read(&mut chunk) {
        let mut kept = locked(kept);
        kept.extend(&chunk[..count]);
        let excess = kept.len().saturating_sub(KEPT_ERRORS);
        kept.drain(..excess);
    }
}
