//! Examinations of devices: the CPU is sound, and a device that is wrong in one place is found to be wrong there and
//! nowhere else.
//!
//! A wrong device is the CPU with something between it and the comparison.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use burn::tensor::Device;
use trainer::doctor::{Extent, Finding, Reference, Verdict, examine, examine_named, require_sound};

/// The names of the checks that failed, and what is said of them.
fn failed(findings: &[Finding]) -> Vec<(&str, &str)> {
    let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Failed);
    failed.map(|finding| (finding.check.as_str(), finding.note.as_deref().unwrap_or_default())).collect()
}

static SOUND: LazyLock<Vec<Finding>> =
    LazyLock::new(|| examine(&Device::flex(), Extent::Full, Reference::Recorded, &|_, values| values));

/// What a device makes of the values of a check.
type Fault = (&'static str, fn(&mut Vec<f32>));

/// The findings of a CPU with faults, compared with the CPU as it is.
fn wrong(extent: Extent, faults: &[Fault]) -> Vec<Finding> {
    examine(&Device::flex(), extent, Reference::Cpu, &|name, mut values| {
        faults.iter().filter(|(check, _)| *check == name).for_each(|(_, change)| change(&mut values));
        values
    })
}

#[test]
fn the_cpu_computes_what_was_recorded() {
    assert_eq!(failed(&SOUND), []);
    // Nothing is compared with itself or left out.
    assert!(SOUND.len() > 60, "{} findings", SOUND.len());
    assert!(SOUND.iter().all(|finding| finding.values > 0 && finding.verdict == Verdict::Sound), "{SOUND:?}");
    let names: BTreeSet<&str> = SOUND.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(names.len(), SOUND.len(), "every finding has a name of its own");
    for name in [
        "log1p near 0",
        "top 40",
        "sum with not-a-number",
        "logits",
        "gradient of the vision attention",
        "gradient of the token embedding",
        "optimized norms",
        "divergence jensen-shannon",
        "metric dependency-bound",
        "estimator grpo-pass-at-k",
        "shaper soft-token-filter, gate, some unknown",
    ] {
        assert!(names.contains(name), "{name} is missing from {names:?}");
    }
}

/// The faults that backends are known for, each found by the check that is there for it.
#[test]
fn a_wrong_device_fails_where_it_is_wrong() {
    let negated = |values: &mut Vec<f32>| values.iter_mut().for_each(|value| *value = -*value);
    let a_thousandth = |values: &mut Vec<f32>| values.iter_mut().for_each(|value| *value *= 1.001);
    let a_thousandth_once = |values: &mut Vec<f32>| {
        let last = values.len() - 1;
        values[last] += 1e-3;
    };
    let swallowed = |values: &mut Vec<f32>| {
        values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
    };
    let cut_to_ten_bits =
        |values: &mut Vec<f32>| values.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits() & !0x1fff));
    let zero = |values: &mut Vec<f32>| values.fill(0.0);
    let shorter = |values: &mut Vec<f32>| {
        values.pop();
    };
    let faults: [Fault; 18] = [
        ("logits in bf16", negated),
        ("gradient of the norms in bf16", zero),
        ("gradient of the attention", negated),
        ("gradient of the merger", a_thousandth),
        ("gradient of the patch embedding", zero),
        ("gradient of the norms", shorter),
        ("gradient norm", a_thousandth),
        ("sum with not-a-number", swallowed),
        ("0 times not-a-number", swallowed),
        ("matrix product", cut_to_ten_bits),
        ("top 40", a_thousandth_once),
        ("log-probabilities", a_thousandth_once),
        ("entropies", negated),
        ("optimized feed-forward", a_thousandth_once),
        ("divergence sampled-k3", a_thousandth_once),
        ("estimator grpo", negated),
        ("shaper perception-gate, advantage", a_thousandth_once),
        ("metric visual-dependency", zero),
    ];
    let findings = wrong(Extent::Full, &faults);
    let failed = failed(&findings);
    let found: BTreeSet<&str> = failed.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, faults.iter().map(|(name, _)| *name).collect());
    assert!(failed.iter().all(|(_, note)| note.contains("expected")), "{failed:?}");
}

