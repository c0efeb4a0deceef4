//! Draws from rows of scores.

mod host;

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData, Transaction};

use crate::host::is_host;

/// A uniform number times this stays below one in f32 after multiplication with a mass, so that the last column is never
/// overshot.
const BELOW_ONE: f32 = 1.0 - 1e-6;

/// How a row of scores becomes a distribution over its columns.
///
/// Order of the filters as in transformers: temperature, top-k, top-p; the column that crosses `top_p` is kept.
#[derive(Clone, Debug)]
pub struct Categorical {
    filter: Filter,
    /// Columns that are never drawn, in order.
    excluded: Vec<usize>,
    /// −∞ at the excluded columns, 0 elsewhere; `[1, columns]`.
    exclusion: Tensor<2>,
}

/// What of a row can be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// Divides the scores; 0 takes the column of the highest score, the first of several. At least 0.
    pub temperature: f64,
    /// Keeps this many of the likeliest columns; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of columns whose probability reaches this share, in (0, 1]; 1 keeps all.
    pub top_p: f64,
}

/// A drawn column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Its index.
    pub column: u32,
    /// Its log-probability (nats) in the distribution it was drawn from; for a choice at temperature 0, in the row's own
    /// distribution at temperature 1, excluded columns included. Not finite where the row's scores make no distribution,
    /// and then the column means nothing.
    pub log_prob: f32,
}

impl Categorical {
    /// For rows of so many columns, some of which must never be drawn.
    ///
    /// # Panics
    /// If an excluded column is not one of them.
    #[must_use]
    pub fn new(filter: Filter, columns: usize, excluded: &[u32], device: &Device) -> Self {
        let mut bias = vec![0.0_f32; columns];
        let mut excluded: Vec<usize> = excluded.iter().map(|&column| column as usize).collect();
        excluded.sort_unstable();
        excluded.iter().for_each(|&column| bias[column] = f32::NEG_INFINITY);
        Self { filter, excluded, exclusion: Tensor::from_data(TensorData::new(bias, [1, columns]), device) }
    }

    /// Draws one column per row by inverting the row's cumulative distribution at its uniform number. `uniform` holds one
    /// number of [0, 1) per row and is not read at temperature 0.
    ///
    /// Nothing but the draws comes back from the device.
    ///
    /// # Shapes
    /// - `scores`: `[rows, columns]`, f32, without autodiff
    ///
    /// # Panics
    /// If there is not one uniform number per row where they are read.
    #[must_use]
    pub fn draw(&self, scores: Tensor<2>, uniform: &[f32]) -> Vec<Draw> {
        let [rows, columns] = scores.dims();
        assert!(self.filter.temperature == 0.0 || uniform.len() == rows, "one uniform number per row");
        if is_host(&scores) {
            let data = scores.into_data();
            let scores = data.as_slice::<f32>().expect("f32 scores");
            return host::draw(scores, columns, &self.filter, &self.excluded, uniform);
        }
        self.composed(scores, uniform)
    }

    fn composed(&self, scores: Tensor<2>, uniform: &[f32]) -> Vec<Draw> {
        let (columns, log_probs) = if self.filter.temperature == 0.0 {
            let columns = (scores.clone() + self.exclusion.clone()).argmax(1);
            (columns.clone(), log_softmax(scores, 1).gather(1, columns))
        } else {
            self.invert(scores, uniform)
        };
        let read = Transaction::default().register(columns).register(log_probs).execute();
        let (columns, log_probs) = (read[0].iter::<i64>(), read[1].iter::<f32>());
        columns.zip(log_probs).map(|(column, log_prob)| Draw { column: column as u32, log_prob }).collect()
    }

    fn invert(&self, scores: Tensor<2>, uniform: &[f32]) -> (Tensor<2, Int>, Tensor<2>) {
        let device = scores.device();
        let scaled = (scores + self.exclusion.clone()) / self.filter.temperature;
        let (probability, order) = self.truncate(softmax(scaled, 1));
        let columns = probability.dims()[1];
        let cumulative = probability.clone().cumsum(1);
        let mass = cumulative.clone().narrow(1, columns - 1, 1);
        let uniform: Vec<f32> = uniform.iter().map(|&u| u * BELOW_ONE).collect();
        let rows = uniform.len();
        let target = Tensor::<2>::from_data(TensorData::new(uniform, [rows, 1]), &device) * mass.clone();
        let place = cumulative.lower_equal(target).int().sum_dim(1).clamp(0, columns as i64 - 1);
        let log_prob = (probability.gather(1, place.clone()) / mass).log();
        let column = match order {
            Some(order) => order.gather(1, place),
            None => place,
        };
        (column, log_prob)
    }

