//! Which checkpoints stay, and a file that says which is which.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{numbered, read_state};
use crate::{TrainError, disk};

/// Beside the checkpoints.
const TRACKER_FILE: &str = "tracker.json";

/// The newest and the best checkpoint, for people and scripts. It is made from the folders and never read by a run.
#[derive(Debug, PartialEq, Serialize)]
struct Tracker {
    /// Step of the newest checkpoint.
    last_step: usize,
    /// Its folder.
    last: String,
    /// Step of the checkpoint with the highest validation accuracy among those validated on the terms of the last validation,
    /// the earliest of several; none without validations.
    best_step: Option<usize>,
    /// Its folder.
    best: Option<String>,
    /// Its accuracy, from 0 to 1.
    best_accuracy: Option<f64>,
}

/// Removes all but the newest `keep` checkpoints, and the best by validation if that is wished for, and writes down which are
/// the newest and the best. Of validations on several terms the best on each of them stays, since they cannot be compared.
///
/// # Errors
/// If a folder cannot be removed or the file not be written.
pub(super) fn tidy(folder: &Path, keep: usize, keep_best: bool) -> Result<(), TrainError> {
    let all = numbered(folder)?;
    let best_of_all = if keep_best { bests(&all) } else { Vec::new() };
    for (step, path) in &all[..all.len().saturating_sub(keep)] {
        if best_of_all.iter().all(|best| best.step != *step) {
            disk::remove_if_there(path)?;
        }
    }
    let left = numbered(folder)?;
    let Some((last_step, last)) = left.last() else { return Ok(()) };
    let best = bests(&left).pop();
    let tracker = Tracker {
        last_step: *last_step,
        last: name(last),
        best_step: best.as_ref().map(|best| best.step),
        best: best.as_ref().map(|best| name(&best.path)),
        best_accuracy: best.as_ref().map(|best| best.accuracy),
    };
    let path = folder.join(TRACKER_FILE);
    let text = serde_json::to_string_pretty(&tracker)
        .map_err(|source| TrainError::Json { place: path.display().to_string(), source })?;
    disk::replace(&path, &(text + "\n"))
}

/// The best checkpoint among those validated on the same terms.
struct Best {
    step: usize,
    path: PathBuf,
    accuracy: f64,
    terms: String,
}

