//! How per-token values become one number.

use std::num::NonZeroUsize;

use burn::tensor::{Bool, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Keeps denominators above 0.
const EPSILON: f64 = 1e-8;

/// The average over an optimizer batch, `n` being the length of a response and `B` their number. Empty responses contribute
/// nothing.
///
/// Written `"token-mean"` and so on; `{ dr-grpo = { max_length = 2048 } }` or, for the run's own limit, `{ dr-grpo = {} }`.
///
/// # Source
/// The released code of EasyR1 and verl (`core_algos.py`, `average_loss` and `agg_loss`), whose 1e-8 in the denominators is
/// kept.
///
/// # Departures
/// verl divides the last of its means by `max_length` alone; Dr. GRPO's paper also by the number of responses, as here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reduction {
    /// Every token counts the same: `Σ x / Σ n` (DAPO, VPPO, PGPO, CISPO).
    #[default]
    TokenMean,
    /// Every response counts the same: `1/B Σ (Σ x / n)` (GRPO). Empty responses count in `B`.
    SequenceMean,
    /// [`Self::SequenceMean`] without the empty responses in `B` (GSPO).
    NonEmptySequenceMean,
    /// Sums over tokens, averaged over the responses that have any: `Σ x / B`.
    SequenceSum,
    /// `Σ x / (B · max_length)`: a constant in the place of lengths, so that long responses are not favoured. Empty responses
    /// count in `B`. Source: Dr. GRPO, arXiv:2503.20783, section 3.2.
    DrGrpo {
        /// The constant; `None` takes the most tokens a response of the run may have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<NonZeroUsize>,
    },
    /// The policy term is divided by the sum of all gates instead of the number of tokens: the mean over the tokens that
    /// speak, 0 if none does. All other terms are a [`Self::TokenMean`].
    Selected,
}

/// What turns sums over some rows of an optimizer batch into their shares of its averages.
///
/// # Shapes
/// All `[responses, 1]`: the weight of one token of each row.
#[derive(Clone, Debug)]
pub struct Weights {
    /// For the policy term.
    pub policy: Tensor<2>,
    /// For all other terms.
    pub regularizer: Tensor<2>,
    /// For what is only reported: a mean over tokens, whatever the reduction.
    pub report: Tensor<2>,
}

/// How many things the averages of an optimizer batch are taken over, empty rows left out where the reduction leaves them out.
///
/// An average times its count is a sum, so that averages of batches of unequal size can be put together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// For the policy term: tokens, responses or, for [`Reduction::Selected`], the sum of all gates.
    pub policy: f64,
    /// For all other terms: tokens or responses.
    pub regularizer: f64,
    /// For what is only reported: tokens.
    pub report: f64,
}

impl Reduction {
    /// What the averages over rows of these lengths, whose weights are given, are taken over.
    #[must_use]
    pub fn counts(self, lengths: &[usize], weights: &Weights) -> Counts {
        let tokens = lengths.iter().sum::<usize>() as f64;
        let rows = lengths.len() as f64;
        let speaking = lengths.iter().filter(|&&n| n > 0).count() as f64;
        let regularizer = match self {
            Self::TokenMean | Self::Selected => tokens,
            Self::SequenceMean | Self::DrGrpo { .. } => rows,
            Self::NonEmptySequenceMean | Self::SequenceSum => speaking,
        };
        let policy = match self {
            // One over the sum of all gates is the weight of every row.
            Self::Selected => weights.policy.to_data().iter::<f64>().next().map_or(0.0, f64::recip),
            _ => regularizer,
        };
        Counts { policy, regularizer, report: tokens }
    }

