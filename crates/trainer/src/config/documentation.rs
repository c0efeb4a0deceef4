//! What is known of the keys, for people: in a terminal and as a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Value;

use super::keys::Key;
use super::suggestion::suggest;
use crate::TrainError;

/// What stands above the tables of the page.
const INTRODUCTION: &str = include_str!("introduction.md");

/// Explains a key, the keys of a section, or all keys if the name is empty: what it sets, its type, range, default and source, and its
/// counterparts elsewhere.
///
/// # Errors
/// If there is no such key or section; the nearest one is named.
pub fn explanation(name: &str) -> Result<String, TrainError> {
    let keys = match Key::find(name) {
        Some(key) if !Key::is_section(name) => vec![key],
        _ => Key::below(name),
    };
    if keys.is_empty() {
        let reason = format!("unknown key `{name}`; {}", suggest(name));
        return Err(TrainError::Config { place: "explain".to_owned(), reason });
    }
    let defaults = Key::defaults()?;
    let explained: Vec<String> = keys.into_iter().map(|key| explain(key, &defaults)).collect();
    Ok(explained.join("\n\n"))
}

fn explain(key: &Key, defaults: &BTreeMap<String, Value>) -> String {
    let mut text = key.names().collect::<Vec<_>>().join(", ");
    let _ = write!(text, "\n  {}", key.about);
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, "\n  {name:<8} {value}");
        }
    };
    line("type", Some(key.form.clone()));
    line("unit", key.unit.clone());
    line("range", key.range.clone());
    line("default", Some(default_of(key, defaults)));
    line("example", key.example.as_ref().map(|example| format!("{} = {example}", key.name)));
    line("source", key.source.clone());
    for (program, theirs) in key.elsewhere() {
        line(program, (!theirs.is_empty()).then(|| theirs.join(", ")));
    }
    text
}

/// The default as it is written in TOML, or what it means that there is none.
fn default_of(key: &Key, defaults: &BTreeMap<String, Value>) -> String {
    match (key.required, &key.absent, defaults.get(&key.name)) {
        (true, ..) => "none: has to be given".to_owned(),
        (_, Some(absent), _) => format!("not set: {absent}"),
        (_, None, Some(value)) => written(value),
        (_, None, None) => "not set".to_owned(),
    }
}

/// A value in TOML, small numbers as powers of ten.
fn written(value: &Value) -> String {
    match value {
        Value::Float(number) if *number != 0.0 && number.abs() < 1e-3 => format!("{number:e}"),
        value => value.to_string(),
    }
}

/// The page `docs/configuration.md`: every key, and the keys of other programs beside ours.
///
/// # Errors
/// As [`Key::defaults`].
pub fn documentation() -> Result<String, TrainError> {
    let defaults = Key::defaults()?;
    let mut page = INTRODUCTION.trim_end().to_owned();
    page.push_str("\n\n## Keys\n");
    let mut section = None;
    for key in Key::all() {
        let of = section_of(&key.name);
        if section != Some(of) {
            let title = if of.is_empty() { "Run" } else { of };
            let _ = write!(
                page,
                "\n### {title}\n\n| key | what it sets | type | default | source |\n|---|---|---|---|---|\n"
            );
            section = Some(of);
        }
        let names: Vec<String> = key.names().map(code).collect();
        let counts = [&key.unit, &key.range].into_iter().flatten().map(String::as_str);
        let form = std::iter::once(key.form.as_str()).chain(counts).collect::<Vec<_>>().join(", ");
        let default = match defaults.get(&key.name) {
            Some(value) => code(&written(value)),
            None => default_of(key, &defaults),
        };
        let source = key.source.as_deref().unwrap_or_default();
        let cells = [&names.join(", "), &key.about, &form, &default, source].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push_str(
        "\n## From EasyR1, verl and TRL\n\nKeys that say the same, or nearly so. `config import` converts EasyR1's, and those of VPPO-RL and \
         PAPO.\n\n| ours | EasyR1, VPPO-RL, PAPO | verl | TRL |\n|---|---|---|---|\n",
    );
    let ours = Key::all().iter().map(|key| (code(&key.name), key.elsewhere()));
    let of_recipes = Key::of_recipes().iter().map(|key| (format!("recipe: {}", code(&key.name)), key.elsewhere()));
    for (name, elsewhere) in ours.chain(of_recipes) {
        let theirs = elsewhere.map(|(_, keys)| keys.iter().map(|key| code(key)).collect::<Vec<_>>().join(", "));
        if theirs.iter().any(|keys| !keys.is_empty()) {
            let _ = writeln!(page, "| {name} | {} |", theirs.join(" | "));
        }
    }
    Ok(page)
}

fn section_of(name: &str) -> &str {
    name.split_once('.').map_or("", |(section, _)| section)
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
