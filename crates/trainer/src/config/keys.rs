//! What is known of every key of a configuration: one embedded table, beside the types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use toml::{Table, Value};

use super::TrainConfig;
use crate::TrainError;

/// The keys of a configuration and their counterparts elsewhere, in the order of their sections.
static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| toml::from_str(include_str!("keys.toml")).expect("the embedded table of keys is well-formed"));

/// Tables that a configuration may do without; their defaults hold once they are written.
const OPTIONAL_TABLES: [&str; 3] = ["rollout.overlong_penalty", "data.layout", "data.template"];

/// The list of tables whose kind says which keys they have.
pub(super) const PARTS: &str = "reward.parts";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    key: Vec<Key>,
    recipe_key: Vec<RecipeKey>,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its dotted name. `reward.parts.KIND.KEY` is a key of the parts of that kind.
    pub name: String,
    /// Further keys of the same meaning.
    #[serde(default)]
    pub also: Vec<String>,
    /// What it sets.
    pub about: String,
    /// What its value is written as.
    #[serde(rename = "type")]
    pub form: String,
    /// What a number counts.
    pub unit: Option<String>,
    /// Which values are accepted.
    pub range: Option<String>,
    /// Whether it has to be given, in its section if that may be left out.
    #[serde(default)]
    pub required: bool,
    /// What it means that an optional key without a default is not given.
    pub absent: Option<String>,
    /// A valid value, in TOML.
    pub example: Option<String>,
    /// Values that are refused, in TOML.
    #[serde(default)]
    pub refuses: Vec<String>,
    /// What papers and released code set.
    pub source: Option<String>,
    /// Keys of EasyR1, VPPO-RL and PAPO that say the same, or nearly so.
    #[serde(default)]
    pub easyr1: Vec<String>,
    /// Those of verl.
    #[serde(default)]
    pub verl: Vec<String>,
    /// Those of TRL's `GRPOConfig`.
    #[serde(default)]
    pub trl: Vec<String>,
}

/// A setting of a recipe that others have in their configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeKey {
    /// Its place in a recipe file.
    pub name: String,
    /// Keys of EasyR1, VPPO-RL and PAPO that say the same, or nearly so.
    #[serde(default)]
    pub easyr1: Vec<String>,
    /// Those of verl.
    #[serde(default)]
    pub verl: Vec<String>,
    /// Those of TRL's `GRPOConfig`.
    #[serde(default)]
    pub trl: Vec<String>,
}

impl RecipeKey {
    /// The other programs with their keys for it.
    #[must_use]
    pub fn elsewhere(&self) -> [(&'static str, &[String]); 3] {
        [("EasyR1", &self.easyr1), ("verl", &self.verl), ("TRL", &self.trl)]
    }
}

impl Key {
    /// The other programs with their keys for it.
    #[must_use]
    pub fn elsewhere(&self) -> [(&'static str, &[String]); 3] {
        [("EasyR1", &self.easyr1), ("verl", &self.verl), ("TRL", &self.trl)]
    }

    /// All keys of a configuration that are documented, in the order of their sections.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &DOCUMENT.key
    }

    /// Settings that stand in recipes here and in the configuration elsewhere.
    #[must_use]
    pub fn of_recipes() -> &'static [RecipeKey] {
        &DOCUMENT.recipe_key
    }

