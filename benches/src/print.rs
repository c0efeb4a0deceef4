//! Results to standard output.

use std::io::Write as _;

use crate::failure::Failure;

/// Prints a line of results.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