/// An unknown dependency that becomes a number shows in the shaper that has to see it.
#[test]
fn a_swallowed_unknown_is_found() {
    let check = SOUND
        .iter()
        .find(|finding| finding.check.ends_with("some unknown") && finding.sample.iter().any(|value| value.is_nan()));
    let check = check.expect("a shaper hands the unknown on").check.clone();
    let findings = examine(&Device::flex(), Extent::Full, Reference::Cpu, &|name, mut values| {
        if name == check {
            values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
        }
        values
    });
    let failed = failed(&findings);
    assert!(failed.len() == 1 && failed[0].0 == check && failed[0].1.contains("expected NaN"), "{failed:?}");
}

/// Known differences are shown, and fail no device: the program does without.
#[test]
fn known_differences_are_allowed_for() {
    let vanished =
        |values: &mut Vec<f32>| values.iter_mut().filter(|value| **value < 1e-7).for_each(|value| *value = 0.0);
    let faults: [Fault; 3] = [
        ("log1p near 0", vanished),
        ("largest beside not-a-number", |values| values[0] = 3.0),
        ("clamped", |values| values[1] = -1.0),
    ];
    let findings = wrong(Extent::Quick, &faults);
    assert_eq!(failed(&findings), []);
    for (check, _) in faults {
        let finding = findings.iter().find(|finding| finding.check == check).expect("it was checked");
        assert_eq!(finding.verdict, Verdict::AllowedFor, "{check}");
        let note = finding.note.as_deref().unwrap_or_default();
        assert!(note.contains("expected") && note.contains(';'), "both the value and the remedy: {note}");
    }
}

/// Recorded values are as strict: another CPU that is wrong has nothing to compare with but them.
#[test]
fn a_wrong_cpu_differs_from_the_recording() {
    let findings = examine(&Device::flex(), Extent::Quick, Reference::Recorded, &|name, mut values| {
        if name == "logits" {
            values.iter_mut().for_each(|value| *value += 1e-3);
        }
        values
    });
    assert_eq!(failed(&findings).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["logits"]);
}

/// A backend that panics costs its checks and nothing else.
#[test]
fn a_panic_is_a_failed_check() {
    // No index of a device is as large; what is built lazily fails where it is used.
    let findings = examine(&Device::flex(), Extent::Quick, Reference::Cpu, &|name, values| match name {
        "exp" => panic!("the test's own"),
        _ => values,
    });
    let failed = failed(&findings);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].0 == "exp and log" && failed[0].1.contains("panicked: the test's own"), "{failed:?}");
}

#[test]
fn examinations_are_tables_and_json() {
    let examination = examine_named("cpu", Extent::Quick).expect("the CPU is there");
    assert!(examination.is_sound());
    let table = examination.to_string();
    for part in ["matrix product", "1e-5·max|x|", "sums of products in f32", "sound"] {
        assert!(table.contains(part), "{part} is missing from\n{table}");
    }
    let json = examination.to_json();
    assert_eq!((&json["device"], &json["sound"]), (&"cpu".into(), &true.into()));
    let first = &json["findings"][0];
    assert_eq!((&first["check"], &first["verdict"]), (&"integers".into(), &"sound".into()));
    assert!(first["tolerance"]["reason"].is_string() && first["absolute"] == 0.0, "{first}");

    let findings = wrong(Extent::Quick, &[("logits", |values| values[5] = f32::NAN)]);
    let examination = trainer::doctor::Examination { device: "made-up:0".to_owned(), findings };
    let error = examination.require_sound().expect_err("it is wrong").to_string();
    for part in ["made-up:0 fails 1 checks", "FAILED logits: value 5 is NaN", "--skip-doctor"] {
        assert!(error.contains(part), "{part} is missing from\n{error}");
    }
    let json = examination.to_json();
    let logits = json["findings"].as_array().expect("a list").iter().find(|found| found["check"] == "logits");
    let logits = logits.expect("it was checked");
    assert_eq!((&json["sound"], &logits["verdict"]), (&false.into(), &"failed".into()));
    assert!(logits["absolute"].is_null(), "JSON has no infinity: {logits}");
}

#[test]
fn devices_that_are_not_there_are_named() {
    assert!(require_sound("cpu").is_ok(), "nothing runs on the CPU");
    let error = require_sound("gpu").expect_err("no such kind").to_string();
    assert!(error.contains("gpu") && error.contains("use cpu, wgpu or cuda:0"), "{error}");
    assert!(examine_named("cuda:x", Extent::Quick).expect_err("no index").to_string().contains("`x` is not an index"));
}
