//! Files that can be read in one sitting.

use super::workspace::Workspace;
use super::{Finding, Severity};

/// Longer files get a warning.
const COMFORTABLE: usize = 400;

/// Longer files are violations.
const LIMIT: usize = 500;

/// No Rust file is longer than [`LIMIT`] lines; those above [`COMFORTABLE`] are listed.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in &workspace.sources {
        let lines = source.text.lines().count();
        if lines > COMFORTABLE {
            let advice = format!("{lines} lines; split the file by topic to stay below {COMFORTABLE}");
            let mut finding = workspace.error(path, lines, advice);
            if lines <= LIMIT {
                finding.severity = Severity::Warning;
            }
            findings.push(finding);
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::Source;

    #[test]
    fn warns_then_fails() {
        let severities = |lines: usize| {
            let mut workspace = Workspace::default();
            workspace.sources.insert("a.rs".into(), Source::new("x\n".repeat(lines)));
            check(&workspace).first().map(|finding| finding.severity)
        };
        assert_eq!(severities(400), None);
        assert_eq!(severities(401), Some(Severity::Warning));
        assert_eq!(severities(500), Some(Severity::Warning));
        assert_eq!(severities(501), Some(Severity::Error));
    }
}
