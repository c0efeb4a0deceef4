//! Perception-grounded policy optimization (PGPO): advantage flows to the tokens that look at the image.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Credit, CreditError, CreditShaper, Evidence, Fraction, NonNegative};

/// Keeps denominators above 0.
const EPSILON: f64 = 1e-8;

/// Multiplies the advantage of each token by a weight that sums to the number of tokens of its response.
///
/// With `s = log(1 + dependency)` rescaled to `0..=1` within the response, a token below `threshold` gets
/// `s / threshold`, any other `1 + boost * (s - threshold) / (1 - threshold)`; the weights are then scaled to average 1. Writes
/// [`Credit::advantage`] only.
///
/// The least dependent token of a response always gets 0. If all dependencies are equal (a single token, or none at all) all
/// weights are 1, as they are for responses without an image. A dependency that is not finite makes the whole response's
/// advantages not a number.
///
/// # Source
/// PGPO, arXiv:2604.01840, equations 4 to 8; the defaults are its best setting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerceptionGate {
    /// Rescaled score from which a token is boosted (the paper's tau).
    pub threshold: Fraction,
    /// How much the most dependent token gains, before scaling (the paper's beta).
    pub boost: NonNegative,
}

impl Default for PerceptionGate {
    fn default() -> Self {
        Self { threshold: const { Fraction::literal(0.4) }, boost: const { NonNegative::literal(2.0) } }
    }
}

impl CreditShaper for PerceptionGate {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        let imageless = evidence.visual_tokens().bool_not();
        let weight = self.weights(evidence)?.mask_fill(imageless, 1.0);
        Ok(Credit { advantage: credit.advantage * weight, gate: credit.gate })
    }
}

impl PerceptionGate {
    /// The weight of every token, averaging 1 over each response that has tokens: `[responses, tokens]`.
    fn weights(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let padding = evidence.response().clone().bool_not();
        let score = rescaled_score(evidence)?;
        let threshold = self.threshold.value();
        let low = score.clone() / (threshold + EPSILON);
        let boost = self.boost.value() / (1.0 - threshold + EPSILON);
        let high = (score.clone() - threshold) * boost + 1.0;
        let weight = high.mask_where(score.lower_scalar(threshold), low).mask_fill(padding.clone(), 0.0);

        let mass = weight.clone().sum_dim(1);
        let all_equal = mass.clone().lower_equal_scalar(EPSILON).expand(weight.dims());
        let conserved = weight * (evidence.lengths() / mass);
        Ok(conserved.mask_fill(all_equal.bool_or(padding), 1.0))
    }
}

/// `log(1 + dependency)` rescaled to `0..=1` within each response: `[responses, tokens]`, anything on padding.
fn rescaled_score(evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
    let padding = evidence.response().clone().bool_not();
    let score = evidence.dependency("perception-gate")?.clone().log1p();
    let lowest = score.clone().mask_fill(padding.clone(), f32::MAX).min_dim(1);
    let highest = score.clone().mask_fill(padding, f32::MIN).max_dim(1);
    Ok((score - lowest.clone()) / (highest - lowest + EPSILON))
}
