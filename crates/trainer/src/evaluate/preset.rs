//! Published evaluations: which problems, and which settings of ours come nearest to theirs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The way a harness evaluates, whatever the benchmark.
const HARNESSES: [(&str, &str); 1] = [("papo-eval", include_str!("../../presets/harness/papo-eval.toml"))];

/// The benchmarks, in the order they are listed in.
const PRESETS: [(&str, &str); 9] = [
    ("geo3k", include_str!("../../presets/geo3k.toml")),
    ("mmk12", include_str!("../../presets/mmk12.toml")),
    ("mathverse", include_str!("../../presets/mathverse.toml")),
    ("mathverse-v", include_str!("../../presets/mathverse-v.toml")),
    ("mathvision", include_str!("../../presets/mathvision.toml")),
    ("we-math", include_str!("../../presets/we-math.toml")),
    ("dynamath", include_str!("../../presets/dynamath.toml")),
    ("logicvista", include_str!("../../presets/logicvista.toml")),
    ("mmmu-pro", include_str!("../../presets/mmmu-pro.toml")),
];

/// A benchmark as some papers evaluate on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preset {
    /// What `--preset` takes.
    pub name: &'static str,
    /// Which problems.
    pub benchmark: Benchmark,
    /// How they are asked and judged.
    pub harness: Harness,
}

/// Which problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// Its name in the papers.
    pub title: String,
    /// Name of its harness.
    harness: String,
    /// Where the problems are published.
    pub data: Vec<String>,
    /// How many there are.
    pub problems: usize,
    /// What one must know about this benchmark.
    pub remarks: Vec<String>,
    /// Settings of a run's configuration that its data needs, by dotted key; they count more than the harness's.
    #[serde(default)]
    pub settings: toml::Table,
    /// Published accuracies in percent: by source, by model.
    pub published: BTreeMap<String, BTreeMap<String, f64>>,
}

/// How problems are asked and judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Harness {
    /// What it is.
    pub title: String,
    /// Where it is published.
    pub source: String,
    /// Settings of a run's configuration that come nearest to it, by dotted key.
    pub settings: toml::Table,
    /// What the papers say of it.
    pub documented: Vec<String>,
    /// What stands in its code alone.
    pub undocumented: Vec<String>,
    /// What is nowhere published.
    pub unpublished: Vec<String>,
    /// Where ours departs from it.
    pub departures: Vec<String>,
}

/// All presets.
///
/// # Errors
/// If an embedded file is malformed, which a test rules out.
pub fn presets() -> Result<Vec<Preset>, TrainError> {
    PRESETS.iter().map(|(name, text)| Preset::parse(name, text)).collect()
}

impl Preset {
    /// A preset by name.
    ///
    /// # Errors
    /// If there is none of that name; the error lists those there are.
    pub fn find(name: &str) -> Result<Self, TrainError> {
        let found = PRESETS.iter().find(|(known, _)| *known == name);
        let (name, text) = found.ok_or_else(|| TrainError::UnknownPreset {
            name: name.to_owned(),
            known: PRESETS.map(|(name, _)| name).join(", "),
        })?;
        Self::parse(name, text)
    }

    fn parse(name: &'static str, text: &str) -> Result<Self, TrainError> {
        let benchmark: Benchmark = parse(name, text)?;
        let known = HARNESSES.iter().find(|(name, _)| *name == benchmark.harness);
        let (place, text) = known.ok_or_else(|| wrong(name, format!("there is no harness {}", benchmark.harness)))?;
        Ok(Self { name, benchmark, harness: parse(place, text)? })
    }

    /// The papers that publish numbers for this benchmark, without repetition.
    #[must_use]
    pub fn papers(&self) -> Vec<&str> {
        let papers = self.benchmark.published.keys().map(|source| source.split(',').next().unwrap_or(source));
        papers.collect::<BTreeSet<&str>>().into_iter().collect()
    }

    /// The settings as `key=value` texts.
    #[must_use]
    pub fn overrides(&self) -> Vec<String> {
        self.harness
            .settings
            .iter()
            .chain(&self.benchmark.settings)
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, TrainError> {
    toml::from_str(text).map_err(|error| wrong(name, error.to_string()))
}

fn wrong(name: &str, reason: String) -> TrainError {
    TrainError::Config { place: format!("preset {name}"), reason }
}
