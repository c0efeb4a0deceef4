//! Settings as they were written, on the way to becoming a configuration; who wrote what is remembered for messages.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::TrainConfig;
use super::keys::{Key, PARTS, is_at_or_below};
use super::suggestion::suggest;
use crate::TrainError;

/// A table and where it comes from.
pub(super) struct Draft<'a> {
    table: Table,
    /// Name and text of the file; without one, what is not overridden is default.
    file: Option<(String, &'a str)>,
    overrides: &'a [String],
}

/// A setting that cannot be.
pub(super) struct Fault {
    /// The dotted keys it is about.
    pub(super) keys: Vec<String>,
    /// What is wrong, with the value.
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn new(keys: &[&str], reason: String) -> Self {
        Self { keys: keys.iter().map(|&key| key.to_owned()).collect(), reason }
    }
}

impl<'a> Draft<'a> {
    /// The settings of a file, with overrides.
    pub(super) fn of_file(place: &str, text: &'a str, overrides: &'a [String]) -> Result<Self, TrainError> {
        let wrong = |reason: String| TrainError::Config { place: place.to_owned(), reason };
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let is_yaml = [".yaml", ".yml"].iter().any(|end| place.to_lowercase().ends_with(end));
            let hint = if is_yaml { "this is YAML; `sightline config import` makes TOML of it\n" } else { "" };
            wrong(format!("{hint}{error}"))
        })?;
        Self { table, file: Some((place.to_owned(), text)), overrides }.overridden()
    }

    /// A whole configuration, with overrides.
    pub(super) fn of_table(table: Table, overrides: &'a [String]) -> Result<Self, TrainError> {
        Self { table, file: None, overrides }.overridden()
    }

    fn overridden(mut self) -> Result<Self, TrainError> {
        override_all(&mut self.table, self.overrides)?;
        Ok(self)
    }

    /// The configuration, if it is one.
    pub(super) fn understood(self) -> Result<TrainConfig, TrainError> {
        if let Some(unknown) = first_unknown(&self.table) {
            let reason = format!("unknown key `{}`; {}", unknown.shown, suggest(&unknown.name));
            return Err(self.blame(&Fault { keys: vec![unknown.shown], reason }));
        }
        let config: TrainConfig =
            self.table.clone().try_into().map_err(|error: toml::de::Error| self.blame(&malformed(&error)))?;
        config.validate().and_then(|()| self.require(&config)).map_err(|fault| self.blame(&fault))?;
        Ok(config)
    }

    /// Refuses empty values of what a file has to give.
    fn require(&self, config: &TrainConfig) -> Result<(), Fault> {
        let has_output = !config.output.as_os_str().is_empty();
        let given = [
            ("model", !config.model.as_os_str().is_empty()),
            ("output", has_output),
            ("data.train", config.data.train.parts().next().is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| self.file.is_some() && !is_given) {
            Some((key, _)) => Err(Fault::new(&[key], format!("{key} is empty{}", expected(key)))),
            None => Ok(()),
        }
    }

    /// The error of a fault, with the override or the line of the file that it stands in.
    fn blame(&self, fault: &Fault) -> TrainError {
        let key_of = |text: &'a String| text.split_once('=').map_or(text.as_str(), |(key, _)| key).trim();
        let plain = |key: &str| key.split(['[', ']']).step_by(2).collect::<String>();
        let concerns = |text: &&'a String| {
            let own = key_of(text);
            fault.keys.iter().any(|key| is_at_or_below(&plain(key), own) || is_at_or_below(own, &plain(key)))
        };
        let last = self.overrides.iter().rev().find(|text| !fault.keys.is_empty() && concerns(text));
        let place = match (last, &self.file) {
            (Some(text), _) => format!("command line: {text}"),
            (None, Some((place, text))) => {
                let line = fault.keys.iter().find_map(|key| line_of(text, key));
                line.map_or_else(|| place.clone(), |line| format!("{place}, line {line}"))
            }
            (None, None) => "command line".to_owned(),
        };
        TrainError::Config { place, reason: fault.reason.clone() }
    }
}

/// Sets dotted keys of a table from `key=value` texts.
pub(crate) fn override_all(table: &mut Table, overrides: &[String]) -> Result<(), TrainError> {
    for text in overrides {
        let wrong =
            |reason: &str| TrainError::Config { place: format!("command line: {text}"), reason: reason.to_owned() };
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("expected key=value"))?;
        let value = parse_value(value.trim());
        let mut keys: Vec<&str> = key.trim().split('.').collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(wrong("the key is empty, or a part of it is"));
        }
        let last = keys.pop().unwrap_or_default();
        let mut at = &mut *table;
        for key in keys {
            let entry = at.entry(key).or_insert_with(|| Value::Table(Table::new()));
            at = entry.as_table_mut().ok_or_else(|| wrong("a part of the key is not a section"))?;
        }
        at.insert(last.to_owned(), value);
    }
    Ok(())
}