    /// Zeroes what top-k and top-p cut away. Truncated rows come sorted, with the columns they stand for.
    fn truncate(&self, probability: Tensor<2>) -> (Tensor<2>, Option<Tensor<2, Int>>) {
        let Filter { top_p, top_k, .. } = self.filter;
        let columns = probability.dims()[1];
        let keep = if top_k == 0 { columns } else { top_k.min(columns) };
        if top_p >= 1.0 && keep == columns {
            return (probability, None);
        }
        let (sorted, order) = probability.sort_descending_with_indices(1);
        let (sorted, order) = (sorted.narrow(1, 0, keep), order.narrow(1, 0, keep));
        if top_p >= 1.0 {
            return (sorted, Some(order));
        }
        let before = sorted.clone().cumsum(1) - sorted.clone();
        let mass = sorted.clone().sum_dim(1);
        let cut = before.greater_equal(mass * top_p);
        (sorted.mask_fill(cut, 0.0), Some(order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores of a few hundred columns without two equal ones; `spread` apart at most.
    fn scores(seed: usize, columns: usize, spread: f32) -> Vec<f32> {
        // A full period of a linear congruence visits every residue once.
        (0..columns).map(|i| ((i * 389 + seed * 97 + 13) % 1021) as f32 / 1021.0 * spread).collect()
    }

    /// Probabilities by the definition, in f64, in the order in which the cumulative distribution runs.
    fn distribution(scores: &[f32], filter: &Filter, excluded: &[u32]) -> Vec<(u32, f64)> {
        let allowed = (0..scores.len() as u32).filter(|column| !excluded.contains(column));
        let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |column: u32| (f64::from(scores[column as usize] - top) / filter.temperature).exp();
        let mut weights: Vec<(u32, f64)> = allowed.map(|column| (column, weight(column))).collect();
        if filter.top_k > 0 || filter.top_p < 1.0 {
            weights.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
        if filter.top_k > 0 {
            weights.truncate(filter.top_k);
        }
        if filter.top_p < 1.0 {
            let mass: f64 = weights.iter().map(|(_, weight)| weight).sum();
            let mut before = 0.0;
            weights.retain(|(_, weight)| {
                let keep = before < filter.top_p * mass;
                before += weight;
                keep
            });
        }
        let mass: f64 = weights.iter().map(|(_, weight)| weight).sum();
        weights.iter().map(|&(column, weight)| (column, weight / mass)).collect()
    }

    /// Both ways of drawing invert the same distribution: what they draw for a number is what stands there in f64, but for
    /// numbers within rounding of a boundary.
    #[test]
    fn both_ways_draw_what_stands_at_the_number() {
        let (device, excluded) = (Device::flex(), [3, 700, 12]);
        let uniform: Vec<f32> = (0..257).map(|i| i as f32 / 257.0).chain([0.999_999_94]).collect();
        for (temperature, top_k, top_p) in [
            (1.0, 0, 1.0),
            (0.3, 0, 1.0),
            (2.0, 17, 1.0),
            (1.0, 0, 0.9),
            (0.7, 200, 0.95),
            (1.0, 1, 0.5),
            (1.5, 900, 1.0),
        ] {
            let filter = Filter { temperature, top_k, top_p };
            let rows: Vec<Vec<f32>> = (0..uniform.len()).map(|row| scores(row, 1000, 0.5 + (row % 9) as f32)).collect();
            let categorical = Categorical::new(filter, 1000, &excluded, &device);
            let tensor = Tensor::<2>::from_data(TensorData::new(rows.concat(), [rows.len(), 1000]), &device);
            let (found, composed) =
                (categorical.draw(tensor.clone(), &uniform), categorical.composed(tensor, &uniform));
            for ((row, draws), &u) in rows.iter().zip(found.iter().zip(&composed)).zip(&uniform) {
                let expected = distribution(row, &filter, &excluded);
                for draw in [draws.0, draws.1] {
                    let mut before = 0.0;
                    let place = expected.iter().take_while(|&&(column, probability)| {
                        let on = column != draw.column;
                        before += if on { probability } else { 0.0 };
                        on
                    });
                    let place = place.count();
                    assert!(place < expected.len(), "{} cannot be drawn under {filter:?}", draw.column);
                    let (own, u) = (expected[place].1, f64::from(u));
                    assert!(before - 1e-5 < u && u < before + own + 1e-5, "{u} stands not in {before}..+{own}");
                    assert!((f64::from(draw.log_prob) - own.ln()).abs() < 1e-4, "{draw:?} beside {}", own.ln());
                }
            }
        }
    }

    /// Weights that are exact in f32: the column that reaches `top_p` exactly is the last that is kept, and equal ones come in
    /// order.
    #[test]
    fn boundaries_are_exact() {
        let device = Device::flex();
        let scores = |weights: &[f32]| {
            let scores: Vec<f32> = weights.iter().map(|weight| weight.ln()).collect();
            Tensor::<2>::from_data(TensorData::new(scores, [1, weights.len()]), &device)
        };
        let drawn = |top_p, weights: &[f32], uniform| {
            let filter = Filter { temperature: 1.0, top_k: 0, top_p };
            Categorical::new(filter, weights.len(), &[], &device).draw(scores(weights), &[uniform])[0]
        };
        assert_eq!(drawn(1.0, &[0.0, 1.0, 1.0], 0.0).column, 1, "what has no weight is never drawn");
        assert_eq!(drawn(1.0, &[1.0, 1.0, 0.0], 0.999_999_94).column, 1);
        assert_eq!(drawn(0.5, &[1.0, 1.0, 1.0, 1.0], 0.9).column, 1, "half of four equal ones are two");
        assert_eq!(drawn(0.5, &[1.0, 1.0, 1.0, 1.0], 0.4).column, 0);
        assert!((drawn(0.5, &[1.0, 1.0, 1.0, 1.0], 0.4).log_prob - 0.5_f32.ln()).abs() < 1e-6);
    }

    /// At temperature 0 both ways take the highest allowed score and report its probability among all columns.
    #[test]
    fn both_ways_are_greedy() {
        let device = Device::flex();
        let filter = Filter { temperature: 0.0, top_k: 0, top_p: 1.0 };
        let categorical = Categorical::new(filter, 1000, &[77], &device);
        let rows: Vec<f32> = (0..9).flat_map(|row| scores(row, 1000, 3.0)).collect();
        let rows: Vec<f32> = rows.iter().enumerate().map(|(i, &x)| if i % 1000 == 77 { 5.0 } else { x }).collect();
        let tensor = Tensor::<2>::from_data(TensorData::new(rows, [9, 1000]), &device);
        let (found, composed) = (categorical.draw(tensor.clone(), &[]), categorical.composed(tensor, &[]));
        for (found, composed) in found.iter().zip(&composed) {
            assert_eq!(found.column, composed.column);
            assert!(found.column != 77 && (found.log_prob - composed.log_prob).abs() < 1e-5, "{found:?} {composed:?}");
        }
    }

    /// Scores that make no distribution give log-probabilities that say so.
    #[test]
    fn what_is_no_distribution_is_not_finite() {
        let device = Device::flex();
        for (top_k, top_p) in [(0, 1.0), (2, 1.0), (0, 0.9)] {
            let categorical = Categorical::new(Filter { temperature: 1.0, top_k, top_p }, 3, &[2], &device);
            for row in [[f32::NAN, 1.0, 2.0], [f32::INFINITY, 1.0, 2.0], [f32::NEG_INFINITY, f32::NEG_INFINITY, 2.0]] {
                let draw = categorical.draw(Tensor::from_floats([row], &device), &[0.5])[0];
                assert!(!draw.log_prob.is_finite() && draw.column < 3, "{draw:?} of {row:?}");
            }
        }
    }
}
