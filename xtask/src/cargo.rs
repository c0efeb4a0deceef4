//! Starting cargo in the workspace's root.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::TaskError;

/// The workspace's root folder.
pub(crate) fn workspace_root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// A cargo command: the cargo that started this program, in the workspace's root.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace_root());
    command
}

/// Announces a command, runs it on our own streams and waits for it.
///
/// # Errors
///
/// [`TaskError::Start`] if the program cannot be started, [`TaskError::Failed`] if it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), TaskError> {
    eprintln!("$ {}", written(command));
    let status = command.status().map_err(|source| TaskError::Start { program: program(command), source })?;
    if status.success() {
        return Ok(());
    }
    Err(TaskError::Failed { command: written(command), code: status.code() })
}

/// Runs a command and returns what it prints to standard output; its messages go to ours.
///
/// # Errors
///
/// As for [`run`].
pub(crate) fn capture(command: &mut Command) -> Result<Vec<u8>, TaskError> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| TaskError::Start { program: program(command), source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(TaskError::Failed { command: written(command), code: output.status.code() })
}

/// A command as one would type it, its own environment variables first.
fn written(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value?.to_string_lossy());
        Some(format!("{name}={value:?} "))
    });
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    variables.chain([program(command)]).chain(arguments).collect()
}

/// The program's name without its folder.
fn program(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_as_one_would_type_them() {
        let mut command = Command::new("/toolchain/bin/cargo");
        command.args(["test", "--release"]).env("CASES", "12 34");
        assert_eq!(written(&command), "CASES=\"12 34\" cargo test --release");
    }

    #[test]
    fn a_failing_command_keeps_its_exit_code() {
        let mut command = cargo(["no-such-subcommand"]);
        let error = run(command.stderr(Stdio::null())).expect_err("cargo refuses it");
        assert!(matches!(error, TaskError::Failed { code: Some(101), .. }));
    }
}
