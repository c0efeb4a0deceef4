//! Runs that are killed at any instant.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::workspace::{Outcome, Workspace, is_writing, names};

/// In all.
const KILLS: usize = 100;
/// Runs side by side.
const LANES: usize = 2;

/// A hundred times the program is killed, at instants drawn over its duration and within the writing of checkpoints, and
/// started again with the same command. Every run comes to what an undisturbed one comes to, to the last bit, and at every
/// instant there is a whole checkpoint if there ever was one.
#[test]
fn a_hundred_kills_lose_nothing() {
    let workspace = Workspace::new();
    let clock = Instant::now();
    let undisturbed = workspace.undisturbed("undisturbed", &[]);
    let duration = clock.elapsed();
    let (kills, in_writing, runs) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for lane in 0..LANES {
            let (workspace, undisturbed) = (&workspace, &undisturbed);
            let (kills, in_writing, runs) = (&kills, &in_writing, &runs);
            scope.spawn(move || {
                let mut random = ChaCha8Rng::seed_from_u64(lane as u64);
                while kills.load(Ordering::SeqCst) < KILLS {
                    let name = format!("killed-{}", runs.fetch_add(1, Ordering::SeqCst));
                    let lane = Lane { workspace, undisturbed, kills, in_writing, duration };
                    lane.kill_until_it_ends(&name, &mut random);
                }
            });
        }
    });
    let [kills, in_writing, runs] = [kills, in_writing, runs].map(AtomicUsize::into_inner);
    eprintln!(
        "{runs} runs, {kills} kills, {in_writing} of them while a checkpoint was written; {duration:?} undisturbed"
    );
    assert!(kills >= KILLS, "{kills} kills");
    assert!(in_writing >= KILLS / 20, "{in_writing} kills while a checkpoint was written");
}

struct Lane<'a> {
    workspace: &'a Workspace,
    undisturbed: &'a Outcome,
    kills: &'a AtomicUsize,
    in_writing: &'a AtomicUsize,
    duration: Duration,
}

impl Lane<'_> {
    /// Kills a run again and again until it is through, or all kills are done and it is let go on.
    fn kill_until_it_ends(&self, name: &str, random: &mut ChaCha8Rng) {
        let output = self.workspace.path(name);
        let mut had_checkpoint = false;
        loop {
            let mut running = self.workspace.start(name, &[]);
            let done = self.kills.load(Ordering::SeqCst) >= KILLS;
            if !done {
                let in_writing = random.random_bool(0.4);
                running.wait_at_most(self.duration.mul_f64(random.random()), || in_writing && is_writing(&output));
                if in_writing {
                    running.wait_at_most(Duration::from_micros(random.random_range(0..20_000)), || false);
                }
            }
            let (killed, ended) = if done { (false, running.end()) } else { running.kill() };
            if !killed {
                ended.succeeds();
                break;
            }
            self.kills.fetch_add(1, Ordering::SeqCst);
            self.in_writing.fetch_add(usize::from(is_writing(&output)), Ordering::SeqCst);
            let has_checkpoint = has_whole_checkpoint(&output);
            assert!(has_checkpoint || !had_checkpoint, "{name}: {:?}", names(&output.join("checkpoints")));
            had_checkpoint = has_checkpoint;
        }
        let outcome = self.workspace.outcome(name);
        outcome.assert_same(self.undisturbed, name);
        assert_eq!(outcome.checkpoints, self.undisturbed.checkpoints, "{name}");
        assert!(!is_writing(&output), "{name}: nothing half written is left");
    }
}

/// Whether what the last command would go on from is there.
fn has_whole_checkpoint(output: &Path) -> bool {
    trainer::newest(output).is_ok()
}