    /// The key of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|key| key.names().any(|known| known == name))
    }

    /// Its names: the first and those of the same meaning.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.also).map(String::as_str)
    }

    /// The key of a section or of a key, and all keys below it.
    #[must_use]
    pub fn below(name: &str) -> Vec<&'static Self> {
        Self::all().iter().filter(|key| key.names().any(|known| is_at_or_below(known, name))).collect()
    }

    /// Whether keys stand below this name.
    pub(super) fn is_section(name: &str) -> bool {
        Self::all().iter().flat_map(Self::names).any(|known| known != name && is_at_or_below(known, name))
    }

    /// The defaults of all keys that have one, by name, as the types have them.
    ///
    /// # Errors
    /// If the table's examples are no configuration.
    pub fn defaults() -> Result<BTreeMap<String, Value>, TrainError> {
        let required =
            |name: &str| -> Vec<&'static Self> { Self::below(name).into_iter().filter(|key| key.required).collect() };
        let is_optional =
            |key: &&Self| OPTIONAL_TABLES.iter().chain([&PARTS]).any(|table| is_at_or_below(&key.name, table));
        let mut least = Table::new();
        for key in Self::all().iter().filter(|key| key.required && !is_optional(key)) {
            insert(&mut least, &key.name, key.example_value()?);
        }
        let mut defaults = flatten("", &written(least.clone())?);
        for table in OPTIONAL_TABLES {
            let mut config = least.clone();
            insert(&mut config, table, Value::Table(Table::new()));
            for key in required(table) {
                insert(&mut config, &key.name, key.example_value()?);
            }
            let found = flatten("", &written(config)?);
            defaults.extend(found.into_iter().filter(|(name, _)| name.starts_with(&format!("{table}."))));
        }
        for kind in kinds() {
            let mut part = Table::from_iter([("kind".to_owned(), Value::String(kind.clone()))]);
            for key in required(&format!("{PARTS}.{kind}")) {
                let name = key.names().find_map(|name| name.strip_prefix(&format!("{PARTS}.{kind}.")));
                insert(&mut part, name.unwrap_or_default(), key.example_value()?);
            }
            let mut config = least.clone();
            insert(&mut config, PARTS, Value::Array(vec![Value::Table(part)]));
            let config = written(config)?;
            let part = config.get("reward").and_then(|reward| reward.get("parts")?.as_array()?.first()?.as_table());
            let Some(part) = part else { continue };
            for (name, value) in flatten("", part) {
                let of_all = name == "weight";
                let place = if of_all { format!("{PARTS}.{name}") } else { format!("{PARTS}.{kind}.{name}") };
                defaults.insert(place, value);
            }
        }
        let has_default = |name: &str| Self::find(name).is_some_and(|key| !key.required && key.absent.is_none());
        defaults.retain(|name, _| has_default(name));
        Ok(defaults)
    }

    /// Its example as a value.
    ///
    /// # Errors
    /// If it has none, or none in TOML.
    pub fn example_value(&self) -> Result<Value, TrainError> {
        let text = self.example.as_deref().unwrap_or_default();
        let parsed: Result<Table, _> = format!("value = {text}").parse();
        let value = parsed.ok().and_then(|mut table| table.remove("value"));
        value.ok_or_else(|| TrainError::Config { place: self.name.clone(), reason: format!("its example is {text}") })
    }
}

/// The kinds of parts of a reward that have keys of their own.
fn kinds() -> BTreeSet<String> {
    let kind = |name: &str| Some(name.strip_prefix(PARTS)?.strip_prefix('.')?.split_once('.')?.0.to_owned());
    Key::all().iter().flat_map(Key::names).filter_map(kind).collect()
}

/// A configuration as it is written out, defaults included.
fn written(table: Table) -> Result<Table, TrainError> {
    let wrong = |reason: String| TrainError::Config { place: "documentation of keys".to_owned(), reason };
    let config: TrainConfig = table.try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    config.to_table()
}

/// Whether a dotted name is another one or stands below it; everything stands below the empty name.
pub(super) fn is_at_or_below(name: &str, section: &str) -> bool {
    section.is_empty() || name.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Sets a dotted key. What stands in the way of a section is replaced.
pub(super) fn insert(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((first, rest)) => {
            let entry = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            if let Value::Table(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// The values of a table by their dotted names, in the order of the table.
pub(super) fn flatten(prefix: &str, table: &Table) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flat.extend(flatten(&name, inner)),
            value => {
                flat.insert(name, value.clone());
            }
        }
    }
    flat
}
