//! A conversion under way: what is left of the source, what was made of it, and an account of both.

use serde_json::Value;
use toml::Table;

use super::source::Source;
use super::{Fate, ImportedKey};
use crate::TrainError;
use crate::config::keys::insert;

/// Takes keys from the source, one after the other, and sets ours.
pub(super) struct Conversion {
    source: Source,
    settings: Table,
    keys: Vec<ImportedKey>,
}

/// A key with its value, to be accounted for.
#[derive(Clone, Debug)]
pub(super) struct Taken<T> {
    /// Its name.
    pub(super) key: &'static str,
    /// Its value, or the default.
    pub(super) value: T,
    /// Whether it was given.
    pub(super) given: bool,
    shown: String,
}

impl Conversion {
    pub(super) fn new(source: Source) -> Self {
        Self { source, settings: Table::new(), keys: Vec::new() }
    }

    /// A number, or `default`.
    pub(super) fn number(&mut self, key: &'static str, default: f64) -> Result<Taken<f64>, TrainError> {
        self.take(key, default, "a number", |value| match value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_f64(),
        })
    }

    /// A whole number, or `default`; -1 is often written for "none".
    pub(super) fn count(&mut self, key: &'static str, default: i64) -> Result<Taken<i64>, TrainError> {
        let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64);
        self.take(key, default, "a whole number", |value| match value {
            Value::String(text) => text.trim().parse().ok().and_then(whole),
            value => value.as_i64().or_else(|| value.as_f64().and_then(whole)),
        })
    }

    /// A switch, or `default`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Result<Taken<bool>, TrainError> {
        self.take(key, default, "true or false", |value| match value {
            Value::String(text) => text.trim().to_lowercase().parse().ok(),
            value => value.as_bool(),
        })
    }

    /// A text, or `default`.
    pub(super) fn text(&mut self, key: &'static str, default: &str) -> Result<Taken<String>, TrainError> {
        self.take(key, default.to_owned(), "a text", |value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        })
    }

    /// A text, if there is one.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Result<Taken<Option<String>>, TrainError> {
        let Taken { key, value, given, shown } = self.text(key, "")?;
        Ok(Taken { key, value: (!value.is_empty()).then_some(value), given, shown })
    }

    /// A whole number, if there is one.
    pub(super) fn optional_count(&mut self, key: &'static str) -> Result<Taken<Option<i64>>, TrainError> {
        let Taken { key, value, given, shown } = self.count(key, i64::MIN)?;
        let is_there = value != i64::MIN;
        Ok(Taken { key, value: is_there.then_some(value), given, shown })
    }

    /// Texts: one or a list.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Taken<Vec<String>>, TrainError> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        self.take(key, Vec::new(), "a text or a list of texts", |value| match value {
            Value::Array(items) => items.iter().map(text).collect(),
            value => Some(text(value)?.split_terminator('\n').map(str::to_owned).collect()),
        })
    }

    /// Two numbers, or `default`.
    pub(super) fn pair(&mut self, key: &'static str, default: [f64; 2]) -> Result<Taken<[f64; 2]>, TrainError> {
        self.take(key, default, "a list of two numbers", |value| {
            let numbers: Vec<f64> = value.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
            numbers.try_into().ok()
        })
    }

    /// Takes a key; null counts as not written, but is accounted for.
    fn take<T: serde::Serialize>(
        &mut self,
        key: &'static str,
        default: T,
        form: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Taken<T>, TrainError> {
        let found = self.source.take(key);
        let given = found.is_some();
        let Some(value) = found.filter(|value| !value.is_null()) else {
            let shown = if given { "null".to_owned() } else { serde_json::to_string(&default).unwrap_or_default() };
            return Ok(Taken { key, value: default, given, shown });
        };
        let shown = value.to_string();
        let place = || self.source.place().to_owned();
        let value = read(&value).ok_or_else(|| TrainError::Config {
            place: place(),
            reason: format!("{key} is {shown}; expected {form}"),
        })?;
        Ok(Taken { key, value, given, shown })
    }

    /// Sets one of our keys.
    pub(super) fn set(&mut self, key: &str, value: impl Into<toml::Value>) {
        insert(&mut self.settings, key, value.into());
    }

    /// The texts that one of our keys was set to.
    pub(super) fn setting(&self, key: &str) -> Vec<String> {
        let mut value = None;
        let mut table = &self.settings;
        for word in key.split('.') {
            value = table.get(word);
            let Some(toml::Value::Table(inner)) = value else { break };
            table = inner;
        }
        match value {
            Some(toml::Value::String(text)) => vec![text.clone()],
            Some(toml::Value::Array(items)) => {
                items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Sets one of our keys from one of theirs. What they have by default is set, too, since ours may be another.
    pub(super) fn convert<T>(&mut self, taken: &Taken<T>, key: &str, value: impl Into<toml::Value>) {
        let value = value.into();
        self.account(taken, Fate::Converted { to: format!("{key} = {value}") });
        self.set(key, value);
    }

    /// Says that a key went into the recipe.
    pub(super) fn put_in_recipe<T>(&mut self, taken: &Taken<T>, place: &str) {
        self.account(taken, Fate::Converted { to: format!("recipe: {place}") });
    }

    /// Says that a key went into one of ours together with others.
    pub(super) fn put_in_others<T>(&mut self, taken: &Taken<T>, to: &str) {
        self.account(taken, Fate::Converted { to: to.to_owned() });
    }

    /// Says that a key says nothing that would not be so anyway.
    pub(super) fn imply<T>(&mut self, taken: &Taken<T>, why: &str) {
        if taken.given {
            self.account(taken, Fate::Implied { why: why.to_owned() });
        }
    }

    /// Says that a key cannot be expressed, though the result may depend on it.
    pub(super) fn lose<T>(&mut self, taken: &Taken<T>, why: &str) {
        self.account(taken, Fate::Lost { why: why.to_owned(), matters: true });
    }

    /// Says that a key cannot be expressed, which changes no result.
    pub(super) fn let_go<T>(&mut self, taken: &Taken<T>, why: &str) {
        if taken.given {
            self.account(taken, Fate::Lost { why: why.to_owned(), matters: false });
        }
    }

    /// The same account for keys that need no value.
    pub(super) fn account_for(&mut self, keys: &[&str], fate: &Fate) {
        for key in keys {
            if let Some(value) = self.source.take(key) {
                let key = (*key).to_owned();
                self.keys.push(ImportedKey { key, value: value.to_string(), given: true, fate: fate.clone() });
            }
        }
    }

    /// The same account for all keys of a section that are left.
    pub(super) fn account_for_section(&mut self, section: &str, fate: &Fate) {
        for (key, value) in self.source.take_section(section) {
            self.keys.push(ImportedKey { key, value: value.to_string(), given: true, fate: fate.clone() });
        }
    }

    fn account<T>(&mut self, taken: &Taken<T>, fate: Fate) {
        let (key, value) = (taken.key.to_owned(), taken.shown.clone());
        self.keys.push(ImportedKey { key, value, given: taken.given, fate });
    }

    /// What was made, and the account of it. Keys that nobody knows are lost.
    pub(super) fn finish(mut self) -> (Table, Vec<ImportedKey>) {
        for (key, value) in self.source.rest() {
            let why = "no key of EasyR1, VPPO-RL or PAPO that is known here; check how it is spelled".to_owned();
            let fate = Fate::Lost { why, matters: true };
            self.keys.push(ImportedKey { key, value: value.to_string(), given: true, fate });
        }
        self.keys.sort_by(|left, right| left.key.cmp(&right.key));
        (self.settings, self.keys)
    }
}
