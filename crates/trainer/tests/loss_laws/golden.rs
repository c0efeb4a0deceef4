//! Recorded outputs of an independent float64 implementation (`tests/fixtures/scripts/make_loss_and_credit_cases.py`), made
//! with garbage in the padding.

use burn::tensor::{Device, Tensor};
use serde_json::Value;
use trainer::{ClipRange, ClippedSurrogate, KlEstimator, Objective, Reduction, ReferenceKl, vppo};

use crate::oracle::{assert_close, assert_tables_close, list, number, shaped, table};
use crate::table::{Batch, MAX_NEW_TOKENS, part};

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
    Batch::of(lengths, width, table(&case["logp"]))
}

/// An objective without any term but the surrogate.
fn silent(reduction: Reduction) -> Objective {
    Objective { reduction, ..Objective::default() }
}

/// The surrogate of DAPO without the second bound.
fn plain_surrogate() -> ClippedSurrogate {
    ClippedSurrogate { clip: ClipRange::new(0.2, 0.28).expect("a valid range"), dual: None }
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
        assert_close(name, ours.parts[part::SURROGATE], number(&case["loss"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
        for (place, key) in
            [(part::CLIPPED_HIGH, "clip_frac_high"), (part::CLIPPED_LOW, "clip_frac_low"), (part::DRIFT, "approx_kl")]
        {
            assert_close(&format!("{name}: {key}"), ours.parts[place], number(&case[key]));
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
        assert_close(name, ours.parts[part::REFERENCE], number(&case["value"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
    });
}

#[test]
fn entropy_proxy() {
    for_each_case("sampled_entropy", 8, |name, case| {
        let ours =
            batch(case).evaluate(&plain_surrogate(), &Objective { entropy_penalty: 1.0, ..silent(reduction(case)) });
        assert_close(name, ours.total, number(&case["value"]));
        assert_close(name, ours.parts[part::PROXY], number(&case["value"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
    });
}

#[test]
fn reductions() {
    for_each_case("aggregate", 8, |name, case| {
        let (lengths, _) = lengths(case);
        let rows = table(&case["x"]);
        let gate = Tensor::<2>::ones([lengths.len(), rows[0].len()], &Device::default());
        let weights = reduction(case).weights(&lengths, &gate, MAX_NEW_TOKENS).regularizer;
        let weights: Vec<f64> = weights.into_data().iter::<f64>().collect();
        let sum = |row: usize| weights[row] * rows[row][..lengths[row]].iter().sum::<f64>();
        assert_close(name, (0..lengths.len()).map(sum).sum(), number(&case["value"]));
    });
}

/// The built-in recipe from log-probabilities to loss: dependency, trajectory shaping, token filter, surrogate and entropy
/// penalty.
#[test]
fn vppo_as_a_whole() {
    let recipe = vppo();
    for_each_case("vppo_loss", 3, |name, case| {
        let batch = Batch { old: table(&case["old_logp"]), ..batch(case) };
        let advantage = list(&case["adv"]).into_iter().map(|advantage| vec![advantage; batch.width]).collect();
        let batch = Batch { advantage, ..batch };
        let (shaped, _) = shaped(&batch, &table(&case["corrupt_logp"]), &recipe.shapers);
        let ours = shaped.evaluate(&recipe.loss, &recipe.objective);
        assert_close(name, ours.total, number(&case["loss"]));
        assert_tables_close(name, &ours.gradient, &table(&case["dlogp"]));
    });
}
