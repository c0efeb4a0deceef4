//! Values that the CPU computed once.
//!
//! `recorded.json` holds, for every list of values whose answer the host does not know, how many they are and up to
//! seventeen of them. The same numbers stand in `sightline doctor --device cpu --json` under `sample`. They were
//! computed by this program, on x86-64 with AVX2, when its model and algorithms agreed with the recordings of the
//! parity tests; so they tell whether a build or a processor computes the same, not whether the algorithms are right.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// Values of a list that are recorded.
const SAMPLE: usize = 16;

/// What is recorded of a list of values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    /// How many there are.
    pub(super) values: usize,
    /// Some of them.
    #[serde(deserialize_with = "numbers")]
    pub(super) sample: Vec<f32>,
}

static RECORDED: LazyLock<BTreeMap<String, Recorded>> =
    LazyLock::new(|| serde_json::from_str(include_str!("recorded.json")).unwrap_or_default());

/// What is recorded under a name.
pub(super) fn find(name: &str) -> Option<&'static Recorded> {
    RECORDED.get(name)
}

/// Up to sixteen values, evenly spaced from the first on, and the one that is largest in magnitude.
pub(super) fn sample(values: &[f32]) -> Vec<f32> {
    let taken = SAMPLE.min(values.len());
    let spaced = (0..taken).map(|index| values[index * values.len() / taken]);
    let largest = values.iter().copied().filter(|value| value.is_finite()).max_by(|a, b| a.abs().total_cmp(&b.abs()));
    spaced.chain(largest).collect()
}

/// Numbers written as texts, since JSON has no infinities.
fn numbers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let texts: Vec<String> = Vec::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_whole() {
        let recorded: BTreeMap<String, Recorded> =
            serde_json::from_str(include_str!("recorded.json")).expect("the file");
        assert!(recorded.len() > 30, "{} lists", recorded.len());
        for (name, recorded) in &recorded {
            assert_eq!(recorded.sample.len(), SAMPLE.min(recorded.values) + 1, "{name}");
            // A list of zeros would be like any other device's.
            assert!(recorded.sample.iter().any(|&value| value != 0.0), "{name}");
        }
    }

    #[test]
    fn a_sample_is_evenly_spaced() {
        let values: Vec<f32> = (0..100).map(|index| index as f32).collect();
        let sample = sample(&values);
        assert_eq!((sample.len(), sample[0], sample[1], sample[15], sample[16]), (17, 0.0, 6.0, 93.0, 99.0));
        assert_eq!(super::sample(&[1.0, -7.0, f32::INFINITY]), [1.0, -7.0, f32::INFINITY, -7.0]);
        assert!(super::sample(&[]).is_empty());
    }
}
