//! What a run is compared with: another recipe, another checkpoint, or both.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::TrainError;
use crate::recipe::{Algorithm, Recipe};

/// What scores a run's responses again, as it is asked for: `recipe=NAME`, `checkpoint=step-N`, or both with a comma between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Other {
    /// Name of a built-in recipe or path of a recipe file; `None` takes the run's own.
    pub recipe: Option<String>,
    /// `start`, the name of one of the run's checkpoints, or a checkpoint folder; `None` takes the policy that sampled the
    /// responses or, if it was not kept, the newest one before it.
    pub checkpoint: Option<String>,
}

/// The part of a policy's name for people, before what it is.
const CHECKPOINT: &str = "checkpoint=";
const RECIPE: &str = "recipe=";
/// The policy a run began with.
const START: &str = "start";

impl FromStr for Other {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self, TrainError> {
        let wrong = || {
            TrainError::Usage(format!(
                "`{text}` names nothing to compare with; write recipe=NAME, checkpoint=step-20, or both with a comma between"
            ))
        };
        let mut other = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (field, key) = match rest {
                _ if rest.starts_with(RECIPE) => (&mut other.recipe, RECIPE),
                _ if rest.starts_with(CHECKPOINT) => (&mut other.checkpoint, CHECKPOINT),
                _ => return Err(wrong()),
            };
            let value = &rest[key.len()..];
            let next = [RECIPE, CHECKPOINT].iter().filter_map(|key| value.find(&format!(",{key}"))).min();
            let (value, left) = next.map_or((value, ""), |at| (&value[..at], &value[at + 1..]));
            if value.is_empty() || field.is_some() {
                return Err(wrong());
            }
            *field = Some(value.to_owned());
            rest = left;
        }
        if other == Self::default() { Err(wrong()) } else { Ok(other) }
    }
}

/// The same, found.
pub(super) struct Scoring {
    pub(super) algorithm: Algorithm,
    /// The checkpoint to score with, and its name; `None` takes the one nearest to the policy that sampled.
    checkpoint: Option<Policy>,
}

/// A policy on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Policy {
    pub(super) folder: PathBuf,
    name: String,
    /// Whether it is known to have sampled the step it was found for.
    sampled: bool,
}

impl Scoring {
    /// Finds recipe and checkpoint.
    ///
    /// # Errors
    /// If there is no such recipe or checkpoint, or the recipe's components do not fit together.
    pub(super) fn find(other: &Other, run: &Path, start: &Path, own: &Recipe) -> Result<Self, TrainError> {
        let recipe = other.recipe.as_deref().map(Recipe::find).transpose()?.unwrap_or_else(|| own.clone());
        let algorithm = recipe.build();
        algorithm.check()?;
        let checkpoint = other.checkpoint.as_deref().map(|name| Policy::named(name, run, start)).transpose()?;
        Ok(Self { algorithm, checkpoint })
    }

    /// The policy that scores the responses of a step.
    pub(super) fn policy(&self, step: usize, run: &Path, start: &Path) -> Result<Policy, TrainError> {
        match &self.checkpoint {
            Some(policy) => Ok(policy.clone()),
            None => Policy::before(step, run, start),
        }
    }

    /// What is shown as the name of its values. `shares` are the groups scored, and those of the step if they are known.
    pub(super) fn name(&self, policy: &Policy, scored: usize, groups: usize) -> String {
        let recipe = &self.algorithm.recipe;
        let nearest = if self.checkpoint.is_none() && !policy.sampled { ", the nearest kept" } else { "" };
        let share = if scored < groups { format!(", credit from {scored} of {groups} groups") } else { String::new() };
        format!("{recipe} @ {}{nearest}{share}", policy.name)
    }
}

