//! The distribution that logits stand for: what is read of it, how two of them differ, and its gradient.
//!
//! Logits of many outcomes are the largest tensors of a model. Each function here makes one pass over them: a row is read
//! from memory once and worked on while it is in the cache, and what is made of a whole row takes the row's place.

mod divergence;
mod gradient;
mod row;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use rayon::prelude::*;

use self::divergence::expectation;
use self::row::Row;
use crate::host::{Host, TASK, in_order, is_plain, tensor, values, vectorized};

pub use divergence::{entropy, forward_kl, jensen_shannon};
pub use gradient::Upstream;

/// Takes the place of an excluded logit: its exponential is 0, and products with 0 stay 0, which those with −∞ would not.
const EXCLUDED: f32 = -1e9;

/// A distribution over outcomes: logits divided by a temperature, with some outcomes excluded.
///
/// The log-probability of an excluded outcome is finite and its probability 0, whatever its logit is.
#[derive(Clone, Debug)]
pub struct Softmax {
    temperature: f64,
    excluded: Vec<usize>,
    /// True where an outcome is excluded, `[1, outcomes]`; `None` if none is.
    mask: Option<Tensor<2, Bool>>,
}

/// What is known of the distributions of some rows.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Log-probability of each row's chosen outcome, nats; `[rows]`.
    pub log_probs: Tensor<1>,
    /// Logits of the distributions: temperature and exclusion are in them, and no row needs to be normalized.
    /// `[rows, outcomes]`.
    pub logits: Tensor<2>,
    entropy: Option<Tensor<1>>,
}

impl Prediction {
    /// Entropy of each row's distribution, nats; `[rows]`.
    #[must_use]
    pub fn entropy(&self) -> Tensor<1> {
        // The composition leaves log-probabilities.
        self.entropy.clone().unwrap_or_else(|| expectation(self.logits.clone(), self.logits.clone().neg()))
    }
}

impl Softmax {
    /// The distribution of the logits themselves, over all outcomes.
    #[must_use]
    pub const fn plain() -> Self {
        Self { temperature: 1.0, excluded: Vec::new(), mask: None }
    }

    /// With a temperature above 0, and outcomes that cannot be.
    ///
    /// # Panics
    /// If an excluded outcome is not among the `outcomes`.
    #[must_use]
    pub fn new(temperature: f64, outcomes: usize, excluded: &[u32], device: &Device) -> Self {
        let excluded: Vec<usize> = excluded.iter().map(|&outcome| outcome as usize).collect();
        let mut mask = vec![false; outcomes];
        excluded.iter().for_each(|&outcome| mask[outcome] = true);
        let mask = (!excluded.is_empty()).then(|| Tensor::from_data(TensorData::new(mask, [1, outcomes]), device));
        Self { temperature, excluded, mask }
    }

    /// What the logits divide by.
    #[must_use]
    pub const fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The logits with temperature and exclusion in them.
    ///
    /// # Shapes
    /// - `logits`: `[rows, outcomes]`, f32; its memory is written to if nobody else holds it
    /// - returns `[rows, outcomes]`
    #[must_use]
    pub fn adjusted(&self, logits: Tensor<2>) -> Tensor<2> {
        if self.excluded.is_empty() && self.temperature == 1.0 {
            return logits;
        }
        if is_plain(&logits) {
            return Tensor::from_dispatch(<Dispatch as Vocabulary>::adjusted(logits.into_dispatch(), self));
        }
        let logits = self.excluded_as(logits, EXCLUDED);
        if self.temperature == 1.0 { logits } else { logits / self.temperature }
    }

    /// What is read of the distributions.
    ///
    /// Outcomes of probability 0 add nothing to the entropy. A row with a logit that is not a number, or in which no outcome
    /// is possible, is not a number.
    ///
    /// # Shapes
    /// - `logits`: `[rows, outcomes]`, f32; its memory is written to if nobody else holds it
    /// - `chosen`: `[rows]`, an outcome of each row
    ///
    /// # Panics
    /// If there are not as many chosen outcomes as rows, or one is not among the outcomes, which is not looked at on a GPU.
    #[must_use]
    pub fn predict(&self, logits: Tensor<2>, chosen: Tensor<1, Int>) -> Prediction {
        let logits = self.adjusted(logits);
        if is_plain(&logits) {
            let chosen = outcomes(chosen, &logits);
            let (log_probs, entropy) = <Dispatch as Vocabulary>::predict(logits.clone().into_dispatch(), &chosen);
            let (log_probs, entropy) = (Tensor::from_dispatch(log_probs), Tensor::from_dispatch(entropy));
            return Prediction { log_probs, logits, entropy: Some(entropy) };
        }
        let logits = log_softmax(logits, 1);
        let log_probs = logits.clone().gather(1, chosen.unsqueeze_dim(1)).squeeze_dim(1);
        Prediction { log_probs, logits, entropy: None }
    }

