//! Why a chore did not succeed.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a chore did not succeed.
#[derive(Debug)]
pub(crate) enum TaskError {
    /// A program could not be started.
    Start { program: String, source: io::Error },
    /// A command ran and failed; `code` is `None` when a signal ended it.
    Failed { command: String, code: Option<i32> },
    /// A file or folder could not be read.
    Read { path: PathBuf, source: io::Error },
    /// Cargo's description of the workspace was not JSON.
    Metadata { source: serde_json::Error },
    /// Cargo's description of the workspace lacks a field or has another type there.
    MetadataField { field: String },
    /// No integration test has the name that a chore looks for.
    NoSuchTests { wanted: &'static str },
    /// There is no browser to test a page in.
    NoBrowser { variable: &'static str },
    /// `tidy` found violations, which it has printed.
    Untidy { violations: usize },
}

impl TaskError {
    /// The exit code of the failed command where there is one, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed { code: Some(code), .. } => ExitCode::from(u8::try_from(*code).unwrap_or(1)),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, source } => {
                write!(formatter, "cannot start `{program}`: {source}")
            }
            Self::Failed { command, code: Some(code) } => write!(formatter, "`{command}` failed with exit code {code}"),
            Self::Failed { command, code: None } => write!(formatter, "`{command}` was ended by a signal"),
            Self::Read { path, source } => {
                write!(formatter, "cannot read {}: {source}", path.display())
            }
            Self::Metadata { source } => {
                write!(formatter, "cannot parse what `cargo metadata` printed: {source}")
            }
            Self::MetadataField { field } => write!(
                formatter,
                "`cargo metadata` printed no usable field `{field}`; is this cargo newer than rust-toolchain.toml?"
            ),
            Self::NoSuchTests { wanted } => {
                write!(formatter, "no integration test is named {wanted}")
            }
            Self::NoBrowser { variable } => {
                write!(
                    formatter,
                    "there is no Chromium; `apt install chromium`, or name one in the variable {variable}"
                )
            }
            Self::Untidy { violations } => {
                write!(formatter, "{violations} violations to put right, listed above")
            }
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start { source, .. } | Self::Read { source, .. } => Some(source),
            Self::Metadata { source } => Some(source),
            Self::Failed { .. }
            | Self::MetadataField { .. }
            | Self::NoSuchTests { .. }
            | Self::NoBrowser { .. }
            | Self::Untidy { .. } => None,
        }
    }
}
