//! How per-token values become one number.

use serde::{Deserialize, Serialize};

/// The average over an optimizer batch. Empty responses contribute nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Every token counts the same: `Σ x / Σ n` (DAPO, VPPO, PGPO).
    #[default]
    TokenMean,
    /// Every response counts the same: the mean over responses of each one's token mean (GRPO). Empty responses count in
    /// the denominator.
    SequenceMean,
}

impl Reduction {
    /// The weight of one token of each row, for rows of the given lengths that form a whole optimizer batch.
    ///
    /// # Source
    /// The denominators carry the 1e-8 of the released code (`core_algos.py`, `average_loss`).
    #[must_use]
    pub fn weights(self, lengths: &[usize]) -> Vec<f32> {
        let tokens: usize = lengths.iter().sum();
        let weight = |&length: &usize| match self {
            Self::TokenMean => 1.0 / (tokens as f64 + 1e-8),
            Self::SequenceMean => 1.0 / (length as f64 + 1e-8) / lengths.len() as f64,
        };
        lengths.iter().map(|length| if *length == 0 { 0.0 } else { weight(length) as f32 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Reduction;

    #[test]
    fn weights_of_three_rows() {
        let sum = |weights: &[f32], lengths: &[usize]| -> f32 {
            weights.iter().zip(lengths).map(|(weight, &length)| weight * length as f32).sum()
        };
        let lengths = [4, 0, 2];
        let token = Reduction::TokenMean.weights(&lengths);
        assert!((token[0] - 1.0 / 6.0).abs() < 1e-7 && token[0] == token[2]);
        assert!((sum(&token, &lengths) - 1.0).abs() < 1e-6);
        let sequence = Reduction::SequenceMean.weights(&lengths);
        assert!((sequence[0] - 1.0 / 12.0).abs() < 1e-7 && (sequence[2] - 1.0 / 6.0).abs() < 1e-7);
        assert!((sum(&sequence, &lengths) - 2.0 / 3.0).abs() < 1e-6, "the empty row counts in the denominator");
    }
}
