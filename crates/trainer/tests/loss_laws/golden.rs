//! Recorded outputs of an independent float64 implementation (`tests/fixtures/scripts/make_loss_and_credit_cases.py`), made
//! with garbage in the padding.

use advantage::{Credit, CreditShaper};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use dependency::{Divergence, SampledK3};
use serde_json::Value;
use trainer::{ClipRange, ClippedSurrogate, KlEstimator, Objective, Reduction, ReferenceKl, vppo};

use crate::table::{Batch, filled};

const GOLDEN: &str = include_str!("../../../../tests/fixtures/loss/golden.json");

/// Calls `check` with every recorded case of `function`, at least `least` of them.
fn for_each_case(function: &str, least: usize, check: impl Fn(&str, &Value)) {
    let golden: Value = serde_json::from_str(GOLDEN).expect("the fixture is JSON");
    let cases = golden[function].as_array().expect("a list of cases");
    assert!(cases.len() >= least, "{} cases of {function}", cases.len());
    for (index, case) in cases.iter().enumerate() {
        check(&format!("{function} {index}"), case);
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("nan, inf or -inf"),
        number => number.as_f64().expect("a number"),
    }
}

fn table(value: &Value) -> Vec<Vec<f64>> {
    let row = |row: &Value| row.as_array().expect("a row").iter().map(number).collect();
    value.as_array().expect("a table").iter().map(row).collect()
}

fn reduction(case: &Value) -> Reduction {
    match case["mode"].as_str() {
        Some("token") => Reduction::TokenMean,
        Some("seq") => Reduction::SequenceMean,
        other => panic!("unknown mode {other:?}"),
    }
}

fn lengths(case: &Value) -> (Vec<usize>, usize) {
    let lengths = case["lengths"].as_array().expect("a list").iter().map(|n| n.as_u64().expect("a length") as usize);
    (lengths.collect(), case["width"].as_u64().expect("a width") as usize)
}

/// A case's log-probabilities, and NaN or silence for what it has not.
fn batch(case: &Value) -> Batch {
    let (lengths, width) = lengths(case);
    let log_probs = table(&case["logp"]);
    let rows = lengths.len();
    let (nothing, zeros) = (filled(rows, width, f64::NAN), filled(rows, width, 0.0));
    Batch {
        lengths,
        width,
        old: log_probs.clone(),
        log_probs,
        reference: nothing,
        advantage: zeros.clone(),
        gate: zeros,
    }
}

/// An objective without any term but the surrogate.
fn silent(reduction: Reduction) -> Objective {
    Objective { reduction, entropy_penalty: 0.0, reference_kl: None }
}

/// The surrogate of DAPO without the second bound.
fn plain_surrogate() -> ClippedSurrogate {
    ClippedSurrogate { clip: ClipRange::new(0.2, 0.28).expect("a valid range"), dual: None }
}

/// The tolerance of an f32 implementation: 2e-5 relative, 2e-6 absolute.
#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64) {
    let allowed = 2e-6 + 2e-5 * expected.abs();
    assert!((found - expected).abs() <= allowed, "{what}: {found} but expected {expected}");
}

#[track_caller]
fn assert_tables_close(what: &str, found: &[Vec<f64>], expected: &[Vec<f64>]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (token, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_close(&format!("{what}, row {row}, token {token}"), *found, *expected);
        }
    }
}

