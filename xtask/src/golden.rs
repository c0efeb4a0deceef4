//! `cargo xtask golden`: compare with recorded outputs of the reference implementations.

use crate::cargo;
use crate::error::TaskError;
use crate::metadata;

/// Runs the integration tests with `golden`, `parity` or `fixtures` among the words of their name.
pub(crate) fn run() -> Result<(), TaskError> {
    let names = metadata::integration_tests("*golden*, *parity* or *fixtures*", is_golden)?;
    let mut command = cargo::cargo(["test", "--release", "--workspace"]);
    cargo::run(command.args(names.iter().flat_map(|name| ["--test", name])))
}

fn is_golden(name: &str) -> bool {
    name.split('_').any(|word| matches!(word, "golden" | "parity" | "fixtures"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_decide() {
        assert!(is_golden("golden") && is_golden("vision_parity") && is_golden("text_fixtures"));
        assert!(!is_golden("disparity_laws"));
    }
}