    /// The weights of rows that form a whole optimizer batch. A row of length 0 has weight 0, whatever its gates.
    ///
    /// `max_new_tokens` is the most tokens a response of the run may have, at least 1.
    ///
    /// # Shapes
    /// - `lengths`: one for each row
    /// - `gate`: `[responses, tokens]`; read on tokens only
    #[must_use]
    pub fn weights(self, lengths: &[usize], gate: &Tensor<2>, max_new_tokens: usize) -> Weights {
        let ([rows, width], device) = (gate.dims(), gate.device());
        let column = |reduction: Self| {
            let weights: Vec<f32> =
                lengths.iter().map(|&n| reduction.of_row(n, lengths, max_new_tokens) as f32).collect();
            Tensor::<2>::from_data(TensorData::new(weights, [rows, 1]), &device)
        };
        let (report, regularizer) = (column(Self::TokenMean), column(self));
        let policy = if self == Self::Selected {
            let padding: Vec<bool> = lengths.iter().flat_map(|&n| (0..width).map(move |t| t >= n)).collect();
            let padding = Tensor::<2, Bool>::from_data(TensorData::new(padding, [rows, width]), &device);
            let mass = gate.clone().mask_fill(padding, 0.0).sum() + EPSILON;
            mass.recip().reshape([1, 1]).expand([rows, 1])
        } else {
            regularizer.clone()
        };
        Weights { policy, regularizer, report }
    }

