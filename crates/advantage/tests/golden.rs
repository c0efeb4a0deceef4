//! The components reproduce recorded outputs of an independent f64 implementation.

#[path = "credit_laws/device.rs"]
mod device;

use advantage::{
    AdvantageEstimator, AtLeastOne, Ceiling, Credit, CreditShaper, DrGrpo, Evidence, Fraction, GroupOfOne, Groups,
    Grpo, NonNegative, PerceptionGate, Positive, Rloo, TokenFilter, TrajectoryShaping,
};
use burn::tensor::{Bool, Tensor, TensorData};
use device::device;
use serde_json::Value;

const GOLDEN: &str = include_str!("../../../tests/fixtures/credit/golden.json");

/// Calls `check` with every recorded case of `function`: its name, its inputs and its output.
fn for_each_case(function: &str, check: impl Fn(&str, &Value, &Value)) {
    let golden: Value = serde_json::from_str(GOLDEN).expect("the fixture is JSON");
    let cases = golden["cases"][function].as_array().expect("a list of cases");
    assert_eq!(Some(cases.len() as u64), golden["meta"]["counts"][function].as_u64());
    for case in cases {
        check(case["id"].as_str().expect("a name"), &case["in"], &case["out"]);
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("nan, inf or -inf"),
        Value::Bool(bit) => f64::from(u8::from(*bit)),
        number => number.as_f64().expect("a number"),
    }
}

fn row(value: &Value) -> Vec<f64> {
    value.as_array().expect("a row").iter().map(number).collect()
}

fn table(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().expect("a table").iter().map(row).collect()
}

fn tensor(table: &[Vec<f64>]) -> Tensor<2> {
    let values: Vec<f32> = table.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, [table.len(), table[0].len()]), &device())
}

fn mask(table: &[Vec<f64>]) -> Tensor<2, Bool> {
    tensor(table).greater_scalar(0.0)
}

/// Evidence about responses to one prompt, all with an image.
fn scored(dependency: &[Vec<f64>], response: &[Vec<f64>]) -> Evidence {
    let rows = response.len();
    let response = mask(response);
    let rewards = Tensor::zeros([rows], &device());
    let groups = Groups::new(vec![rows]).expect("a group");
    Evidence::new(rewards, groups, response)
        .and_then(|evidence| evidence.with_dependency(tensor(dependency)))
        .expect("evidence that fits")
}

/// Credit of 1 for every token.
fn ones(evidence: &Evidence) -> Credit {
    let gate = evidence.response().clone().float();
    Credit { advantage: gate.clone(), gate }
}

fn values(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The fixture's tolerance for f32: 2e-5 relative, 2e-6 absolute.
fn assert_close(case: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = 2e-6 + 2e-5 * expected.abs();
        assert!((found - expected).abs() <= allowed, "{case}[{index}]: {found} but expected {expected}");
    }
}

/// Runs the estimator on two tokens per response and compares the first column.
///
/// The recording gives some groups of one their bare reward, which no component does: those rows must be 0.
fn check_estimator(case: &str, estimator: &dyn AdvantageEstimator, input: &Value, output: &Value) {
    let rewards = row(&input["rewards"]);
    let labels = row(&input["group"]);
    let sizes: Vec<usize> = labels.chunk_by(|a, b| a == b).map(<[f64]>::len).collect();
    let rows = rewards.len();
    let alone = sizes.iter().flat_map(|&size| vec![size == 1; size]);
    let expected: Vec<f64> =
        row(output).into_iter().zip(alone).map(|(value, alone)| if alone { 0.0 } else { value }).collect();
    let evidence = Evidence::new(
        Tensor::from_data(TensorData::new(rewards, [rows]), &device()),
        Groups::new(sizes).expect("groups"),
        mask(&vec![vec![1.0, 0.0]; rows]),
    )
    .expect("evidence that fits");
    let advantage = values(estimator.estimate(&evidence).expect("groups of any size"));
    let (first, padding): (Vec<f64>, Vec<f64>) = advantage.chunks(2).map(|row| (row[0], row[1])).unzip();
    assert_close(case, &first, &expected);
    assert_eq!(padding, vec![0.0; rows], "{case}");
}

#[test]
fn grpo() {
    for_each_case("grpo_advantage", |case, input, output| {
        let epsilon = Positive::new(number(&input["eps"])).expect("an epsilon");
        check_estimator(case, &Grpo { epsilon, group_of_one: GroupOfOne::Zero }, input, output);
    });
}

#[test]
fn dr_grpo() {
    for_each_case("dr_grpo_advantage", |case, input, output| {
        check_estimator(case, &DrGrpo::default(), input, output);
    });
}

