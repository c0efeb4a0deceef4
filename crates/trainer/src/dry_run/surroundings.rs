//! What a run finds around it: programs, folders, disk and memory.

use std::path::Path;

use reward::BuiltInPart;
use sysinfo::{Disks, MemoryRefreshKind, RefreshKind, System};

use super::memory::{Memory, mebibytes};
use super::{CheckState, DryRun, existing};
use crate::config::TrainConfig;
use crate::run::holds_run;

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

    /// Whether the run's folder is free, or holds what is to be gone on with.
    pub(super) fn output(&mut self, config: &TrainConfig, resumes: bool) {
        let folder = &config.output;
        let shown = folder.display();
        match (resumes, holds_run(folder)) {
            (false, true) => {
                let text = format!("{shown} already holds a run; go on with it, or choose another folder");
                self.add("output", CheckState::Failed, text);
            }
            (true, false) => self.add("output", CheckState::Failed, format!("{shown} holds no run to go on with")),
            (_, holds_run) => {
                let state = if existing(folder).is_some_and(|above| is_writable(&above)) {
                    CheckState::Passed
                } else {
                    CheckState::Failed
                };
                let text = match (state, holds_run) {
                    (CheckState::Passed, true) => format!("{shown} holds a run, which would go on"),
                    (CheckState::Passed, false) => shown.to_string(),
                    _ => format!("{shown} cannot be written; choose another folder"),
                };
                self.add("output", state, text);
            }
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

/// Bytes that can be taken, within the limits of a container.
fn free_memory() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let available = system.available_memory();
    system.cgroup_limits().map_or(available, |limits| available.min(limits.free_memory))
}

/// Whether a command names a file, or one on the path.
fn is_program(command: &str) -> bool {
    if Path::new(command).components().count() > 1 {
        return Path::new(command).is_file();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(command).is_file())
}

/// Whether the folder's permissions allow writing, as far as that can be told without writing.
fn is_writable(folder: &Path) -> bool {
    folder.is_dir() && folder.metadata().is_ok_and(|metadata| !metadata.permissions().readonly())
}