impl Policy {
    fn named(name: &str, run: &Path, start: &Path) -> Result<Self, TrainError> {
        if name == START {
            return Ok(Self::start(start, false));
        }
        let kept = run.join("checkpoints").join(name);
        let folder = if kept.is_dir() { kept } else { PathBuf::from(name) };
        if folder.is_dir() {
            return Ok(Self { folder, name: name.to_owned(), sampled: false });
        }
        let kept: Vec<String> = kept_checkpoints(run)?.into_iter().map(|(step, _)| format!("step-{step}")).collect();
        Err(TrainError::UnknownCheckpoint {
            name: name.to_owned(),
            known: [vec![START.to_owned()], kept].concat().join(", "),
        })
    }

    fn start(folder: &Path, sampled: bool) -> Self {
        Self { folder: folder.to_owned(), name: START.to_owned(), sampled }
    }

    /// The policy that sampled a step is that of the checkpoint before it; if it is not there, the newest one before.
    fn before(step: usize, run: &Path, start: &Path) -> Result<Self, TrainError> {
        let before = step.saturating_sub(1);
        let newest = kept_checkpoints(run)?.into_iter().filter(|&(kept, _)| kept <= before && kept > 0).max();
        Ok(match newest {
            Some((kept, folder)) => Self { folder, name: format!("step-{kept}"), sampled: kept == before },
            None => Self::start(start, before == 0),
        })
    }
}

/// The checkpoints a run has kept, by step.
fn kept_checkpoints(run: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let folder = run.join("checkpoints");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(TrainError::file("list", &folder))?;
    let mut kept = Vec::new();
    for entry in entries {
        let path = entry.map_err(TrainError::file("list", &folder))?.path();
        let step = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("step-"));
        if let Some(step) = step.and_then(|step| step.parse().ok()) {
            kept.push((step, path));
        }
    }
    kept.sort();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read_as_they_are_written() {
        let other = |recipe: Option<&str>, checkpoint: Option<&str>| Other {
            recipe: recipe.map(str::to_owned),
            checkpoint: checkpoint.map(str::to_owned),
        };
        for (text, expected) in [
            ("recipe=pgpo", other(Some("pgpo"), None)),
            ("checkpoint=step-20", other(None, Some("step-20"))),
            ("recipe=a,b.toml,checkpoint=start", other(Some("a,b.toml"), Some("start"))),
            ("checkpoint=/runs/a=b/step-3,recipe=grpo", other(Some("grpo"), Some("/runs/a=b/step-3"))),
        ] {
            assert_eq!(text.parse::<Other>().expect(text), expected);
        }
        for text in ["", "pgpo", "recipe=", "recipe=a,recipe=b", "checkpoint=,recipe=a", "steps=3"] {
            let error = text.parse::<Other>().expect_err(text).to_string();
            assert!(error.contains("recipe=NAME"), "{error}");
        }
    }

    #[test]
    fn the_policy_that_sampled_a_step_is_the_one_before_it() {
        let run = tempfile::tempdir().expect("a temporary folder");
        let start = Path::new("model");
        let found = |step| {
            let policy = Policy::before(step, run.path(), start).expect("a folder");
            (policy.name, policy.sampled)
        };
        assert_eq!((found(1), found(2)), (("start".to_owned(), true), ("start".to_owned(), false)));
        for name in ["step-4", "step-10", ".step-11.writing", "step-x"] {
            fs::create_dir_all(run.path().join("checkpoints").join(name)).expect("a writable folder");
        }
        assert_eq!((found(4), found(5)), (("start".to_owned(), false), ("step-4".to_owned(), true)));
        assert_eq!((found(10), found(12)), (("step-4".to_owned(), false), ("step-10".to_owned(), false)));
        let named = |name| Policy::named(name, run.path(), start);
        assert_eq!(named("step-10").expect("kept").folder, run.path().join("checkpoints/step-10"));
        assert_eq!(named("start").expect("known").folder, start);
        let error = named("step-3").expect_err("not kept").to_string();
        assert!(error.contains("start, step-4, step-10"), "{error}");
    }
}
