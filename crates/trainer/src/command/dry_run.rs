//! What `sightline train --dry-run` prints.

use trainer::{DryRun, Resumption, TrainConfig, TrainError};

use super::print;

/// Looks at everything a run of this configuration reads, prints what was found, and fails if the run would.
///
/// # Errors
/// If a check fails.
pub(super) fn dry_run(config: &TrainConfig, resumption: Option<Resumption>) -> Result<(), TrainError> {
    let run = DryRun::of(config, resumption);
    run.checks.iter().try_for_each(|check| print(&check.to_string()))?;
    if let Some(memory) = &run.memory {
        print(&format!("\n{memory}"))?;
    }
    let failures = run.failures();
    if failures.is_empty() {
        return print("\nthe run can begin; nothing was computed or written");
    }
    Err(TrainError::Usage(format!("the run would fail: {}", failures.join(", "))))
}
