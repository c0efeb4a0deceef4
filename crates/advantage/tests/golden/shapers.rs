//! Recorded outputs of the credit shapers.

use advantage::{
    AtLeastOne, Ceiling, Credit, CreditShaper, Evidence, Fraction, Groups, NonNegative, PerceptionGate, TokenFilter,
    TrajectoryShaping,
};
use burn::tensor::Tensor;
use serde_json::Value;

use crate::cases::{assert_close, for_each_case, mask, number, row, table, tensor, values};
use crate::device::device;

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
