//! Disks that are full and folders that cannot be written.

use std::fs;
use std::process::Command;

use crate::program::{Ended, Running};
use crate::workspace::{ALWAYS, Workspace, names, steps};

/// Bytes in a block of `ulimit -f`.
const BLOCK: u64 = 512;

/// Trains under a limit on the size of every file, so that writes really fail.
fn train_within(workspace: &Workspace, bytes: u64, output: &str, more: &[&str]) -> Ended {
    let inner = workspace.command(output, more);
    let mut command = Command::new("sh");
    // The program itself sees to it that the limit is met as an error of the write, like a full disk.
    let script = format!("ulimit -f {}; exec \"$0\" \"$@\"", bytes.div_ceil(BLOCK));
    command.arg("-c").arg(script).arg(inner.get_program()).args(inner.get_args());
    Running::start(command).end()
}

/// Wherever the disk is full while a checkpoint is written, the run ends with an error and the one before stays as it was; once
/// there is room, the same command goes on.
#[test]
fn a_full_disk_ends_the_run_and_nothing_else() {
    let workspace = Workspace::new();
    let undisturbed = workspace.undisturbed("undisturbed", &["schedule.steps=2", ALWAYS]);
    let size = |name: &str| fs::metadata(workspace.checkpoint("undisturbed", 1).join(name)).expect("a file").len();
    let (weights, optimizer) = (size("model.safetensors"), size("trainer/optimizer.bpk"));
    assert!(optimizer > weights + BLOCK, "the limits below lie between the files' sizes");
    workspace.train("run", &["schedule.steps=1", ALWAYS]).succeeds();
    for (limit, file) in [(weights - 5 * BLOCK, "model.safetensors"), (optimizer - 5 * BLOCK, "optimizer.bpk")] {
        let before = names(&workspace.path("run/checkpoints"));
        let ended = train_within(&workspace, limit, "run", &["schedule.steps=2", ALWAYS]);
        let log = ended.fails_with(&["step 2 could not be saved", file, "run can go on from", "step-1", "make room"]);
        assert!(log.contains("File too large"), "what the system said: {log}");
        assert_eq!(names(&workspace.path("run/checkpoints")), before, "and what was half written is gone");
    }
    let log = workspace.train("run", &["schedule.steps=2", ALWAYS]).succeeds();
    assert!(log.contains("going on from") && log.contains("step-1"), "{log}");
    workspace.outcome("run").assert_same(&undisturbed, "with room again");
}

/// A line of metrics that did not fit is cut off and written again.
#[test]
fn metrics_that_do_not_fit_are_written_again() {
    let workspace = Workspace::new();
    let settings = ["schedule.steps=6", "schedule.save_every=9"];
    let undisturbed = workspace.undisturbed("undisturbed", &settings);
    // Both are validated at step 2.
    workspace.train("run", &["schedule.steps=2", "schedule.save_every=9"]).succeeds();
    let path = workspace.path("run/metrics.jsonl");
    // Room for a step and a half.
    let limit = fs::metadata(&path).expect("metrics").len() * 17 / 10;
    // Files of TensorBoard are new and short; records of responses might be too long as well.
    let ended = train_within(&workspace, limit, "run", &[&settings[..], &["record.every=0"]].concat());
    ended.fails_with(&["metrics.jsonl", "File too large"]);
    let text = fs::read_to_string(&path).expect("metrics");
    assert!(!text.ends_with('\n') && text.len() as u64 >= limit, "a line is cut in two: {text}");
    let log = workspace.train("run", &settings).succeeds();
    assert!(log.contains("was not written to its end and is cut off"), "{log}");
    workspace.outcome("run").assert_same(&undisturbed, "all lines are whole");
    assert_eq!(steps(&workspace.path("run")).len(), 7, "the abandoned step stays");
}

/// What is in the way of a folder is named, before and while there is something to lose.
#[test]
fn folders_that_cannot_be_written_are_named() {
    let workspace = Workspace::new();
    let undisturbed = workspace.undisturbed("undisturbed", &["schedule.steps=2", ALWAYS]);
    workspace.write("file", "mine");
    workspace.train("file", &[]).fails_with(&["cannot create", "file"]);
    workspace.train("file/below", &[]).fails_with(&["cannot create", "file/below"]);
    assert_eq!(fs::read_to_string(workspace.path("file")).expect("still there"), "mine");

    fs::create_dir(workspace.path("run")).expect("a writable folder");
    workspace.write("run/checkpoints", "in the way");
    let ended = workspace.train("run", &["schedule.steps=2", ALWAYS]);
    ended.fails_with(&["step 1 could not be saved", "checkpoints", "no checkpoint yet"]);
    fs::remove_file(workspace.path("run/checkpoints")).expect("a file");
    workspace.train("run", &["schedule.steps=1", ALWAYS]).succeeds();
    // With a checkpoint to lose.
    workspace.write("run/checkpoints/.step-2.writing", "in the way");
    fs::create_dir(workspace.path("run/checkpoints/.tracker.json.writing")).expect("a writable folder");
    let ended = workspace.train("run", &["schedule.steps=2", ALWAYS]);
    ended.fails_with(&["cannot remove", ".step-2.writing"]);
    fs::remove_file(workspace.path("run/checkpoints/.step-2.writing")).expect("a file");
    workspace.train("run", &["schedule.steps=2", ALWAYS]).fails_with(&["cannot write", "tracker.json"]);
    fs::remove_dir(workspace.path("run/checkpoints/.tracker.json.writing")).expect("a folder");
    workspace.train("run", &["schedule.steps=2", ALWAYS]).succeeds();
    workspace.outcome("run").assert_same(&undisturbed, "out of the way");
}
