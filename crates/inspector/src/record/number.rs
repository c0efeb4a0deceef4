//! Numbers that may be missing: JSON has no NaN, so that a value that is not finite is written as `null`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// A number; `null` is NaN.
#[derive(Deserialize)]
#[serde(transparent)]
struct Number(Option<f32>);

impl Number {
    fn value(&self) -> f32 {
        self.0.unwrap_or(f32::NAN)
    }
}

/// Reads a number.
pub(super) fn one<'de, D: Deserializer<'de>>(source: D) -> Result<f32, D::Error> {
    Ok(Number::deserialize(source)?.value())
}

/// Reads a list.
pub(super) fn list<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<f32>, D::Error> {
    Ok(Vec::<Number>::deserialize(source)?.iter().map(Number::value).collect())
}

/// Reads a list that may be missing.
pub(super) fn list_or_none<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Vec<f32>>, D::Error> {
    let numbers = Option::<Vec<Number>>::deserialize(source)?;
    Ok(numbers.map(|numbers| numbers.iter().map(Number::value).collect()))
}

/// Reads numbers with names.
pub(super) fn named<'de, D: Deserializer<'de>>(source: D) -> Result<BTreeMap<String, f32>, D::Error> {
    let numbers = BTreeMap::<String, Number>::deserialize(source)?;
    Ok(numbers.into_iter().map(|(name, number)| (name, number.value())).collect())
}
