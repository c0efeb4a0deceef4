//! What a run has left so far, read and nothing else: the run may be going on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use inspector::{RolloutRecord, read_metrics, read_rollouts};
use serde_json::{Map, Value};

use super::steps::Steps;
use crate::TrainError;
use crate::config::TrainConfig;
use crate::observe::step_files;
use crate::recipe::Recipe;

/// A run's folder, opened.
pub(super) struct RunFolder {
    pub(super) path: PathBuf,
    pub(super) config: TrainConfig,
    /// The configuration as it stands in the folder.
    pub(super) configuration: String,
    pub(super) recipe: Recipe,
    /// What was valid up to a step, where that was changed later.
    earlier_configs: BTreeMap<usize, TrainConfig>,
    earlier_recipes: BTreeMap<usize, Recipe>,
}

/// The last steps of an earlier configuration and an earlier recipe; `None` for those in force.
pub(super) type Era = (Option<usize>, Option<usize>);

/// The responses of one step.
pub(super) struct StepRecords {
    pub(super) step: usize,
    /// All that were recorded, by group and place in it.
    pub(super) records: Vec<RolloutRecord>,
    /// How many of them, from the first, are shown: whole groups.
    pub(super) shown: usize,
}

/// Responses to show.
pub(super) struct Chosen {
    pub(super) steps: Vec<StepRecords>,
    /// What was left out, if anything was.
    pub(super) left_out: Option<String>,
}

impl RunFolder {
    /// Opens a run.
    ///
    /// # Errors
    /// If the folder holds no run, or its configuration or recipe cannot be understood.
    pub(super) fn open(path: &Path) -> Result<Self, TrainError> {
        let file = path.join("config.toml");
        if !file.is_file() {
            return Err(TrainError::NoRun { folder: path.to_owned() });
        }
        Ok(Self {
            path: path.to_owned(),
            config: TrainConfig::read(&file, &[])?,
            configuration: fs::read_to_string(&file).map_err(TrainError::file("read", &file))?,
            recipe: Recipe::read(&path.join("recipe.json"))?,
            earlier_configs: earlier(path, "config.step-", ".toml", |file| TrainConfig::read(file, &[]))?,
            earlier_recipes: earlier(path, "recipe.step-", ".json", Recipe::read)?,
        })
    }

    /// Which configuration and recipe a step was taken with.
    pub(super) fn era(&self, step: usize) -> Era {
        let (configs, recipes) = (self.earlier_configs.range(step..), self.earlier_recipes.range(step..));
        (configs.map(|(last, _)| *last).next(), recipes.map(|(last, _)| *last).next())
    }

    /// The configuration of an era.
    pub(super) fn config_of(&self, (config, _): Era) -> &TrainConfig {
        config.and_then(|last| self.earlier_configs.get(&last)).unwrap_or(&self.config)
    }

    /// The recipe of an era.
    pub(super) fn recipe_of(&self, (_, recipe): Era) -> &Recipe {
        recipe.and_then(|last| self.earlier_recipes.get(&last)).unwrap_or(&self.recipe)
    }

    /// The lines of `metrics.jsonl`; none before the first step.
    pub(super) fn metrics(&self) -> Result<Vec<Map<String, Value>>, TrainError> {
        let file = self.path.join("metrics.jsonl");
        Ok(if file.exists() { read_metrics(&file)? } else { Vec::new() })
    }

    /// About `limit` recorded responses of some steps, or all: whole groups, as many of one step as of another and from its
    /// first; if there are more steps than groups fit, evenly spaced ones, the first and the last among them.
    pub(super) fn choose(&self, steps: Option<&Steps>, limit: usize) -> Result<Chosen, TrainError> {
        let files = step_files(&self.path.join("rollouts"))?;
        if files.is_empty() {
            let every = self.config.record.every;
            let why = format!("no responses are recorded: `record.every` is {every}, and 0 records none");
            return Ok(Chosen { steps: Vec::new(), left_out: Some(why) });
        }
        if let Some(steps) = steps.filter(|steps| !files.keys().any(|step| steps.contains(*step))) {
            let known = Steps::of(files.keys().copied());
            let reason = format!("no step of --steps {steps} was recorded; choose among the recorded steps {known}");
            return Err(TrainError::Usage(reason));
        }
        let wanted: Vec<_> =
            files.into_iter().filter(|(step, _)| steps.is_none_or(|steps| steps.contains(*step))).collect();
        let (recorded, groups) = (wanted.len(), (limit / self.config.rollout.responses.max(1)).max(1));
        let spread = spread(recorded, groups);
        let of_each = (groups / spread.len().max(1)).max(1);
        let mut chosen = Vec::new();
        let mut hidden = false;
        for (step, file) in spread.into_iter().filter_map(|place| wanted.get(place)) {
            let mut records = read_rollouts(file)?;
            records.sort_by_key(|record| (record.group, record.response));
            let shown = records.partition_point(|record| record.group < of_each);
            hidden |= shown < records.len();
            chosen.push(StepRecords { step: *step, records, shown });
        }
        let left_out = (hidden || chosen.len() < recorded).then(|| {
            format!(
                "shows {} of {recorded} recorded steps and, of each, the first {of_each} of its groups at most; --steps and --limit choose others",
                chosen.len()
            )
        });
        Ok(Chosen { steps: chosen, left_out })
    }
}

/// What a run's folder has kept of an earlier kind under `prefix`, a step and `suffix`, by the step it was valid up to.
fn earlier<T>(
    folder: &Path,
    prefix: &str,
    suffix: &str,
    read: impl Fn(&Path) -> Result<T, TrainError>,
) -> Result<BTreeMap<usize, T>, TrainError> {
    let mut kept = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(TrainError::file("list", folder))? {
        let file = entry.map_err(TrainError::file("list", folder))?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        let step = name.and_then(|name| name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok());
        if let Some(step) = step {
            kept.insert(step, read(&file)?);
        }
    }
    Ok(kept)
}

/// At most `most` of `count` places, at least 1 if there are any, evenly spaced from the first to the last. One alone is the last.
fn spread(count: usize, most: usize) -> Vec<usize> {
    match most {
        _ if count <= most => (0..count).collect(),
        0 | 1 => vec![count - 1],
        most => (0..most).map(|place| place * (count - 1) / (most - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn steps_are_spread_from_the_first_to_the_last() {
        assert_eq!(spread(3, 5), [0, 1, 2]);
        assert_eq!(spread(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(10, 1), [9]);
        assert!(spread(0, 1).is_empty());
    }
}