#[test]
fn rloo() {
    for_each_case("rloo_advantage", |case, input, output| check_estimator(case, &Rloo::default(), input, output));
}

#[test]
fn token_filter() {
    for_each_case("tgf_mask", |case, input, output| {
        let evidence = scored(&table(&input["dependency"]), &table(&input["mask"]));
        let filter = TokenFilter { keep: Fraction::new(number(&input["k"])).expect("a share") };
        let credit = filter.shape(&evidence, ones(&evidence)).expect("scored");
        assert_eq!(values(credit.gate), table(output).concat(), "{case}");
    });
}

#[test]
fn token_filter_counts_exactly() {
    for_each_case("tgf_count", |case, input, output| {
        let length = number(&input["n"]) as usize;
        let scores: Vec<f64> = (0..length).map(|token| f64::from(token as u32 * 7 % 11)).collect();
        let evidence = scored(&[scores], &[vec![1.0; length]]);
        let filter = TokenFilter { keep: Fraction::new(number(&input["k"])).expect("a share") };
        let credit = filter.shape(&evidence, ones(&evidence)).expect("scored");
        assert_eq!(values(credit.gate).iter().sum::<f64>(), number(output), "{case}");
    });
}

/// Factors that trajectory shaping gives to the rows.
fn factors(shaping: TrajectoryShaping, evidence: &Evidence) -> Vec<f64> {
    let [rows, tokens] = evidence.response().dims();
    let advantage = Tensor::ones([rows, tokens], &device());
    let credit = shaping.shape(evidence, Credit { gate: advantage.clone(), advantage }).expect("scored");
    values(credit.advantage.slice([0..rows, 0..1]))
}

/// Rows of one token, or of none where not valid, whose mean dependencies are those of the case.
fn trajectories(input: &Value) -> Evidence {
    let single = |value: &Value| row(value).into_iter().map(|value| vec![value]).collect::<Vec<_>>();
    scored(&single(&input["traj_dep"]), &single(&input["valid"]))
}

#[test]
fn trajectory_shaping_with_a_fixed_ceiling() {
    for_each_case("tas_alpha", |case, input, output| {
        let shaping = TrajectoryShaping {
            floor: Fraction::new(number(&input["beta_min"])).expect("a floor"),
            ceiling: Ceiling::Fixed(AtLeastOne::new(number(&input["beta_max"])).expect("a ceiling")),
        };
        assert_close(case, &factors(shaping, &trajectories(input)), &row(output));
    });
}

#[test]
fn trajectory_shaping_with_mean_one() {
    for_each_case("tas_alpha_dynamic", |case, input, output| {
        let floor = Fraction::new(number(&input["beta_min"])).expect("a floor");
        let shaping = TrajectoryShaping { floor, ceiling: Ceiling::MeanOne };
        assert_close(case, &factors(shaping, &trajectories(input)), &row(output));
    });
}

/// With factors from 0 to 1, trajectory shaping shows the mean dependency of each response as its place between the extremes.
#[test]
fn trajectory_shaping_averages_over_the_tokens_of_a_response() {
    for_each_case("trajectory_dependency", |case, input, output| {
        let mask = table(&input["mask"]);
        let means = row(output);
        let valid: Vec<bool> = mask.iter().map(|row| row.contains(&1.0)).collect();
        let taking_part = || means.iter().zip(&valid).filter(|(_, valid)| **valid).map(|(mean, _)| *mean);
        let lowest = taking_part().fold(f64::INFINITY, f64::min);
        let range = taking_part().fold(f64::NEG_INFINITY, f64::max) - lowest;
        let place = |mean: f64| if range > 1e-6 { (mean - lowest) / range } else { 1.0 };
        let expected: Vec<f64> =
            means.iter().zip(&valid).map(|(&mean, &valid)| if valid { place(mean) } else { 1.0 }).collect();
        let shaping =
            TrajectoryShaping { floor: Fraction::literal(0.0), ceiling: Ceiling::Fixed(AtLeastOne::literal(1.0)) };
        assert_close(case, &factors(shaping, &scored(&table(&input["dependency"]), &mask)), &expected);
    });
}

#[test]
fn perception_gate() {
    for_each_case("pgpo_weights", |case, input, output| {
        let evidence = scored(&table(&input["dependency"]), &table(&input["mask"]));
        let gate = PerceptionGate {
            threshold: Fraction::new(number(&input["tau"])).expect("a threshold"),
            boost: NonNegative::new(number(&input["beta"])).expect("a boost"),
        };
        let credit = gate.shape(&evidence, ones(&evidence)).expect("scored");
        assert_close(case, &values(credit.advantage), &table(&output["weights"]).concat());
    });
}
