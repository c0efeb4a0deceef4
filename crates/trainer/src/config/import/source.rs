//! Another program's configuration as it was written: YAML, interpolations, and overrides behind it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::TrainError;

/// Interpolations within interpolations.
const DEEPEST: usize = 16;

/// Values by their dotted keys.
#[derive(Debug)]
pub(super) struct Source {
    place: String,
    values: BTreeMap<String, Value>,
}

impl Source {
    /// Reads YAML, applies overrides and resolves interpolations, in this order, as OmegaConf does.
    pub(super) fn parse(place: &str, text: &str, overrides: &[String]) -> Result<Self, TrainError> {
        let wrong = |place: String, reason: String| TrainError::Config { place, reason };
        let root: Value =
            serde_saphyr::from_str(text).map_err(|error| wrong(place.to_owned(), format!("no YAML: {error}")))?;
        let Value::Object(root) = root else {
            return Err(wrong(place.to_owned(), "it holds no sections; a configuration is a YAML mapping".to_owned()));
        };
        let mut values = BTreeMap::new();
        flatten("", &root, &mut values);
        for text in overrides {
            let place = || format!("command line: {text}");
            let (key, value) = text.split_once('=').ok_or_else(|| wrong(place(), "expected key=value".to_owned()))?;
            let key = key.trim().trim_start_matches('+');
            if key.split('.').any(str::is_empty) {
                return Err(wrong(place(), "the key is empty, or a part of it is".to_owned()));
            }
            // What it replaces may have been a section, or a value a section stands for now.
            values.retain(|known, _| !known.starts_with(&format!("{key}.")) && !key.starts_with(&format!("{known}.")));
            match serde_saphyr::from_str(value.trim()).unwrap_or_else(|_| Value::String(value.trim().to_owned())) {
                Value::Object(section) => flatten(key, &section, &mut values),
                value => {
                    values.insert(key.to_owned(), value);
                }
            }
        }
        let resolve = |(key, value): (&String, &Value)| {
            let resolved =
                resolved(value, &values, 0).map_err(|reason| wrong(place.to_owned(), format!("{key}: {reason}")))?;
            Ok((key.clone(), resolved))
        };
        let values = values.iter().map(resolve).collect::<Result<_, TrainError>>()?;
        Ok(Self { place: place.to_owned(), values })
    }

    /// What the file is called.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.values.remove(key)
    }

    /// Keys and values below a section, taken out.
    pub(super) fn take_section(&mut self, section: &str) -> Vec<(String, Value)> {
        let below = format!("{section}.");
        let keys: Vec<String> = self.values.keys().filter(|key| key.starts_with(&below)).cloned().collect();
        keys.into_iter().filter_map(|key| self.values.remove_entry(&key)).collect()
    }

    /// What nobody has taken.
    pub(super) fn rest(self) -> BTreeMap<String, Value> {
        self.values
    }
}

fn flatten(prefix: &str, section: &Map<String, Value>, values: &mut BTreeMap<String, Value>) {
    for (key, value) in section {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) => flatten(&key, inner, values),
            value => {
                values.insert(key, value.clone());
            }
        }
    }
}

/// A value with every `${key}` replaced by what stands at that key.
fn resolved(value: &Value, values: &BTreeMap<String, Value>, depth: usize) -> Result<Value, String> {
    match value {
        Value::String(text) => resolved_text(text, values, depth),
        Value::Array(items) => {
            Ok(Value::Array(items.iter().map(|item| resolved(item, values, depth)).collect::<Result<_, _>>()?))
        }
        value => Ok(value.clone()),
    }
}

fn resolved_text(text: &str, values: &BTreeMap<String, Value>, depth: usize) -> Result<Value, String> {
    let Some((before, rest)) = text.split_once("${") else { return Ok(Value::String(text.to_owned())) };
    if depth == DEEPEST {
        return Err(format!("`{text}` leads in a circle; write the value itself"));
    }
    let (key, after) = rest.split_once('}').ok_or_else(|| format!("`{text}` opens `${{` and does not close it"))?;
    if key.contains(':') || key.starts_with('.') || key.contains('$') {
        return Err(format!("`${{{key}}}` is not the name of a key; write the value itself, or override the key"));
    }
    let found = values.get(key).ok_or_else(|| format!("`${{{key}}}` names a key that is not there"))?;
    let found = resolved(found, values, depth + 1)?;
    if before.is_empty() && after.is_empty() {
        return Ok(found);
    }
    let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    let rest = resolved_text(after, values, depth)?;
    Ok(Value::String(format!("{before}{found}{}", rest.as_str().map_or_else(|| rest.to_string(), str::to_owned))))
}
