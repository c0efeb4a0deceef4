//! A batch's numbers as rows on the host, and as the tensors an objective reads.

use burn::tensor::{Device, Tensor, TensorData};
use trainer::{LossInput, LossOutput, Objective, PolicyLoss};

/// Rectangular host values of a batch of ragged rows; what stands beyond a row's length is padding.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) lengths: Vec<usize>,
    pub(crate) width: usize,
    pub(crate) log_probs: Vec<Vec<f64>>,
    pub(crate) old: Vec<Vec<f64>>,
    pub(crate) reference: Vec<Vec<f64>>,
    pub(crate) advantage: Vec<Vec<f64>>,
    pub(crate) gate: Vec<Vec<f64>>,
}

/// An objective's value, parts and gradient on the host.
pub(crate) struct Evaluated {
    pub(crate) total: f64,
    /// In the order of [`LossOutput::parts`].
    pub(crate) parts: Vec<f64>,
    pub(crate) gradient: Vec<Vec<f64>>,
}

/// A table of one number for each place.
pub(crate) fn filled(rows: usize, width: usize, value: f64) -> Vec<Vec<f64>> {
    vec![vec![value; width]; rows]
}

fn tensor(table: &[Vec<f64>], width: usize, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = table.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, [table.len(), width]), device)
}

impl Batch {
    /// Evaluates an objective on the rows in `range`, each weighted as in the whole batch.
    pub(crate) fn evaluate_rows(
        &self,
        loss: &dyn PolicyLoss,
        objective: &Objective,
        range: std::ops::Range<usize>,
    ) -> Evaluated {
        let device = Device::default();
        let weights = objective.reduction.weights(&self.lengths)[range.clone()].to_vec();
        let cut = |table: &[Vec<f64>]| tensor(&table[range.clone()], self.width, &device);
        let rows = range.len();
        let flags: Vec<bool> =
            self.lengths[range.clone()].iter().flat_map(|&length| (0..self.width).map(move |t| t < length)).collect();
        let log_probs = cut(&self.log_probs).autodiff().require_grad();
        let LossOutput { total, parts } = objective.evaluate(
            loss,
            &LossInput {
                log_probs: log_probs.clone(),
                old_log_probs: cut(&self.old),
                reference_log_probs: Some(cut(&self.reference)),
                advantage: cut(&self.advantage),
                gate: cut(&self.gate),
                response: Tensor::from_data(TensorData::new(flags, [rows, self.width]), &device),
                weight: Tensor::from_data(TensorData::new(weights, [rows, 1]), &device),
            },
        );
        let value = total.to_data().iter::<f64>().next().expect("one number");
        let mut found = total.backward();
        let gradient = log_probs.grad_remove(&mut found).map_or_else(
            || filled(rows, self.width, 0.0),
            |gradient| {
                let values: Vec<f64> = gradient.into_data().iter::<f64>().collect();
                values.chunks(self.width).map(<[f64]>::to_vec).collect()
            },
        );
        Evaluated { total: value, parts: parts.into_data().iter::<f64>().collect(), gradient }
    }

    pub(crate) fn evaluate(&self, loss: &dyn PolicyLoss, objective: &Objective) -> Evaluated {
        self.evaluate_rows(loss, objective, 0..self.lengths.len())
    }

    /// The same batch with `padding` beyond every row's end.
    pub(crate) fn padded_with(&self, mut padding: impl FnMut() -> f64) -> Self {
        let mut batch = self.clone();
        let tables =
            [&mut batch.log_probs, &mut batch.old, &mut batch.reference, &mut batch.advantage, &mut batch.gate];
        for table in tables {
            for (row, &length) in table.iter_mut().zip(&self.lengths) {
                row[length..].fill_with(&mut padding);
            }
        }
        batch
    }

    /// Positions of the batch's tokens.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = (usize, usize)> {
        self.lengths.iter().enumerate().flat_map(|(row, &length)| (0..length).map(move |token| (row, token)))
    }
}
