//! What stands above a table: when, on what and by which command it was made.

use std::process::Command;

use serde_json::{Map, Value};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::failure::Failure;
use crate::scene::Setting;

const LOCKED: &str = include_str!("../../Cargo.lock");

/// Date, versions, processor, threads and command line, in Markdown.
///
/// # Errors
/// If the date is not to be had.
pub(crate) fn header(threads: usize, setting: &Setting, peer: &Map<String, Value>) -> Result<String, Failure> {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let processor = system.cpus().first().map_or("an unknown processor", |cpu| cpu.brand().trim());
    let said = |program: &str, arguments: &[&str]| -> Option<String> {
        let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = said("date", &["-u", "+%F"]).ok_or("the program `date` says nothing")?;
    let commit = said("git", &["rev-parse", "--short", "HEAD"]).map_or(String::new(), |id| format!(" at {id}"));
    let versions: Vec<String> =
        peer.iter().map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?"))).collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let burn = locked("burn").unwrap_or("?");
    let peer = if versions.is_empty() { "no peer".to_owned() } else { versions.join(", ") };
    let (dims, dtype, device) = (setting.dims.name(), setting.dtype, &setting.device);
    Ok(format!(
        "{date}, sightline{commit}, burn {burn} beside {peer}; {processor}, {threads} threads; model `{dims}`, {dtype}, on {device}.\n\
         `cargo xtask bench {}`\n",
        arguments.join(" ")
    ))
}

/// The version of a package in `Cargo.lock`.
fn locked(name: &str) -> Option<&'static str> {
    let wanted = format!("name = \"{name}\"");
    let mut lines = LOCKED.lines().skip_while(|line| *line != wanted);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_are_built() {
        assert!(locked("burn").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(locked("burn-of-another-name"), None);
    }
}