#[test]
fn clipped_surrogate() {
    for_each_case("ppo_loss", 24, |name, case| {
        let clip = ClipRange::new(number(&case["clip_low"]), number(&case["clip_high"])).expect("a valid range");
        let surrogate = ClippedSurrogate { clip, dual: case["dual_clip"].as_f64() };
        let objective = silent(reduction(case));
        let tables = (table(&case["old_logp"]), table(&case["adv"]), table(&case["gate"]));
        let batch = Batch { old: tables.0, advantage: tables.1, gate: tables.2, ..batch(case) };
        let ours = batch.evaluate(&surrogate, &objective);
        assert_close(name, ours.total, number(&case["loss"]));
        assert_close(name, ours.parts[0], number(&case["loss"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
        if objective.reduction == Reduction::TokenMean {
            for (part, key) in [(3, "clip_frac_high"), (4, "clip_frac_low"), (5, "approx_kl")] {
                assert_close(&format!("{name}: {key}"), ours.parts[part], number(&case[key]));
            }
        }
    });
}

#[test]
fn reference_kl() {
    for_each_case("kl_loss", 24, |name, case| {
        let estimator = match case["kind"].as_str() {
            Some("k1") => KlEstimator::K1,
            Some("k2") => KlEstimator::K2,
            Some("k3") => KlEstimator::K3,
            other => panic!("unknown kind {other:?}"),
        };
        let reference_kl = Some(ReferenceKl { estimator, coefficient: 1.0 });
        let objective = Objective { reference_kl, ..silent(reduction(case)) };
        let ours =
            Batch { reference: table(&case["ref_logp"]), ..batch(case) }.evaluate(&plain_surrogate(), &objective);
        assert_close(name, ours.total, number(&case["value"]));
        assert_close(name, ours.parts[2], number(&case["value"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
    });
}

#[test]
fn entropy_proxy() {
    for_each_case("sampled_entropy", 8, |name, case| {
        let ours =
            batch(case).evaluate(&plain_surrogate(), &Objective { entropy_penalty: 1.0, ..silent(reduction(case)) });
        assert_close(name, ours.total, number(&case["value"]));
        assert_close(name, ours.parts[1], number(&case["value"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
    });
}

#[test]
fn reductions() {
    for_each_case("aggregate", 8, |name, case| {
        let (lengths, _) = lengths(case);
        let weights = reduction(case).weights(&lengths);
        let rows = table(&case["x"]);
        let sum = |row: usize| f64::from(weights[row]) * rows[row][..lengths[row]].iter().sum::<f64>();
        assert_close(name, (0..lengths.len()).map(sum).sum(), number(&case["value"]));
    });
}

/// The built-in recipe from log-probabilities to loss: dependency, trajectory shaping, token filter, surrogate and entropy
/// penalty.
#[test]
fn vppo_as_a_whole() {
    let device = Device::default();
    let recipe = vppo();
    for_each_case("vppo_loss", 3, |name, case| {
        let batch = Batch { old: table(&case["old_logp"]), ..batch(case) };
        let advantages: Vec<f64> = case["adv"].as_array().expect("a list").iter().map(number).collect();
        let credit = credit(&batch, &table(&case["corrupt_logp"]), &advantages, &recipe.shapers, &device);
        let host = |x: Tensor<2>| -> Vec<Vec<f64>> {
            x.into_data().iter::<f64>().collect::<Vec<_>>().chunks(batch.width).map(<[f64]>::to_vec).collect()
        };
        let batch = Batch { advantage: host(credit.advantage), gate: host(credit.gate), ..batch.clone() };
        let ours = batch.evaluate(&recipe.loss, &recipe.objective);
        assert_close(name, ours.total, number(&case["loss"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
    });
}

/// Shapes given advantages by the sampled-k3 dependency between two log-probabilities.
fn credit(
    batch: &Batch,
    corrupt: &[Vec<f64>],
    advantages: &[f64],
    shapers: &[advantage::Shaper],
    device: &Device,
) -> Credit {
    let (rows, width) = (batch.lengths.len(), batch.width);
    // Two outcomes, the sampled one first, make logits whose log-probabilities are the given ones.
    let logits = |table: &[Vec<f64>]| {
        let other = |p: f64| if p.is_finite() && p < 0.0 { (-p.exp()).ln_1p() } else { 0.0 };
        let values: Vec<f32> = table.iter().flatten().flat_map(|&p| [p as f32, other(p) as f32]).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows * width, 2]), device)
    };
    let sampled = Tensor::<1, Int>::zeros([rows * width], device);
    let dependency =
        SampledK3::default().per_token(logits(&batch.old), logits(corrupt), sampled).reshape([rows, width]);
    let flags: Vec<bool> = batch.lengths.iter().flat_map(|&length| (0..width).map(move |t| t < length)).collect();
    let response = Tensor::<2, Bool>::from_data(TensorData::new(flags, [rows, width]), device);
    let evidence = advantage::Evidence::new(
        Tensor::zeros([rows], device),
        advantage::Groups::new(vec![rows]).expect("a group"),
        response.clone(),
    )
    .and_then(|evidence| evidence.with_dependency(dependency))
    .expect("evidence that fits");
    let spread: Vec<f32> = advantages.iter().flat_map(|&a| std::iter::repeat_n(a as f32, width)).collect();
    let padding = response.clone().bool_not();
    let given = Tensor::<2>::from_data(TensorData::new(spread, [rows, width]), device).mask_fill(padding, 0.0);
    let open = Credit { advantage: given, gate: response.float() };
    shapers.iter().fold(open, |credit, shaper| shaper.shape(&evidence, credit).expect("a dependency was measured"))
}
