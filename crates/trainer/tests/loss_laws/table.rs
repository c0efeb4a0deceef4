//! A batch's numbers as rows on the host, and as the tensors an objective reads.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use trainer::{LossInput, LossOutput, Objective, PolicyLoss, TrainError, Weights};

/// The limit of a response's tokens that batches are evaluated under.
pub(crate) const MAX_NEW_TOKENS: usize = 11;

/// Places of an objective's parts.
pub(crate) mod part {
    pub(crate) const SURROGATE: usize = 0;
    pub(crate) const PROXY: usize = 1;
    pub(crate) const REFERENCE: usize = 3;
    pub(crate) const PERCEPTION: usize = 4;
    pub(crate) const MASKED: usize = 5;
    pub(crate) const CLIPPED_HIGH: usize = 6;
    pub(crate) const CLIPPED_LOW: usize = 7;
    pub(crate) const DRIFT: usize = 8;
    pub(crate) const WEIGHT: usize = 9;
    pub(crate) const LIMITED: usize = 11;
}

pub(crate) type Table = Vec<Vec<f64>>;

/// Rectangular host values of a batch of ragged rows; what stands beyond a row's length is padding.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) lengths: Vec<usize>,
    pub(crate) width: usize,
    pub(crate) visual: Vec<bool>,
    pub(crate) log_probs: Table,
    pub(crate) old: Table,
    pub(crate) sampling: Table,
    pub(crate) reference: Table,
    pub(crate) contrast: Table,
    pub(crate) entropy: Table,
    pub(crate) divergence: Table,
    pub(crate) advantage: Table,
    pub(crate) gate: Table,
}

/// An objective's value, parts and gradients on the host.
pub(crate) struct Evaluated {
    pub(crate) total: f64,
    /// In the order of [`LossOutput::parts`].
    pub(crate) parts: Vec<f64>,
    /// With respect to the log-probabilities, the entropies and the divergences from the reference.
    pub(crate) gradient: Table,
    pub(crate) entropy_gradient: Table,
    pub(crate) divergence_gradient: Table,
}

/// A table of one number for each place.
pub(crate) fn filled(rows: usize, width: usize, value: f64) -> Table {
    vec![vec![value; width]; rows]
}

fn tensor(table: &[Vec<f64>], width: usize) -> Tensor<2> {
    let values: Vec<f32> = table.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, [table.len(), width]), &Device::default())
}

/// A tensor's rows.
pub(crate) fn rows_of(tensor: &Tensor<2>) -> Table {
    let width = tensor.dims()[1];
    tensor.to_data().iter::<f64>().collect::<Vec<_>>().chunks(width).map(<[f64]>::to_vec).collect()
}

impl Batch {
    /// Responses that say something, with NaN or silence for everything else.
    pub(crate) fn of(lengths: Vec<usize>, width: usize, log_probs: Table) -> Self {
        let rows = lengths.len();
        let (nothing, zeros) = (filled(rows, width, f64::NAN), filled(rows, width, 0.0));
        Self {
            visual: vec![true; rows],
            old: log_probs.clone(),
            sampling: nothing.clone(),
            reference: nothing.clone(),
            contrast: nothing.clone(),
            entropy: nothing.clone(),
            divergence: nothing,
            advantage: zeros.clone(),
            gate: zeros,
            lengths,
            width,
            log_probs,
        }
    }

    /// What an objective reads of some rows, each weighted as in the whole batch.
    pub(crate) fn input(&self, objective: &Objective, range: Range<usize>) -> LossInput {
        let device = Device::default();
        let (first, rows) = (range.start, range.len());
        let weights = objective.reduction.weights(&self.lengths, &tensor(&self.gate, self.width), MAX_NEW_TOKENS);
        let column = |x: Tensor<2>| x.narrow(0, first, rows);
        let cut = |table: &Table| tensor(&table[range.clone()], self.width);
        let flags: Vec<bool> =
            self.lengths[range.clone()].iter().flat_map(|&length| (0..self.width).map(move |t| t < length)).collect();
        LossInput {
            log_probs: cut(&self.log_probs).autodiff().require_grad(),
            old_log_probs: cut(&self.old),
            sampling_log_probs: Some(cut(&self.sampling)),
            reference_log_probs: Some(cut(&self.reference)),
            contrast_log_probs: Some(cut(&self.contrast)),
            entropy: Some(cut(&self.entropy).autodiff().require_grad()),
            reference_divergence: Some(cut(&self.divergence).autodiff().require_grad()),
            advantage: cut(&self.advantage),
            gate: cut(&self.gate),
            response: Tensor::from_data(TensorData::new(flags, [rows, self.width]), &device),
            visual: Tensor::from_data(TensorData::new(self.visual[range.clone()].to_vec(), [rows, 1]), &device),
            weights: Weights {
                policy: column(weights.policy),
                regularizer: column(weights.regularizer),
                report: column(weights.report),
            },
        }
    }

    /// Evaluates an objective on some rows.
    pub(crate) fn evaluate_rows(
        &self,
        loss: &dyn PolicyLoss,
        objective: &Objective,
        range: Range<usize>,
    ) -> Result<Evaluated, TrainError> {
        let rows = range.len();
        let input = self.input(objective, range);
        let LossOutput { total, parts } = objective.evaluate(loss, &input)?;
        let value = total.to_data().iter::<f64>().next().expect("one number");
        let mut found = total.backward();
        let mut gradient = |leaf: Option<Tensor<2>>| {
            let gradient = leaf.and_then(|leaf| leaf.grad_remove(&mut found));
            gradient.map_or_else(|| filled(rows, self.width, 0.0), |gradient| rows_of(&gradient))
        };
        Ok(Evaluated {
            total: value,
            parts: parts.into_data().iter::<f64>().collect(),
            gradient: gradient(Some(input.log_probs)),
            entropy_gradient: gradient(input.entropy),
            divergence_gradient: gradient(input.reference_divergence),
        })
    }

    pub(crate) fn evaluate(&self, loss: &dyn PolicyLoss, objective: &Objective) -> Evaluated {
        self.evaluate_rows(loss, objective, 0..self.lengths.len()).expect("everything is known")
    }

    fn tables(&mut self) -> [&mut Table; 9] {
        [
            &mut self.log_probs,
            &mut self.old,
            &mut self.sampling,
            &mut self.reference,
            &mut self.contrast,
            &mut self.entropy,
            &mut self.divergence,
            &mut self.advantage,
            &mut self.gate,
        ]
    }

    /// The same batch with `padding` beyond every row's end.
    pub(crate) fn padded_with(&self, mut padding: impl FnMut() -> f64) -> Self {
        let mut batch = self.clone();
        for table in batch.tables() {
            for (row, &length) in table.iter_mut().zip(&self.lengths) {
                row[length..].fill_with(&mut padding);
            }
        }
        batch
    }

    /// The same batch with its rows in the opposite order.
    pub(crate) fn reversed(&self) -> Self {
        let mut batch = self.clone();
        batch.lengths.reverse();
        batch.visual.reverse();
        batch.tables().into_iter().for_each(|table| table.reverse());
        batch
    }

    /// Positions of the batch's tokens.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = (usize, usize)> {
        self.lengths.iter().enumerate().flat_map(|(row, &length)| (0..length).map(move |token| (row, token)))
    }
}
