//! Running the program.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// Standard output of a run that must have succeeded.
    #[track_caller]
    pub(crate) fn output(self) -> String {
        assert!(self.success, "the program failed: {}", self.errors);
        self.output
    }

    /// Fails unless the run failed with a message that names `word`.
    #[track_caller]
    pub(crate) fn fails_with(&self, word: &str) {
        assert!(!self.success, "the program succeeded: {}", self.output);
        let message = self.errors.split_once("error: ").map_or("", |(_, message)| message);
        assert!(message.contains(word), "`{word}` expected in: {}", self.errors);
        assert!(!self.errors.contains("panicked"), "the program panicked: {}", self.errors);
    }
}

/// Runs the program with `input` on its standard input.
pub(crate) fn sightline(arguments: &[&str], input: &str) -> Ended {
    sightline_in(&[], arguments, input)
}

/// Runs the program with some variables of its environment set.
pub(crate) fn sightline_in(environment: &[(&str, &str)], arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sightline"))
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that stops at a bad line may be gone before all is written.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { success: output.status.success(), output: text(output.stdout), errors: text(output.stderr) }
}

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}

pub(crate) fn fixture(name: &str) -> String {
    fixtures().join(name).display().to_string()
}

/// The device of `BURN_DEVICE`, as the program names it.
pub(crate) fn device_name() -> String {
    match std::env::var("BURN_DEVICE") {
        Ok(name) if name != "flex" => name,
        _ => "cpu".to_owned(),
    }
}
