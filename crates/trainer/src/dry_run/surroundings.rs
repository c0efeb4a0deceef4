//! What a run finds around it: programs, folders, disk and memory.

use std::path::Path;

use reward::BuiltInPart;
use sysinfo::Disks;

use super::memory::{Memory, mebibytes};
use super::{CheckState, DryRun, existing};
use crate::config::TrainConfig;
use crate::recipe::Recipe;
use crate::recompute::free_memory;
use crate::run::{Reopened, Resumption, holds_run};

impl DryRun {
    /// Whether the programs that judge are there. None is started.
    pub(super) fn programs(&mut self, config: &TrainConfig) {
        for part in config.reward.weighted_parts() {
            match &part.part {
                BuiltInPart::Subprocess(subprocess) => {
                    let program = subprocess.command.first().map_or("", String::as_str);
                    if is_program(program) {
                        self.add("reward", CheckState::Passed, format!("`{program}` is there; it was not started"));
                    } else {
                        let text = format!("`{program}` is neither a file nor on the path; see reward.parts");
                        self.add("reward", CheckState::Failed, text);
                    }
                }
                BuiltInPart::Http(server) => {
                    self.add("reward", CheckState::Passed, format!("{} was not asked", server.url));
                }
                _ => {}
            }
        }
    }

    /// Whether the run's folder is free, or holds what can be gone on with under this configuration and recipe.
    pub(super) fn output(&mut self, config: &TrainConfig, recipe: Option<&Recipe>, resumption: Option<Resumption>) {
        let folder = &config.output;
        let shown = folder.display();
        let found = match (resumption, holds_run(folder)) {
            (None, true) => Err(format!("{shown} already holds a run; go on with it, or choose another folder")),
            (Some(_), false) => Err(format!("{shown} holds no run to go on with")),
            _ if !existing(folder).is_some_and(|above| is_writable(&above)) => {
                Err(format!("{shown} cannot be written; choose another folder"))
            }
            (None, false) => Ok(shown.to_string()),
            (Some(resumption), true) => match recipe.map(|it| Reopened::foreseen(config, it, resumption)) {
                Some(Ok(step)) => Ok(format!("{shown} holds a run, which would go on after step {step}")),
                Some(Err(error)) => Err(error.to_string()),
                None => Err(format!("{shown} holds a run, not compared, since the recipe cannot be used")),
            },
        };
        match found {
            Ok(text) => self.add("output", CheckState::Passed, text),
            Err(text) => self.add("output", CheckState::Failed, text),
        }
    }

    /// Whether the checkpoints that are kept fit on the disk, and one more while it is written.
    pub(super) fn disk(&mut self, config: &TrainConfig, memory: &Memory) {
        let schedule = &config.schedule;
        let best = schedule.keep_best && config.data.held_out.is_some();
        let count = schedule.keep.min(schedule.steps) as u64 + 1 + u64::from(best);
        let needed = memory.checkpoint.saturating_mul(count);
        let Some(folder) = existing(&config.output) else { return };
        let disks = Disks::new_with_refreshed_list();
        let held = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
        let Some(disk) = held.max_by_key(|disk| disk.mount_point().as_os_str().len()) else {
            self.add("disk", CheckState::Warning, format!("free space of {} is not known", folder.display()));
            return;
        };
        let free = disk.available_space();
        let text = format!(
            "{count} checkpoints of {} MiB need {} MiB, {} MiB are free on {}",
            mebibytes(memory.checkpoint),
            mebibytes(needed),
            mebibytes(free),
            disk.mount_point().display()
        );
        match needed <= free {
            true => self.add("disk", CheckState::Passed, text),
            false => {
                self.add("disk", CheckState::Failed, format!("{text}; lower schedule.keep or choose another disk"));
            }
        }
    }

    /// Whether what the run takes is there. Of a GPU it is not known.
    pub(super) fn compare(&mut self, memory: &Memory, has_device: bool, device: &str) {
        let needed = mebibytes(memory.peak());
        if device != "cpu" {
            if has_device {
                let text = format!("about {needed} MiB on {device}, whose free memory is not known here");
                self.add("memory", CheckState::Warning, text);
            }
            return;
        }
        let free = free_memory();
        let text = format!("about {needed} MiB of {} MiB that are free", mebibytes(free));
        if memory.peak() <= free {
            self.add("memory", CheckState::Passed, text);
        } else {
            let advice = if memory.update() > memory.rollout() {
                "lower update.tokens_per_micro_batch or update.vocabulary_chunk"
            } else {
                "lower rollout.max_rows"
            };
            self.add("memory", CheckState::Failed, format!("{text}; {advice}, or take a smaller model"));
        }
    }
}

/// Whether a command names a file, or one on the path.
fn is_program(command: &str) -> bool {
    if Path::new(command).components().count() > 1 {
        return Path::new(command).is_file();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(command).is_file())
}

/// Whether this process may write in a folder, asked of the system without writing.
#[cfg(target_os = "linux")]
fn is_writable(folder: &Path) -> bool {
    use rustix::fs::{Access, access};
    folder.is_dir() && access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Whether a folder's permissions allow writing, as far as that can be told without writing.
#[cfg(not(target_os = "linux"))]
fn is_writable(folder: &Path) -> bool {
    folder.is_dir() && folder.metadata().is_ok_and(|metadata| !metadata.permissions().readonly())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root folder has a bit for writing, which is not everybody's.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_is_writable_for_whom_it_is() {
        let own = tempfile::tempdir().expect("a temporary folder");
        assert!(is_writable(own.path()) && !is_writable(&own.path().join("gone")));
        for folder in ["/", "/usr"] {
            assert_eq!(is_writable(Path::new(folder)), tempfile::tempfile_in(folder).is_ok(), "{folder}");
        }
    }
}
