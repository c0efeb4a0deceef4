//! Checkpoints that are not what was written.

use std::fs;
use std::path::{Path, PathBuf};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use trainer::Trainer;

use crate::workspace::{Workspace, names};

/// All files of a checkpoint, by their paths within it.
fn files(checkpoint: &Path) -> Vec<String> {
    let inner =
        |folder: &'static str| names(&checkpoint.join(folder)).into_iter().map(move |name| format!("{folder}{name}"));
    inner("").chain(inner("trainer/")).filter(|name| checkpoint.join(name).is_file()).collect()
}

/// What can happen to a file.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Missing,
    Truncated,
    FlippedBit,
    Empty,
}

/// Does it, and returns a word that the warning must have besides the file's name.
fn damage(path: &Path, fault: Fault, random: &mut ChaCha8Rng) {
    let mut bytes = fs::read(path).expect("a file");
    // What stands behind the document in the file of checksums is white space.
    let within = bytes.len() - usize::from(path.ends_with("checksums.json"));
    match fault {
        Fault::Missing => return fs::remove_file(path).expect("a file"),
        Fault::Truncated => bytes.truncate(random.random_range(0..within)),
        Fault::FlippedBit => bytes[random.random_range(0..within)] ^= 1 << random.random_range(0..8),
        Fault::Empty => bytes.clear(),
    }
    fs::write(path, bytes).expect("a writable file");
}

/// Whatever happens to whichever file of the newest checkpoint: it is named and set aside, and the run goes on from the one
/// before and arrives at the same.
#[test]
fn damaged_checkpoints_are_named_and_passed_over() {
    let workspace = Workspace::new();
    let steps = ["schedule.steps=3", "schedule.keep=3"];
    let undisturbed = workspace.undisturbed("run", &steps);
    let newest = workspace.checkpoint("run", 3);
    let aside = PathBuf::from(format!("{}.damaged", newest.display()));
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let files = files(&newest);
    assert!(files.len() >= 8, "{files:?}");
    let mut cases = 0;
    for (index, file) in files.iter().enumerate() {
        // Every file is damaged in two ways out of four, neighbours in others.
        for fault in [Fault::FlippedBit, [Fault::Missing, Fault::Truncated, Fault::Empty][index % 3]] {
            let is_empty = fs::read(newest.join(file)).expect("a file").is_empty();
            if is_empty && !matches!(fault, Fault::Missing) {
                continue;
            }
            damage(&newest.join(file), fault, &mut random);
            assert_eq!(trainer::newest(&workspace.path("run")).expect("an older one"), workspace.checkpoint("run", 2));
            let config = workspace.config("run", &steps);
            let resumed = Trainer::resume(&config.output, &[]).expect("resumes");
            assert_eq!(resumed.step, 2, "{file} {fault:?}");
            drop(resumed);
            assert!(aside.exists() && !newest.exists(), "{file} {fault:?}: it is kept for a look at it");
            // Its own process from here on for one of them in four; loading is what takes the time.
            if cases % 4 == 0 {
                workspace.train("run", &steps).succeeds();
            } else {
                Trainer::resume(&config.output, &[]).expect("resumes").run(&mut []).expect("runs");
            }
            assert!(newest.exists(), "{file} {fault:?}: it is made again");
            assert!(workspace.outcome("run").weights() == undisturbed.weights(), "{file} {fault:?}");
            fs::remove_dir_all(&aside).expect("a folder");
            cases += 1;
        }
    }
    workspace.outcome("run").assert_same(&undisturbed, "after all of them");
    eprintln!("{cases} damaged checkpoints of {} files", files.len());
}

/// The log says which checkpoint is damaged, in which file and how; with several the run goes back as far as it must.
#[test]
fn the_log_says_what_is_damaged() {
    let workspace = Workspace::new();
    let steps = ["schedule.steps=3", "schedule.keep=3"];
    let undisturbed = workspace.undisturbed("run", &steps);
    let cut = workspace.checkpoint("run", 3).join("model.safetensors");
    let bytes = fs::read(&cut).expect("a file");
    fs::write(&cut, &bytes[..bytes.len() - 1]).expect("a writable file");
    fs::write(workspace.checkpoint("run", 2).join("trainer/state.json"), "{").expect("a writable file");
    let log = workspace.train("run", &steps).succeeds();
    let cut = format!("model.safetensors has {} bytes instead of {}", bytes.len() - 1, bytes.len());
    for word in ["step-3 is damaged", &cut, "step-2 is damaged", "state.json has 1 bytes", "going on from", "step-1"] {
        assert!(log.contains(word), "`{word}` expected in: {log}");
    }
    workspace.outcome("run").assert_same(&undisturbed, "two steps made again");
    let checkpoints = names(&workspace.path("run/checkpoints"));
    assert_eq!(checkpoints, ["step-1", "step-2", "step-2.damaged", "step-3", "step-3.damaged", "tracker.json"]);
}

/// A run whose checkpoints are all damaged is not begun again behind its owner's back.
#[test]
fn a_run_without_a_whole_checkpoint_says_so() {
    let workspace = Workspace::new();
    let steps = ["schedule.steps=2"];
    workspace.undisturbed("run", &steps);
    for step in [1, 2] {
        fs::remove_file(workspace.checkpoint("run", step).join("config.json")).expect("a file");
    }
    let before = names(&workspace.path("run/checkpoints"));
    workspace.train("run", &steps).fails_with(&["every checkpoint", "step-1: config.json is missing", "step-2"]);
    assert_eq!(names(&workspace.path("run/checkpoints")), before, "nothing is moved");
    // A folder that lost its name's step is none of that step.
    let renamed = workspace.path("run/checkpoints/step-9");
    fs::rename(workspace.checkpoint("run", 1), &renamed).expect("a writable folder");
    workspace.train("run", &steps).fails_with(&["step-9: config.json is missing"]);
}
