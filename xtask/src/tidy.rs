//! `cargo xtask tidy`: check what the compiler cannot.
//!
//! Each rule is a file: it takes the [`Workspace`] as plain data and returns what it found.

mod backends;
mod code;
mod edges;
mod lengths;
mod modules;
mod placeholders;
mod workspace;

use std::fmt;
use std::path::PathBuf;

use crate::error::TaskError;
use workspace::Workspace;

/// Checks every rule and prints what is found, by file.
///
/// # Errors
///
/// [`TaskError::Untidy`] if anything found is a violation; else if the workspace cannot be read.
pub(crate) fn run() -> Result<(), TaskError> {
    let workspace = Workspace::read()?;
    let mut findings = check(&workspace);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let violations = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if violations > 0 {
        return Err(TaskError::Untidy { violations });
    }
    println!("{} packages and {} files are tidy", workspace.metadata.members.len(), workspace.sources.len());
    Ok(())
}

fn check(workspace: &Workspace) -> Vec<Finding> {
    let rules = [edges::check, backends::check, modules::check, lengths::check, placeholders::check];
    rules.iter().flat_map(|rule| rule(workspace)).collect()
}

/// Something a rule has to say about a place in the workspace.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the workspace's root.
    file: PathBuf,
    /// Counted from 1.
    line: usize,
    severity: Severity,
    /// What is wrong and what to do.
    advice: String,
}

/// Whether a finding fails the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let file = self.file.display();
        write!(formatter, "{file}:{}: {severity}: {}", self.line, self.advice)
    }
}
