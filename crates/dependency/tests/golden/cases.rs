//! The recorded cases, and how close their outputs must be.

use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

use crate::device::device;

const GOLDEN: &str = include_str!("../../../../tests/fixtures/credit/golden.json");

/// Calls `check` with every recorded case of `function`: its name, its inputs and its output.
pub(crate) fn for_each_case(function: &str, check: impl Fn(&str, &Value, &Value)) {
    let golden: Value = serde_json::from_str(GOLDEN).expect("the fixture is JSON");
    let cases = golden["cases"][function].as_array().expect("a list of cases");
    assert_eq!(Some(cases.len() as u64), golden["meta"]["counts"][function].as_u64());
    for case in cases {
        check(case["id"].as_str().expect("a name"), &case["in"], &case["out"]);
    }
}

pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("nan, inf or -inf"),
        number => number.as_f64().expect("a number"),
    }
}

pub(crate) fn row(value: &Value) -> Vec<f64> {
    value.as_array().expect("a row").iter().map(number).collect()
}

pub(crate) fn table(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().expect("a table").iter().map(row).collect()
}

pub(crate) fn tensor(value: &Value) -> Tensor<2> {
    let table = table(value);
    let values: Vec<f32> = table.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, [table.len(), table[0].len()]), &device())
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The fixture's tolerance for f32: 2e-5 relative, 2e-6 absolute. Infinite and unknown numbers are the same ones.
pub(crate) fn assert_close(case: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = 2e-6 + 2e-5 * expected.abs();
        let close = if expected.is_finite() {
            (found - expected).abs() <= allowed
        } else {
            found.to_string() == expected.to_string()
        };
        assert!(close, "{case}[{index}]: {found} but expected {expected}");
    }
}
