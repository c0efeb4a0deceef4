//! The log while something else has the terminal.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Lines kept for who has the terminal.
const KEPT: usize = 200;

/// Where log lines go: to standard error or, while a dashboard has the terminal, into a list that it shows.
#[derive(Clone, Debug, Default)]
pub struct LogLines(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    held: bool,
    lines: VecDeque<String>,
}

impl LogLines {
    /// Holds lines back from standard error from now on.
    pub fn hold(&self) {
        self.lines().held = true;
    }

    /// Lets lines go to standard error again, those that were held back first.
    pub fn release(&self) {
        let mut all = self.lines();
        if std::mem::take(&mut all.held) {
            for line in all.lines.drain(..) {
                eprintln!("{line}");
            }
        }
    }

    /// The last lines held back, at most `count`, without colour.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<String> {
        let all = self.lines();
        all.lines.iter().skip(all.lines.len().saturating_sub(count)).cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.lines();
        if !all.held {
            return io::stderr().write(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            all.lines.push_back(anstream::adapter::strip_str(line).to_string());
        }
        while all.lines.len() > KEPT {
            all.lines.pop_front();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for LogLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_without_colour() {
        let mut log = LogLines::default();
        log.hold();
        for number in 0..=KEPT {
            let line = format!("\x1b[32mINFO\x1b[0m line {number}\n");
            log.make_writer().write_all(line.as_bytes()).expect("kept");
        }
        assert_eq!(log.last(2), [format!("INFO line {}", KEPT - 1), format!("INFO line {KEPT}")]);
        assert_eq!(log.last(usize::MAX).first().map(String::as_str), Some("INFO line 1"), "the oldest one is gone");
        log.release();
        assert!(log.last(2).is_empty());
        log.write_all(b"").expect("standard error");
    }
}