/// The checkpoint with the highest validation accuracy for each of the terms there are, those of the last validation last.
fn bests(all: &[(usize, PathBuf)]) -> Vec<Best> {
    let mut bests: Vec<Best> = Vec::new();
    for (step, path) in all {
        let Some(validation) = read_state(path).ok().and_then(|state| state.validation) else { continue };
        let Some(accuracy) = validation.accuracy else { continue };
        let found = Best { step: *step, path: path.clone(), accuracy, terms: validation.terms };
        let before = bests.iter().position(|best| best.terms == found.terms).map(|index| bests.remove(index));
        bests.push(before.filter(|before| before.accuracy >= found.accuracy).unwrap_or(found));
    }
    bests
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Clears away what a killed process left: checkpoints that were being written, and a whole one that was to be replaced.
///
/// # Errors
/// If something cannot be removed or renamed.
pub(crate) fn clear_leftovers(folder: &Path) -> Result<(), TrainError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(TrainError::file("list", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(TrainError::file("list", folder))?.path();
        let name = name(&path);
        let Some((step, state)) = name.strip_prefix('.').and_then(|name| name.rsplit_once('.')) else { continue };
        if !step.starts_with("step-") {
            continue;
        }
        let target = folder.join(step);
        match state {
            "replaced" if !target.exists() => {
                fs::rename(&path, &target).map_err(TrainError::file("rename", &path))?;
            }
            "writing" | "replaced" => disk::remove_if_there(&path)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dataset::Sampler;

    use super::*;
    use crate::checkpoint::{RunState, STATE_FILE, Validation};

    /// Checkpoints of these steps with these validations, all on the same terms.
    fn checkpoints(steps: &[(usize, Option<f64>)]) -> tempfile::TempDir {
        checkpoints_on(steps, |_| "terms")
    }

    /// As [`checkpoints`], on the terms of each step.
    fn checkpoints_on(steps: &[(usize, Option<f64>)], terms: fn(usize) -> &'static str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (step, accuracy) in steps {
            let path = folder.path().join(format!("step-{step}"));
            fs::create_dir_all(path.join("trainer")).expect("a writable folder");
            let state = RunState {
                step: *step,
                sampler: Sampler::new(1, 5).expect("some problems"),
                data: String::new(),
                held_out: None,
                reference: None,
                validation: accuracy
                    .map(|accuracy| Validation { accuracy: Some(accuracy), terms: terms(*step).to_owned() }),
                skipped_in_a_row: 0,
                sampling_gap: 0.0,
            };
            let text = serde_json::to_string(&state).expect("numbers");
            fs::write(path.join(STATE_FILE), text).expect("a writable folder");
        }
        folder
    }

    fn left(folder: &Path) -> Vec<usize> {
        numbered(folder).expect("a folder").into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn the_newest_and_the_best_stay() {
        let steps = [(2, None), (4, Some(0.5)), (6, Some(0.25)), (8, Some(0.5)), (10, None), (12, Some(0.1))];
        for (keep, keep_best, expected, best) in [
            (1, true, vec![4, 12], (4, 0.5)),
            (1, false, vec![12], (12, 0.1)),
            (3, true, vec![4, 8, 10, 12], (4, 0.5)),
            (3, false, vec![8, 10, 12], (8, 0.5)),
            (5, true, vec![4, 6, 8, 10, 12], (4, 0.5)),
            (9, false, vec![2, 4, 6, 8, 10, 12], (4, 0.5)),
        ] {
            let folder = checkpoints(&steps);
            tidy(folder.path(), keep, keep_best).expect("a writable folder");
            assert_eq!(left(folder.path()), expected, "keep {keep}, best {keep_best}");
            let text = fs::read_to_string(folder.path().join(TRACKER_FILE)).expect("the tracker");
            let tracker: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let (step, accuracy) = best;
            let expected = serde_json::json!({
                "last_step": 12,
                "last": "step-12",
                "best_step": step,
                "best": format!("step-{step}"),
                "best_accuracy": accuracy,
            });
            assert_eq!(tracker, expected, "keep {keep}, best {keep_best}");
        }
    }

    /// A high accuracy on easier problems neither takes the place of the best on the present ones nor is lost to it.
    #[test]
    fn validations_on_other_terms_are_not_compared() {
        let steps = [(1, Some(0.8)), (2, Some(0.9)), (3, Some(0.2)), (4, Some(0.3)), (5, Some(0.1)), (6, None)];
        let folder = checkpoints_on(&steps, |step| if step < 3 { "easy" } else { "hard" });
        tidy(folder.path(), 1, true).expect("a writable folder");
        assert_eq!(left(folder.path()), [2, 4, 6]);
        let text = fs::read_to_string(folder.path().join(TRACKER_FILE)).expect("the tracker");
        let tracker: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&tracker["best_step"], &tracker["best_accuracy"]), (&4.into(), &0.3.into()), "{tracker}");
    }

    /// A tracker is no authority, nor is a state that cannot be read.
    #[test]
    fn what_cannot_be_read_is_not_the_best() {
        let folder = checkpoints(&[(1, Some(0.9)), (2, Some(0.3)), (3, None)]);
        fs::write(folder.path().join("step-1").join(STATE_FILE), "{").expect("a writable folder");
        fs::write(folder.path().join(TRACKER_FILE), "{\"best_step\": 1}").expect("a writable folder");
        tidy(folder.path(), 1, true).expect("a writable folder");
        assert_eq!(left(folder.path()), [2, 3]);
    }

    #[test]
    fn leftovers_go_and_a_replaced_checkpoint_comes_back() {
        let folder = checkpoints(&[(1, None), (2, None), (3, None)]);
        let path = |name: &str| folder.path().join(name);
        fs::rename(path("step-2"), path(".step-2.replaced")).expect("a writable folder");
        for name in [".step-3.replaced", ".step-4.writing", ".step-2.writing", ".mine"] {
            fs::create_dir(path(name)).expect("a writable folder");
        }
        clear_leftovers(folder.path()).expect("a writable folder");
        assert_eq!(left(folder.path()), [1, 2, 3]);
        assert!(read_state(&path("step-2")).is_ok_and(|state| state.step == 2), "the one that was whole");
        assert!(path(".mine").exists(), "files of others stay");
        assert!(!path(".step-3.replaced").exists() && !path(".step-4.writing").exists());
        assert!(!path(".step-2.writing").exists());
        clear_leftovers(&path("nowhere")).expect("nothing to do");
    }
}
