//! Recorded outputs of the advantage estimators.

use advantage::{AdvantageEstimator, DrGrpo, Evidence, GroupOfOne, Groups, Grpo, Positive, Rloo};
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

use crate::cases::{assert_close, for_each_case, mask, number, row, values};
use crate::device::device;

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
