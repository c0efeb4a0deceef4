//! `cargo xtask laws`: run the property tests with many cases.

use crate::cargo;
use crate::error::TaskError;
use crate::metadata;

/// How many random inputs each property is tried on; proptest's own default is 256.
const CASES: &str = "4096";

/// Runs the integration tests named `*_laws`.
///
/// The whole workspace is selected, not the crates that have laws: cargo then resolves the same features as in every
/// other chore and compiles nothing a second time.
pub(crate) fn run() -> Result<(), TaskError> {
    let names = metadata::integration_tests("*_laws", |name| name.ends_with("_laws"))?;
    let mut command = cargo::cargo(["test", "--release", "--workspace"]);
    command.args(names.iter().flat_map(|name| ["--test", name]));
    cargo::run(command.env("PROPTEST_CASES", CASES))
}
