//! Nothing is left for later.

use super::Finding;
use super::workspace::Workspace;

/// What must not stand in code, and what to do instead.
const PLACEHOLDERS: [(&str, &str); 3] = [
    ("todo!(", "write the code"),
    ("unimplemented!(", "write the code or remove the method"),
    ("#[ignore", "make the test fast enough to run, or delete it"),
];

/// No file contains unfinished code or a test that does not run.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in &workspace.sources {
        for (index, line) in source.code.lines().enumerate() {
            for (placeholder, remedy) in PLACEHOLDERS {
                if line.contains(placeholder) {
                    let advice = format!("`{placeholder}` is a placeholder; {remedy}");
                    findings.push(workspace.error(path, index + 1, advice));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::Source;

    fn lines_found(text: &str) -> Vec<usize> {
        let mut workspace = Workspace::default();
        workspace.sources.insert("a.rs".into(), Source::new(text.to_owned()));
        check(&workspace).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn each_placeholder_is_found_on_its_line() {
        assert_eq!(lines_found("fn f() {\n    todo!()\n}"), [2]);
        assert_eq!(lines_found("\n\nunimplemented!(\"later\");"), [3]);
        assert_eq!(lines_found("#[test]\n#[ignore = \"slow\"]\nfn f() {}"), [2]);
    }

    #[test]
    fn mentions_are_no_placeholders() {
        assert_eq!(lines_found("// todo!()\nlet text = \"#[ignore]\";"), [0; 0]);
    }
}
