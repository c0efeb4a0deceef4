//! Recorded outputs of an independent float64 implementation (`tests/fixtures/credit/golden.json`): every case of every loss,
//! to the tolerance of an f32 implementation.

mod cispo;
mod gspo;
mod papo;
mod pgpo;
mod regularizers;
mod surrogate;
mod vppo;

use advantage::{Credit, CreditShaper, Evidence, Groups};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use dependency::{Divergence, SampledK3};
use serde_json::Value;
use trainer::{ClipRange, ClippedSurrogate, Objective, Reduction};

use crate::table::{Batch, Evaluated, Table, rows_of};

const CASES: &str = include_str!("../../../../tests/fixtures/credit/golden.json");

/// One recorded call.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) input: Value,
    pub(crate) output: Value,
}

/// Every case of a function, of which there are `count`.
pub(crate) fn cases(function: &str, count: usize) -> Vec<Case> {
    let golden: Value = serde_json::from_str(CASES).expect("the fixture is JSON");
    let found = golden["cases"][function].as_array().expect("a list of cases");
    assert_eq!(found.len(), count, "cases of {function}");
    let case = |case: &Value| Case {
        id: case["id"].as_str().expect("a name").to_owned(),
        input: case["in"].clone(),
        output: case["out"].clone(),
    };
    found.iter().map(case).collect()
}

pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("nan, inf or -inf"),
        number => number.as_f64().expect("a number"),
    }
}

pub(crate) fn list(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

pub(crate) fn table(value: &Value) -> Table {
    value.as_array().expect("a table").iter().map(list).collect()
}

/// The tolerance of an f32 implementation: 2e-5 relative, 2e-6 absolute.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: f64, expected: f64) {
    let allowed = 2e-6 + 2e-5 * expected.abs();
    assert!((found - expected).abs() <= allowed, "{what}: {found} but expected {expected}");
}

#[track_caller]
pub(crate) fn assert_tables_close(what: &str, found: &Table, expected: &Table) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (token, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_close(&format!("{what}, row {row}, token {token}"), *found, *expected);
        }
    }
}

impl Case {
    pub(crate) fn number(&self, key: &str) -> f64 {
        number(&self.input[key])
    }

    pub(crate) fn table(&self, key: &str) -> Table {
        table(&self.input[key])
    }

    pub(crate) fn lengths(&self) -> Vec<usize> {
        let length = |row: Vec<f64>| {
            let length = row.iter().filter(|&&seen| seen > 0.0).count();
            assert!(row[..length].iter().all(|&seen| seen > 0.0), "{}: padding is on the right", self.id);
            length
        };
        self.table("mask").into_iter().map(length).collect()
    }

    /// The case's batch: all gates open unless it has a mask of tokens, advantages if it has any.
    pub(crate) fn batch(&self) -> Batch {
        let lengths = self.lengths();
        let mask = self.table("mask");
        let or = |key: &str, otherwise: &Table| match &self.input[key] {
            Value::Null => otherwise.clone(),
            value => table(value),
        };
        let batch = Batch::of(lengths, mask[0].len(), self.table("logp"));
        Batch {
            old: or("old_logp", &batch.old),
            reference: or("ref_logp", &batch.reference),
            contrast: or("corrupt_logp", &batch.contrast),
            advantage: or("adv", &batch.advantage),
            gate: or("token_mask", &mask),
            ..batch
        }
    }

    /// An objective without any term but the surrogate, in the case's reduction.
    pub(crate) fn objective(&self) -> Objective {
        let reduction = match self.input["mode"].as_str() {
            None | Some("token") => Reduction::TokenMean,
            Some("seq") => Reduction::SequenceMean,
            Some("seq_nonempty") => Reduction::NonEmptySequenceMean,
            Some("seq_sum") => Reduction::SequenceSum,
            other => panic!("unknown mode {other:?}"),
        };
        Objective { reduction, ..Objective::default() }
    }

    pub(crate) fn clip(&self) -> ClipRange {
        ClipRange::new(self.number("clip_low"), self.number("clip_high")).expect("a valid range")
    }

    pub(crate) fn surrogate(&self) -> ClippedSurrogate {
        ClippedSurrogate { clip: self.clip(), dual: self.input["dual_clip"].as_f64() }
    }

    /// Compares value and gradient.
    #[track_caller]
    pub(crate) fn assert_loss(&self, found: &Evaluated) {
        let value = if self.output["loss"].is_null() { "value" } else { "loss" };
        assert_close(&self.id, found.total, number(&self.output[value]));
        assert_tables_close(&self.id, &found.gradient, &table(&self.output["dlogp"]));
    }
}

/// What shapers make of a batch's advantages and gates, given the sampled-k3 dependency between its old log-probabilities and
/// `contrast`; and that dependency.
pub(crate) fn shaped(batch: &Batch, contrast: &Table, shapers: &[advantage::Shaper]) -> (Batch, Table) {
    let device = Device::default();
    let (rows, width) = (batch.lengths.len(), batch.width);
    // The estimate is of the difference alone, so that recorded values above 0, which no distribution has, can be moved below it.
    let top = |row: usize, token: usize| batch.old[row][token].max(contrast[row][token]) + 0.5;
    // Two outcomes, the sampled one first, make logits whose log-probabilities are the given ones.
    let logits = |table: &Table| {
        let place = |row: usize, token: usize| {
            let log_prob = if token < batch.lengths[row] { table[row][token] - top(row, token) } else { f64::NAN };
            [log_prob as f32, (-log_prob.exp()).ln_1p() as f32]
        };
        let values = (0..rows).flat_map(|row| (0..width).flat_map(move |token| place(row, token)));
        Tensor::<2>::from_data(TensorData::new(values.collect::<Vec<f32>>(), [rows * width, 2]), &device)
    };
    let sampled = Tensor::<1, Int>::zeros([rows * width], &device);
    let dependency: Tensor<2> =
        SampledK3::default().per_token(logits(&batch.old), logits(contrast), sampled).reshape([rows, width]);
    let flags: Vec<bool> = batch.lengths.iter().flat_map(|&length| (0..width).map(move |t| t < length)).collect();
    let response = Tensor::<2, Bool>::from_data(TensorData::new(flags, [rows, width]), &device);
    let groups = Groups::new(vec![rows]).expect("a group");
    let evidence = Evidence::new(Tensor::zeros([rows], &device), groups, response.clone())
        .and_then(|evidence| evidence.with_dependency(dependency.clone()))
        .expect("evidence that fits");
    let tensor = |table: &Table| {
        let values: Vec<f32> = table.iter().flatten().map(|&value| value as f32).collect();
        let padding = response.clone().bool_not();
        Tensor::<2>::from_data(TensorData::new(values, [rows, width]), &device).mask_fill(padding, 0.0)
    };
    let given = Credit { advantage: tensor(&batch.advantage), gate: response.clone().float() };
    let credit = shapers
        .iter()
        .fold(given, |credit, shaper| shaper.shape(&evidence, credit).expect("a dependency was measured"));
    let dependency = rows_of(&dependency.mask_fill(response.bool_not(), 0.0));
    (Batch { advantage: rows_of(&credit.advantage), gate: rows_of(&credit.gate), ..batch.clone() }, dependency)
}
