//! Running the program, and ending it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(240);
/// How often it is looked whether something has happened.
const GLANCE: Duration = Duration::from_millis(1);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// What went to standard error of a run that must have succeeded.
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        assert!(self.status.success(), "{}: {}", self.status, self.errors);
        self.errors
    }

    /// Fails unless the run failed with an error message that holds all of `words`, without a panic; returns what went to
    /// standard error.
    #[track_caller]
    pub(crate) fn fails_with(self, words: &[&str]) -> String {
        assert_eq!(self.status.code(), Some(1), "{}: {}{}", self.status, self.output, self.errors);
        assert!(!self.errors.contains("panicked"), "the program panicked: {}", self.errors);
        let message = self.errors.split_once("error: ").map_or("", |(_, message)| message);
        for word in words {
            assert!(message.contains(word), "`{word}` expected in: {}", self.errors);
        }
        self.errors
    }
}

/// A process that runs.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: piped.spawn().expect("the program starts") }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits until something has happened; fails if the process ends before.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, happened: impl Fn() -> bool) {
        let start = Instant::now();
        while !happened() {
            assert!(!self.has_ended(), "it ended before this happened: {what}");
            assert!(start.elapsed() < DEADLINE, "{what} takes too long");
            thread::sleep(GLANCE);
        }
    }

    /// Waits for a while, or until something happens, or until the process ends.
    pub(crate) fn wait_at_most(&mut self, time: Duration, happened: impl Fn() -> bool) {
        let start = Instant::now();
        while start.elapsed() < time && !self.has_ended() && !happened() {
            thread::sleep(GLANCE);
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.expect("kill is a program everywhere").success(), "{name} could not be sent");
    }

    /// Waits for the end.
    pub(crate) fn end(self) -> Ended {
        let ended = self.child.wait_with_output().expect("the program ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ended { status: ended.status, output: text(ended.stdout), errors: text(ended.stderr) }
    }

    /// Ends it as nothing can be prevented from being ended; returns whether it had not ended by itself.
    pub(crate) fn kill(mut self) -> (bool, Ended) {
        self.child.kill().expect("a child");
        let ended = self.end();
        (ended.status.signal() == Some(9), ended)
    }
}