/// A TOML value, or a string if it is none.
pub(super) fn parse_value(text: &str) -> Value {
    let parsed: Result<Table, _> = format!("value = {text}").parse();
    parsed.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A key that is none.
struct Unknown {
    /// As it stands in the configuration.
    shown: String,
    /// As it would stand in the table of keys.
    name: String,
}

fn first_unknown(table: &Table) -> Option<Unknown> {
    unknown_below("", "", table)
}

fn unknown_below(shown: &str, name: &str, table: &Table) -> Option<Unknown> {
    table.iter().find_map(|(key, value)| {
        let join = |prefix: &str| if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let (shown, name) = (join(shown), join(name));
        if Key::find(&name).is_none() && !Key::is_section(&name) {
            return Some(Unknown { shown: deepest(&shown, value), name: deepest(&name, value) });
        }
        match value {
            Value::Table(inner) if Key::is_section(&name) => unknown_below(&shown, &name, inner),
            Value::Array(parts) if name == PARTS => parts.iter().enumerate().find_map(|(index, part)| {
                let part = part.as_table()?;
                let kind = part.get("kind").and_then(Value::as_str)?;
                unknown_in_part(&format!("{shown}[{index}]"), kind, part)
            }),
            _ => None,
        }
    })
}

/// Keys of a part stand below its kind in the table of keys, those of every part do not.
fn unknown_in_part(shown: &str, kind: &str, part: &Table) -> Option<Unknown> {
    let of_kind = format!("{PARTS}.{kind}");
    if !Key::is_section(&of_kind) {
        return None;
    }
    let is_of_all = |key: &String| Key::find(&format!("{PARTS}.{key}")).is_some();
    let own: Table = part.iter().filter(|(key, _)| !is_of_all(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    unknown_below(shown, &of_kind, &own)
}

/// A name with the only key of each table below it, so that a whole unknown override is named.
fn deepest(name: &str, value: &Value) -> String {
    match value {
        Value::Table(table) if table.len() == 1 => {
            table.iter().map(|(key, value)| deepest(&format!("{name}.{key}"), value)).collect()
        }
        _ => name.to_owned(),
    }
}

/// What serde found wrong, and at which key.
fn malformed(error: &toml::de::Error) -> Fault {
    let text = error.to_string();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let section = lines.last().and_then(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    let reason = lines[..lines.len() - usize::from(section.is_some())].join("\n");
    let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match (missing, section) {
        (Some(field), section) => {
            let key = section.map_or_else(|| field.to_owned(), |section| format!("{section}.{field}"));
            let example = Key::find(&key).and_then(|known| known.example.as_deref());
            let example = example.map(|example| format!(", for example `{key} = {example}`")).unwrap_or_default();
            Fault {
                reason: format!("{key} is missing; give it{example}"),
                keys: section.map(str::to_owned).into_iter().collect(),
            }
        }
        (None, Some(key)) => Fault { reason: format!("{key}: {reason}{}", expected(key)), keys: vec![key.to_owned()] },
        (None, None) => Fault { reason, keys: Vec::new() },
    }
}

/// What a key expects, to be put behind what is wrong with it.
pub(super) fn expected(key: &str) -> String {
    let Some(key) = Key::find(key) else { return String::new() };
    let range = key.range.as_ref().map(|range| format!(", {range}")).unwrap_or_default();
    let example = key.example.as_ref().map(|example| format!(", such as {example}")).unwrap_or_default();
    format!("; use a value of type {}{range}{example}", key.form)
}

/// The line of a TOML text in which a key stands, or the nearest section above it.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut found = None;
    for word in key.split('.') {
        let (word, index) = match word.split_once('[') {
            Some((word, index)) => (word, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (word, None),
        };
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == word) else { break };
        found = Some(name.span().start);
        let mut value: &Spanned<DeValue> = value;
        if let (Some(index), DeValue::Array(items)) = (index, value.get_ref()) {
            let Some(item) = items.get(index) else { break };
            found = Some(item.span().start);
            value = item;
        }
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    found.map(|start| 1 + text[..start].matches('\n').count())
}
