//! Recorded outputs of the advantage estimators.

use advantage::{
    AdvantageEstimator, Deviation, DrGrpo, Evidence, Fraction, GroupOfOne, Groups, Grpo, Positive, ReinforcePlusPlus,
    ReinforcePlusPlusBaseline, Rloo,
};
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

use crate::cases::{assert_close, for_each_case, mask, number, row, table, tensor, values};
use crate::device::device;

/// The rows group by group, in the order in which the groups begin, and the sizes of the groups.
fn grouped(labels: &[f64]) -> (Vec<usize>, Vec<usize>) {
    let begins = |label: f64| labels.iter().position(|&other| other == label).expect("one of the labels");
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&row| (begins(labels[row]), row));
    let sizes = order.chunk_by(|&a, &b| labels[a] == labels[b]).map(<[usize]>::len).collect();
    (order, sizes)
}

/// Evidence about the rows of a case, and the advantage that is expected of each token.
fn grouped_case(input: &Value, response: &[Vec<f64>], expected: &[Vec<f64>]) -> (Evidence, Vec<f64>) {
    let rewards = row(&input["rewards"]);
    let (order, sizes) = grouped(&row(&input["group"]));
    let rewards: Vec<f64> = order.iter().map(|&row| rewards[row]).collect();
    let response: Vec<Vec<f64>> = order.iter().map(|&row| response[row].clone()).collect();
    let evidence = Evidence::new(
        Tensor::from_data(TensorData::new(rewards, [order.len()]), &device()),
        Groups::new(sizes).expect("groups"),
        mask(&response),
    )
    .expect("evidence that fits");
    (evidence, order.iter().flat_map(|&row| expected[row].clone()).collect())
}

/// Runs the estimator on a token and a column of padding per response.
fn check_outcome(case: &str, estimator: &dyn AdvantageEstimator, input: &Value, output: &Value) {
    let expected: Vec<Vec<f64>> = row(output).into_iter().map(|advantage| vec![advantage, 0.0]).collect();
    let (evidence, expected) = grouped_case(input, &vec![vec![1.0, 0.0]; expected.len()], &expected);
    assert_close(case, &values(estimator.estimate(&evidence).expect("groups of any size")), &expected);
}

fn group_of_one(input: &Value) -> GroupOfOne {
    match input["single"].as_str() {
        Some("zero") => GroupOfOne::Zero,
        Some("raw") => GroupOfOne::Raw,
        other => panic!("{other:?} is not recorded"),
    }
}

#[test]
fn grpo() {
    for_each_case("grpo_advantage", |case, input, output| {
        let epsilon = Positive::new(number(&input["eps"])).expect("an epsilon");
        let deviation = if number(&input["ddof"]) == 1.0 { Deviation::Sample } else { Deviation::Population };
        check_outcome(case, &Grpo { epsilon, deviation, group_of_one: group_of_one(input) }, input, output);
    });
}

#[test]
fn dr_grpo() {
    for_each_case("dr_grpo_advantage", |case, input, output| {
        check_outcome(case, &DrGrpo { group_of_one: group_of_one(input) }, input, output);
    });
}

#[test]
fn rloo() {
    for_each_case("rloo_advantage", |case, input, output| {
        check_outcome(case, &Rloo { group_of_one: group_of_one(input) }, input, output);
    });
}

#[test]
fn reinforce_plus_plus() {
    for_each_case("reinforce_pp_advantage", |case, input, output| {
        let mut token_rewards = table(&input["token_rewards"]);
        let response = table(&input["mask"]);
        let estimator = ReinforcePlusPlus { discount: Fraction::new(number(&input["gamma"])).expect("a discount") };
        let check = |rewards: Vec<f64>, token_rewards: &[Vec<f64>]| {
            let rows = rewards.len();
            let evidence = Evidence::new(
                Tensor::from_data(TensorData::new(rewards, [rows]), &device()),
                Groups::new(vec![1; rows]).expect("groups"),
                mask(&response),
            )
            .and_then(|evidence| evidence.with_token_rewards(tensor(token_rewards)))
            .expect("evidence that fits");
            assert_close(case, &values(estimator.returns(&evidence)), &table(&output["returns"]).concat());
            let advantage = values(estimator.estimate(&evidence).expect("groups of any size"));
            assert_close(case, &advantage, &table(&output["advantages"]).concat());
        };
        check(vec![0.0; response.len()], &token_rewards);

        // The same with what the last token earned handed over as the reward of the response.
        let last = |mask: &Vec<f64>| mask.iter().rposition(|&bit| bit == 1.0).expect("no recorded response is empty");
        let ends = response.iter().map(last);
        let outcome =
            token_rewards.iter_mut().zip(ends).map(|(rewards, end)| std::mem::take(&mut rewards[end])).collect();
        check(outcome, &token_rewards);
    });
}

#[test]
fn reinforce_plus_plus_baseline() {
    for_each_case("reinforce_pp_baseline_advantage", |case, input, output| {
        let (evidence, expected) = grouped_case(input, &table(&input["mask"]), &table(output));
        let advantage = ReinforcePlusPlusBaseline::default().estimate(&evidence).expect("groups of any size");
        assert_close(case, &values(advantage), &expected);
    });
}