    /// The values with another one in the place of those of excluded outcomes, as a composition.
    fn excluded_as(&self, values: Tensor<2>, value: f32) -> Tensor<2> {
        match &self.mask {
            // Nothing can be expanded to no rows.
            Some(mask) if values.dims()[0] > 0 => values.clone().mask_fill(mask.clone().expand(values.dims()), value),
            _ => values,
        }
    }

    /// Puts temperature and exclusion into a row.
    #[inline(always)]
    fn adjust(&self, row: &mut [f32]) {
        self.excluded.iter().for_each(|&outcome| row[outcome] = EXCLUDED);
        if self.temperature != 1.0 {
            let temperature = self.temperature as f32;
            row.iter_mut().for_each(|logit| *logit /= temperature);
        }
    }
}

/// The chosen outcomes on the host.
///
/// # Panics
/// If there are not as many as rows, or one is not among the outcomes.
fn outcomes(chosen: Tensor<1, Int>, logits: &Tensor<2>) -> Vec<usize> {
    let [rows, count] = logits.dims();
    let chosen: Vec<usize> = chosen.into_data().iter::<i64>().map(|outcome| outcome as usize).collect();
    assert_eq!(chosen.len(), rows, "a chosen outcome for each row");
    assert!(chosen.iter().all(|&outcome| outcome < count), "an outcome that is not among the {count}: {chosen:?}");
    chosen
}

/// Rows of so many outcomes that one task works on.
fn rows_of_task(outcomes: usize) -> usize {
    TASK.div_ceil(outcomes.max(1))
}

/// Rows and outcomes of logits.
fn dims(logits: &Host) -> (usize, usize) {
    (logits.layout().shape()[0], logits.layout().shape()[1])
}

/// Hands over every task's rows, to be written over.
fn for_each_task(logits: Host, work: impl Fn(usize, &mut [f32]) + Sync) -> Host {
    let mut logits = in_order(logits);
    let (_, count) = dims(&logits);
    let (start, end) = logits.layout().contiguous_offsets().expect("row-major order");
    let task = rows_of_task(count);
    // Copies if somebody else holds the memory.
    let values = &mut logits.storage_mut::<f32>()[start..end];
    values.par_chunks_mut(task * count.max(1)).enumerate().for_each(|(index, rows)| work(index * task, rows));
    logits
}

#[backend_extension(Flex)]
trait Vocabulary: Backend {
    fn adjusted(logits: FloatTensor<Self>, softmax: &Softmax) -> FloatTensor<Self>;

    /// Log-probabilities of the chosen outcomes, and entropies.
    fn predict(logits: FloatTensor<Self>, chosen: &[usize]) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl Vocabulary for Flex {
    fn adjusted(logits: Host, softmax: &Softmax) -> Host {
        let (_, count) = dims(&logits);
        for_each_task(logits, |_, rows| {
            vectorized(
                #[inline(always)]
                || rows.chunks_exact_mut(count).for_each(|row| softmax.adjust(row)),
            );
        })
    }

    fn predict(logits: Host, chosen: &[usize]) -> (Host, Host) {
        let logits = in_order(logits);
        let (rows, count) = dims(&logits);
        let task = rows_of_task(count);
        let (mut log_probs, mut entropies) = (vec![0.0; rows], vec![0.0; rows]);
        let outputs = log_probs.par_chunks_mut(task).zip(entropies.par_chunks_mut(task));
        let inputs = values(&logits).par_chunks(task * count.max(1)).zip(chosen.par_chunks(task));
        outputs.zip(inputs).for_each(|((log_probs, entropies), (logits, chosen))| {
            vectorized(
                #[inline(always)]
                || {
                    let outputs = log_probs.iter_mut().zip(entropies);
                    let inputs = logits.chunks_exact(count).zip(chosen);
                    for ((log_prob, entropy), (row, &chosen)) in outputs.zip(inputs) {
                        let known = Row::of(row);
                        *log_prob = known.log_prob(row[chosen]);
                        *entropy = known.entropy;
                    }
                },
            );
        });
        (tensor(log_probs, [rows]), tensor(entropies, [rows]))
    }
}
