//! Runs that are asked to stop, and folders that are in use.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use trainer::{TrainError, Trainer};

use crate::program::Running;
use crate::workspace::{ALWAYS, Workspace, is_writing, metrics, names};

/// A reward that hears everything and never says anything, so that a step does not end by itself. Once it has heard something it
/// makes the file `heard`.
fn hanging(heard: &Path) -> String {
    let script = "read -r line && : > \"$0\"; cat > /dev/null";
    let limits = "limits = { timeout = 900, deadline = 900 }";
    format!("reward.parts=[{{ kind = 'subprocess', command = ['sh', '-c', '{script}', {heard:?}], {limits} }}]")
}

/// Asked to stop at any place, a run leaves a checkpoint and the status that a shell expects, and loses nothing: the same command
/// comes to what an undisturbed run comes to. No step is taken twice.
#[test]
fn a_run_that_is_asked_to_stop_goes_on_later() {
    let workspace = Workspace::new();
    let settings = ["schedule.steps=6", "schedule.save_every=100"];
    let undisturbed = workspace.undisturbed("undisturbed", &settings);
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut stops = 0;
        loop {
            let mut running = workspace.start(signal, &settings);
            let metrics_file = workspace.path(signal).join("metrics.jsonl");
            let lines = || fs::read_to_string(&metrics_file).map_or(0, |text| text.lines().count());
            let before = lines();
            running.wait_at_most(Duration::from_secs(240), || lines() > before);
            if running.has_ended() {
                running.end().succeeds();
                break;
            }
            running.signal(signal);
            let ended = running.end();
            if ended.status.success() {
                break;
            }
            stops += 1;
            assert_eq!(ended.status.code(), Some(status), "{ended:?}");
            let taken = metrics(&workspace.path(signal)).last().expect("a line")["step"].as_u64().expect("a number");
            let said = format!("stopped after step {taken}");
            assert!(ended.errors.contains(&said), "{}", ended.errors);
            assert!(names(&workspace.path(signal).join("checkpoints")).contains(&format!("step-{taken}")), "{ended:?}");
        }
        assert!(stops >= 2, "{stops} stops");
        workspace.outcome(signal).assert_same(&undisturbed, signal);
        assert_eq!(metrics(&workspace.path(signal)).len(), metrics(&workspace.path("undisturbed")).len(), "none twice");
        eprintln!("SIG{signal}: {stops} stops");
    }
}

/// While a step cannot end, the first signal waits for it and the second does not; before, a single one ends the process.
#[test]
fn a_second_signal_ends_it_at_once() {
    let workspace = Workspace::new();
    for (signals, status) in [(["TERM", "TERM"], 143), (["TERM", "INT"], 130)] {
        let heard = workspace.path(&format!("heard-{status}"));
        let mut running = workspace.start("run", &[&hanging(&heard)]);
        running.wait_until("responses are judged", || heard.exists());
        running.signal(signals[0]);
        running.wait_at_most(Duration::from_secs(3), || false);
        assert!(!running.has_ended(), "it waits for the phase to end");
        let clock = Instant::now();
        running.signal(signals[1]);
        let ended = running.end();
        assert_eq!(ended.status.code(), Some(status), "{ended:?}");
        assert!(clock.elapsed() < Duration::from_secs(30), "at once: {:?}", clock.elapsed());
        assert!(ended.errors.contains("asked to stop") && ended.errors.contains("ask again"), "{}", ended.errors);
        assert!(!is_writing(&workspace.path("run")));
        fs::remove_dir_all(workspace.path("run")).expect("a folder");
    }
}

/// A folder is trained into by one process; others may read it. When the process is gone, however it went, the folder is free.
#[test]
fn two_runs_in_one_folder_are_refused() {
    let workspace = Workspace::new();
    let undisturbed = workspace.undisturbed("undisturbed", &["schedule.steps=2", ALWAYS]);
    workspace.train("run", &["schedule.steps=1", ALWAYS]).succeeds();
    let held = Trainer::resume(&workspace.path("run"), &[]).expect("resumes");
    let refused = workspace.train("run", &["schedule.steps=2", ALWAYS]);
    refused.fails_with(&[&format!("another process (process {})", std::process::id()), "run", "another output folder"]);
    let error = Trainer::resume(&workspace.path("run"), &[]).err().expect("this process has it too");
    assert!(matches!(error, TrainError::RunLocked { .. }), "{error}");
    let mut eval = std::process::Command::new(env!("CARGO_BIN_EXE_sightline"));
    eval.arg("eval").arg("--run").arg(workspace.path("run"));
    let read = Running::start(eval).end();
    assert!(read.output.contains("held-out accuracy"), "{read:?}");
    drop(held);

    let heard = workspace.path("heard");
    let mut killed = workspace.start("run", &["schedule.steps=2", ALWAYS, "--accept-changes", &hanging(&heard)]);
    killed.wait_until("it has the folder and works", || heard.exists());
    let id = format!("(process {})", killed.id());
    workspace.train("run", &["schedule.steps=2", ALWAYS]).fails_with(&[&id]);
    assert!(killed.kill().0, "it had not ended");
    let log = workspace.train("run", &["schedule.steps=2", ALWAYS, "--accept-changes"]).succeeds();
    assert!(log.contains("changed: reward"), "{log}");
    workspace.outcome("run").assert_same(&undisturbed, "as if nothing had been");
}