    /// The weight of one token of a row of `length` tokens, the policy term of [`Self::Selected`] apart.
    fn of_row(self, length: usize, lengths: &[usize], max_new_tokens: usize) -> f64 {
        if length == 0 {
            return 0.0;
        }
        let tokens = lengths.iter().sum::<usize>() as f64;
        let rows = lengths.len() as f64;
        let speaking = lengths.iter().filter(|&&n| n > 0).count() as f64;
        let length = length as f64 + EPSILON;
        match self {
            Self::TokenMean | Self::Selected => 1.0 / (tokens + EPSILON),
            Self::SequenceMean => 1.0 / length / rows,
            Self::NonEmptySequenceMean => 1.0 / length / speaking,
            Self::SequenceSum => 1.0 / speaking,
            Self::DrGrpo { max_length } => {
                1.0 / (rows * max_length.map_or(max_new_tokens.max(1), NonZeroUsize::get) as f64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn host(weights: &Tensor<2>) -> Vec<f32> {
        weights.to_data().iter().collect()
    }

    #[test]
    fn weights_of_three_rows() {
        let gate = Tensor::<2>::from_data(
            [[0.5, 0.0, 0.25, 0.0], [f32::NAN; 4], [0.25, 1.0, f32::NAN, f32::INFINITY]],
            &Device::default(),
        );
        let (long, given) = (NonZeroUsize::new(10), 5);
        for (reduction, policy, others) in [
            (Reduction::TokenMean, [1.0 / 6.0, 0.0, 1.0 / 6.0], [1.0 / 6.0, 0.0, 1.0 / 6.0]),
            (Reduction::SequenceMean, [1.0 / 12.0, 0.0, 1.0 / 6.0], [1.0 / 12.0, 0.0, 1.0 / 6.0]),
            (Reduction::NonEmptySequenceMean, [1.0 / 8.0, 0.0, 1.0 / 4.0], [1.0 / 8.0, 0.0, 1.0 / 4.0]),
            (Reduction::SequenceSum, [0.5, 0.0, 0.5], [0.5, 0.0, 0.5]),
            (Reduction::DrGrpo { max_length: long }, [1.0 / 30.0, 0.0, 1.0 / 30.0], [1.0 / 30.0, 0.0, 1.0 / 30.0]),
            (Reduction::DrGrpo { max_length: None }, [1.0 / 15.0, 0.0, 1.0 / 15.0], [1.0 / 15.0, 0.0, 1.0 / 15.0]),
            (Reduction::Selected, [0.5; 3], [1.0 / 6.0, 0.0, 1.0 / 6.0]),
        ] {
            let weights = reduction.weights(&[4, 0, 2], &gate, given);
            let close = |found: &Tensor<2>, expected: [f32; 3]| {
                assert_eq!(found.dims(), [3, 1]);
                assert!(
                    host(found).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7),
                    "{reduction:?}: {found} but {expected:?}"
                );
            };
            close(&weights.policy, policy);
            close(&weights.regularizer, others);
            close(&weights.report, [1.0 / 6.0, 0.0, 1.0 / 6.0]);
        }
    }

    /// An average of a whole is that of its parts by their counts.
    #[test]
    fn averages_of_batches_are_put_together_by_their_counts() {
        // Every token of a row has the row's value; the first two rows are one batch, the others another.
        let (lengths, values) = ([4_usize, 1, 2, 0, 3], [1.0_f32, 5.0, -2.0, 7.0, 0.5]);
        let average = |reduction: Reduction, rows: std::ops::Range<usize>| {
            let gate = Tensor::<2>::ones([rows.len(), 4], &Device::default()) * 0.25;
            let weights = reduction.weights(&lengths[rows.clone()], &gate, 5);
            let sum = |weights: &Tensor<2>| {
                let rows = lengths[rows.clone()].iter().zip(&values[rows.clone()]).zip(host(weights));
                rows.map(|((&n, value), weight)| f64::from(n as f32 * value * weight)).sum::<f64>()
            };
            let counts = reduction.counts(&lengths[rows.clone()], &weights);
            (sum(&weights.policy), sum(&weights.regularizer), sum(&weights.report), counts)
        };
        for reduction in [
            Reduction::TokenMean,
            Reduction::SequenceMean,
            Reduction::NonEmptySequenceMean,
            Reduction::SequenceSum,
            Reduction::DrGrpo { max_length: None },
            Reduction::Selected,
        ] {
            let (whole, first, second) = (average(reduction, 0..5), average(reduction, 0..2), average(reduction, 2..5));
            let joined = |one: (f64, f64), other: (f64, f64)| (one.0 * one.1 + other.0 * other.1) / (one.1 + other.1);
            for (whole, joined) in [
                (whole.0, joined((first.0, first.3.policy), (second.0, second.3.policy))),
                (whole.1, joined((first.1, first.3.regularizer), (second.1, second.3.regularizer))),
                (whole.2, joined((first.2, first.3.report), (second.2, second.3.report))),
            ] {
                assert!((whole - joined).abs() < 1e-6, "{reduction:?}: {whole} but {joined}");
            }
        }
    }

    /// A batch without a token weighs nothing, and gates that are all closed divide by nothing.
    #[test]
    fn nothing_to_average() {
        let gate = Tensor::<2>::zeros([2, 3], &Device::default());
        for reduction in [
            Reduction::TokenMean,
            Reduction::SequenceMean,
            Reduction::NonEmptySequenceMean,
            Reduction::SequenceSum,
            Reduction::DrGrpo { max_length: None },
        ] {
            let weights = reduction.weights(&[0, 0], &gate, 0);
            assert_eq!((host(&weights.policy), host(&weights.regularizer)), (vec![0.0; 2], vec![0.0; 2]));
            let weights = reduction.weights(&[1, 0], &gate, 0);
            assert!(host(&weights.policy).iter().all(|weight| weight.is_finite()), "{reduction:?}");
        }
        let weights = Reduction::Selected.weights(&[3, 0], &gate, 1);
        assert!(host(&weights.policy).iter().all(|weight| weight.is_finite()));
    }

    #[test]
    fn written_forms() {
        let max_length = NonZeroUsize::new(2048);
        for (reduction, text) in [
            (Reduction::TokenMean, "\"token-mean\""),
            (Reduction::SequenceMean, "\"sequence-mean\""),
            (Reduction::NonEmptySequenceMean, "\"non-empty-sequence-mean\""),
            (Reduction::SequenceSum, "\"sequence-sum\""),
            (Reduction::DrGrpo { max_length: None }, "{\"dr-grpo\":{}}"),
            (Reduction::DrGrpo { max_length }, "{\"dr-grpo\":{\"max_length\":2048}}"),
            (Reduction::Selected, "\"selected\""),
        ] {
            assert_eq!(serde_json::to_string(&reduction).expect("serializes"), text);
            assert_eq!(serde_json::from_str::<Reduction>(text).expect(text), reduction);
        }
        for wrong in ["{\"dr-grpo\":{\"max_length\":0}}", "{\"dr-grpo\":{\"length\":1}}", "\"mean\""] {
            assert!(serde_json::from_str::<Reduction>(wrong).is_err(), "{wrong} was accepted");
        }
    }
}
