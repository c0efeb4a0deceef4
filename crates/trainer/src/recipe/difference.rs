//! What sets two recipes apart.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Recipe;
use crate::TrainError;

/// One place in which two recipes differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where, as keys and places in lists: `objective.reduction`, `shapers[0].keep`.
    pub path: String,
    /// What stands there in the first recipe; `None` if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What stands there in the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl fmt::Display for Difference {
    /// `path: before -> after`, or `path: + added`, or `path: - removed`, in one line.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: ", self.path)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(formatter, "{} -> {}", compact(before), compact(after)),
            (Some(before), None) => write!(formatter, "- {}", compact(before)),
            (None, Some(after)) => write!(formatter, "+ {}", compact(after)),
            (None, None) => Ok(()),
        }
    }
}

/// JSON in one line; a string stands alone.
fn compact(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Recipe {
    /// Where the algorithm of `other` differs from this one's, in the order of a recipe file, with what `other` adds to a table
    /// behind the rest of it. Names and caveats do not count.
    ///
    /// Components of different kinds, and choices that have no key in common, differ as a whole; all others setting by setting.
    ///
    /// # Errors
    /// If a number in either is not finite.
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, TrainError> {
        let (mut before, mut after) = (self.to_value()?, other.to_value()?);
        for recipe in [&mut before, &mut after] {
            if let Value::Object(fields) = recipe {
                fields.retain(|key, _| key != "name" && key != "caveat");
            }
        }
        Ok(differences(&before, &after))
    }

    fn to_value(&self) -> Result<Value, TrainError> {
        serde_json::to_value(self).map_err(|source| TrainError::Json { place: format!("recipe {self}"), source })
    }
}

/// Where two JSON documents differ, as [`Recipe::differences`] says it.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare("", Some(before), Some(after), &mut differences);
    differences
}

/// Adds the differences at `path` and below it.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, differences: &mut Vec<Difference>) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) if are_alike(before, after) => {
            for key in keys(before, after) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, before.get(key), after.get(key), differences);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                compare(&format!("{path}[{index}]"), before.get(index), after.get(index), differences);
            }
        }
        _ if before != after => {
            differences.push(Difference { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
        }
        _ => {}
    }
}

/// Whether two tables are the same thing with other settings.
fn are_alike(before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    before.get("kind") == after.get("kind") && before.keys().any(|key| after.contains_key(key))
}

/// All keys of both, those of the first in its order and then the others.
fn keys<'a>(before: &'a Map<String, Value>, after: &'a Map<String, Value>) -> impl Iterator<Item = &'a String> {
    before.keys().chain(after.keys().filter(|key| !before.contains_key(key.as_str())))
}
