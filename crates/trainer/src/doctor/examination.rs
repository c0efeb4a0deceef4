//! What an examination found, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use super::check::{Check, Output};
use super::compare::{Difference, Tolerance, compare as difference};
use super::recorded;
use crate::TrainError;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within the tolerance.
    Sound,
    /// Beyond it, as is known of such devices; the program does without.
    AllowedFor,
    /// Beyond it, or not computed at all.
    Failed,
}

impl Verdict {
    /// The word for it in tables and in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::AllowedFor => "allowed for",
            Self::Failed => "FAILED",
        }
    }
}

/// What was found of one list of values.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was computed.
    pub check: String,
    /// How many values were compared.
    pub values: usize,
    /// Largest absolute difference; infinite if one side alone is no number.
    pub absolute: f64,
    /// Largest difference as a share of the expected value.
    pub relative: f64,
    /// How far off values may be.
    pub tolerance: Tolerance,
    /// What became of it.
    pub verdict: Verdict,
    /// The worst value, or why nothing was computed, or what is done instead.
    pub note: Option<String>,
    /// Up to 16 of the values, evenly spaced, and the largest: what is recorded of the CPU.
    pub sample: Vec<f32>,
    /// Time the check took on the device, all its lists together, the compilation of kernels included.
    pub seconds: f64,
}

/// What was found of a device.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Its name.
    pub device: String,
    /// A finding for every list of values, in the order of the checks.
    pub findings: Vec<Finding>,
}

/// Compares what a check computed with its answers: those known to the host, the CPU's, or the recorded ones.
pub(super) fn compare(
    check: &Check,
    found: Result<Vec<Output>, String>,
    of_cpu: impl FnOnce() -> Result<Option<Vec<Output>>, String>,
    seconds: f64,
) -> Vec<Finding> {
    let failed = |name: &str, note: String| Finding {
        check: name.to_owned(),
        values: 0,
        absolute: f64::INFINITY,
        relative: f64::INFINITY,
        tolerance: check.tolerance,
        verdict: Verdict::Failed,
        note: Some(note),
        sample: Vec::new(),
        seconds,
    };
    let found = match found {
        Ok(found) => found,
        Err(reason) => return vec![failed(&check.name, reason)],
    };
    let needs_cpu = found.iter().any(|output| output.known.is_none());
    let of_cpu = match if needs_cpu { of_cpu() } else { Ok(None) } {
        Ok(outputs) => outputs,
        Err(reason) => return vec![failed(&check.name, format!("on the CPU: {reason}"))],
    };
    let of_cpu = of_cpu.as_deref();
    let finding = |Output { name, values, known }: Output| {
        let sample = recorded::sample(&values);
        let difference = match known {
            Some(known) => Ok(difference(&values, &known, &check.tolerance)),
            None => from_elsewhere(&name, &values, &sample, of_cpu, &check.tolerance),
        };
        let (values, failed) = (values.len(), failed(&name, String::new()));
        let difference = match difference {
            Ok(difference) => difference,
            Err(reason) => return Finding { values, sample, note: Some(reason), ..failed },
        };
        let (verdict, note) = match (difference.worst, check.allowed_for) {
            (None, _) => (Verdict::Sound, None),
            (Some(worst), Some(remedy)) => (Verdict::AllowedFor, Some(format!("{worst}; {remedy}"))),
            (Some(worst), None) => (Verdict::Failed, Some(worst)),
        };
        let (absolute, relative) = (difference.absolute, difference.relative);
        Finding { values, absolute, relative, verdict, note, sample, ..failed }
    };
    found.into_iter().map(finding).collect()
}

/// Compares with what the CPU computed, or else with what is recorded.
fn from_elsewhere(
    name: &str,
    values: &[f32],
    sample: &[f32],
    of_cpu: Option<&[Output]>,
    tolerance: &Tolerance,
) -> Result<Difference, String> {
    if let Some(outputs) = of_cpu {
        let output = outputs.iter().find(|output| output.name == name);
        let output = output.ok_or("the CPU computed nothing of this name")?;
        return Ok(difference(values, &output.values, tolerance));
    }
    let known = recorded::find(name).ok_or("nothing is recorded of it")?;
    if known.values != values.len() {
        return Err(format!("{} values, {} are recorded", values.len(), known.values));
    }
    Ok(difference(sample, &known.sample, tolerance))
}

impl Examination {
    /// Whether no check failed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Failed)
    }

    /// # Errors
    /// [`TrainError::UnsoundDevice`] if a check failed.
    pub fn require_sound(&self) -> Result<(), TrainError> {
        if self.is_sound() {
            return Ok(());
        }
        let failed = self.findings.iter().filter(|finding| finding.verdict == Verdict::Failed).count();
        Err(TrainError::UnsoundDevice { name: self.device.clone(), failed, table: self.to_string() })
    }

    /// Everything as JSON; differences that are infinite are null.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let finite = |value: f64| value.is_finite().then_some(value);
        let finding = |finding: &Finding| {
            json!({
                "check": finding.check,
                "values": finding.values,
                "absolute": finite(finding.absolute),
                "relative": finite(finding.relative),
                "tolerance": {
                    "absolute": finding.tolerance.absolute,
                    "relative": finding.tolerance.relative,
                    "of_largest": finding.tolerance.of_largest,
                    "reason": finding.tolerance.reason,
                },
                "verdict": finding.verdict.word().to_lowercase(),
                "note": finding.note,
                // As text, since JSON has no infinities.
                "sample": finding.sample.iter().map(|value| format!("{value:e}")).collect::<Vec<_>>(),
                "seconds": finding.seconds,
            })
        };
        json!({
            "device": self.device,
            "sound": self.is_sound(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

impl Display for Examination {
    /// A table of the findings, the reasons of their tolerances, and what there is to say of single findings.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.findings {
            let next = reasons.len() + 1;
            reasons.entry(finding.tolerance.reason).or_insert(next);
        }
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(["check", "values", "absolute", "relative", "allowed", "why", "verdict"]);
        for finding in &self.findings {
            table.add_row([
                finding.check.clone(),
                finding.values.to_string(),
                format!("{:.1e}", finding.absolute),
                format!("{:.1e}", finding.relative),
                finding.tolerance.to_string(),
                reasons.get(finding.tolerance.reason).map_or_else(String::new, usize::to_string),
                finding.verdict.word().to_owned(),
            ]);
        }
        for column in 1..4 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        write!(formatter, "{table}")?;
        let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
        reasons.sort_by_key(|&(_, number)| number);
        for (reason, number) in reasons {
            write!(formatter, "\n{number}: {reason}")?;
        }
        for finding in &self.findings {
            if let Some(note) = &finding.note {
                write!(formatter, "\n{} {}: {note}", finding.verdict.word(), finding.check)?;
            }
        }
        Ok(())
    }
}
