//! What has changed between a run and its continuation.

use serde_json::Value;

use super::folder::stored;
use crate::TrainError;
use crate::config::TrainConfig;
use crate::recipe::{Difference, Recipe, differences};

/// Settings that extend a run, move it or only change its speed, up to rounding. Their changes are shown, and need no
/// consent; `schedule.steps` does where the recipe reads how far the run has come.
const FREE: [&str; 17] = [
    "device",
    "output",
    "record.every",
    "record.token_groups",
    "rollout.feature_cache_mib",
    "rollout.max_rows",
    "schedule.keep",
    "schedule.keep_best",
    "schedule.save_every",
    "schedule.steps",
    "schedule.validate_every",
    "update.activation_gib",
    "update.max_skipped_in_a_row",
    "update.recompute",
    "update.tokens_per_micro_batch",
    "update.vocabulary_chunk",
    // The name alone; what it stands for is compared by itself.
    "recipe",
];

/// A configuration and a recipe to go on with, beside those the run was trained with so far.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) config: TrainConfig,
    pub(super) recipe: Recipe,
    /// Whether the configuration's text is another.
    pub(super) of_config: bool,
    /// Whether the recipe's text is another.
    pub(super) of_recipe: bool,
    /// What needs no consent, a line each.
    free: Vec<String>,
    /// What does.
    held: Vec<String>,
}

impl Changes {
    /// Compares with what stands in `config.output`.
    ///
    /// # Errors
    /// If that cannot be read.
    pub(super) fn of_run(config: TrainConfig, recipe: Recipe) -> Result<Self, TrainError> {
        let (before, recipe_before) = stored(&config.output)?;
        let (now, then) = (value(&config)?, value(&before)?);
        let (mut free, mut held) = (Vec::new(), Vec::new());
        let of_value = differences(&then, &now);
        // Where the folder lies is nothing it has to know.
        let of_config = of_value.iter().any(|difference| difference.path != "output");
        for difference in of_value {
            if difference.path == "schedule.steps" && recipe.reads_progress() {
                held.push(format!("{difference} (a component of the recipe rises until the last step)"));
                continue;
            }
            let lines = if is_free(&difference) { &mut free } else { &mut held };
            lines.push(difference.to_string());
        }
        held.extend(recipe_before.differences(&recipe)?.iter().map(|difference| format!("recipe: {difference}")));
        let of_recipe = recipe != recipe_before;
        Ok(Self { config, recipe, of_config, of_recipe, free, held })
    }

    /// Adds a change that needs no consent.
    pub(super) fn free(&mut self, line: String) {
        self.free.push(line);
    }

    /// Adds a change that needs consent.
    pub(super) fn hold(&mut self, line: String) {
        self.held.push(line);
    }

    /// Refuses changes that need a consent which is not given.
    ///
    /// # Errors
    /// [`TrainError::RunChanged`] then, with all of these.
    pub(super) fn check(&self, accepted: bool) -> Result<(), TrainError> {
        if self.held.is_empty() || accepted {
            return Ok(());
        }
        let (folder, differences) = (self.config.output.clone(), self.held.join("\n  "));
        Err(TrainError::RunChanged { folder, differences })
    }

    /// Shows all of them in the log.
    pub(super) fn show(&self) {
        for line in self.free.iter().chain(&self.held) {
            tracing::info!("changed: {line}");
        }
    }
}

/// A configuration as a document. By its text, in which a number of 32 bits has as many digits as it needs.
fn value(config: &TrainConfig) -> Result<Value, TrainError> {
    let wrong = |source| TrainError::Json { place: "resolved configuration".to_owned(), source };
    serde_json::from_str(&serde_json::to_string(config).map_err(wrong)?).map_err(wrong)
}

fn is_free(difference: &Difference) -> bool {
    FREE.contains(&difference.path.as_str())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use advantage::{PerceptualReshaping, Schedule, Shaper};

    use super::*;
    use crate::recipe::{dapo, prpo, vppo};

    fn config(folder: &Path, overrides: &[&str]) -> TrainConfig {
        let text = format!("model = 'm'\noutput = {folder:?}\n[data]\ntrain = 't.jsonl'\n");
        let path = folder.join("given.toml");
        fs::write(&path, text).expect("a writable folder");
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        TrainConfig::read(&path, &overrides).expect("valid")
    }

    /// Changes of a run that was started with VPPO and the defaults.
    fn changes(overrides: &[&str], recipe: Recipe) -> Changes {
        changes_of(&vppo(), overrides, recipe)
    }

    fn changes_of(begun: &Recipe, overrides: &[&str], recipe: Recipe) -> Changes {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let before = config(folder.path(), &[]);
        fs::write(folder.path().join("config.toml"), before.to_toml().expect("TOML")).expect("a writable folder");
        fs::write(folder.path().join("recipe.json"), begun.to_json().expect("JSON")).expect("a writable folder");
        Changes::of_run(config(folder.path(), overrides), recipe).expect("readable")
    }

    #[test]
    fn nothing_changes_by_itself() {
        let same = changes(&[], vppo());
        assert!(!same.of_config && !same.of_recipe && same.free.is_empty() && same.held.is_empty(), "{same:?}");
        assert!(same.check(false).is_ok());
    }

    #[test]
    fn what_extends_a_run_needs_no_consent() {
        let longer =
            changes(&["schedule.steps=900", "device=wgpu", "update.vocabulary_chunk=7", "recipe=other"], vppo());
        assert_eq!(longer.free.len(), 4, "{longer:?}");
        assert!(longer.held.is_empty() && longer.of_config && !longer.of_recipe);
        assert!(longer.free.contains(&"schedule.steps: 200 -> 900".to_owned()), "{longer:?}");
        assert!(longer.check(false).is_ok());
    }

    /// What rises until the last step is elsewhere when there are more steps.
    #[test]
    fn a_longer_run_needs_consent_where_the_recipe_reads_its_length() {
        let mut rising = prpo();
        let shaper = PerceptualReshaping { schedule: Schedule::Rising, ..PerceptualReshaping::default() };
        rising.shapers = vec![Shaper::PerceptualReshaping(shaper)];
        let longer = changes_of(&rising, &["schedule.steps=900"], rising.clone());
        assert!(longer.free.is_empty(), "{longer:?}");
        let line = "schedule.steps: 200 -> 900 (a component of the recipe rises until the last step)";
        assert_eq!(longer.held, [line]);
        assert!(longer.check(false).is_err() && longer.check(true).is_ok());
        assert!(
            changes_of(&prpo(), &["schedule.steps=900"], prpo()).held.is_empty(),
            "a constant schedule reads nothing"
        );
    }

    #[test]
    fn everything_else_does() {
        let other = changes(&["update.beta_2=0.95", "schedule.steps=900"], vppo());
        assert_eq!(other.held, ["update.beta_2: 0.999 -> 0.95"]);
        let error = other.check(false).expect_err("no consent").to_string();
        assert!(error.contains("update.beta_2: 0.999 -> 0.95") && error.contains("--accept-changes"), "{error}");
        assert!(other.check(true).is_ok());
        let recipe = changes(&[], dapo());
        assert!(recipe.of_recipe && !recipe.of_config);
        assert!(recipe.held.iter().any(|line| line.starts_with("recipe: shapers[0]: - ")), "{recipe:?}");
        assert!(recipe.check(false).is_err());
    }
}
