//! Perception-grounded policy optimization (PGPO): advantage flows to the tokens that look at the image.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use super::by_length::by_length;
use super::log_dependency::{EPSILON, LogDependency};
use super::water_filling::water_filled;
use crate::{AtLeastOne, Credit, CreditError, CreditShaper, Evidence, Fraction, NonNegative};

/// Multiplies the advantage of each token by a weight that falls short of 1 below a threshold and exceeds it above.
///
/// With `s = log(1 + dependency)` rescaled to `0..=1` within the response and `h` the threshold, a token with `s < h` gets
/// `s / h`, but at least `floor`; any other `1 + boost * (s - h) / (1 - h)`. With `conserve_mass` the weights are then scaled
/// to average 1. Writes [`Credit::advantage`] only.
///
/// If all dependencies are equal (a single token, or none at all) all weights are 1, as they are for responses without an
/// image; without `conserve_mass` and with a threshold above 0 on the range, equal dependencies all get the weight of the
/// least dependent token, `floor`. A dependency that is not finite, or at most -1, makes the whole response's advantages not a
/// number.
///
/// # Source
/// PGPO, arXiv:2604.01840, equations 4 to 8; the defaults are its best setting. [`Threshold::Quantile`] with a `floor` of 0.1
/// and without `conserve_mass` is a development snapshot of its authors, known at second hand.
///
/// # Departures
/// Equation 7 divides 0 by 0 for equal dependencies. A `cap` is ours: with conserved mass a single token may otherwise carry
/// the whole response.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerceptionGate {
    /// Rescaled score from which a token is boosted (the paper's tau).
    pub threshold: Threshold,
    /// How much the most dependent token gains, before scaling (the paper's beta).
    pub boost: NonNegative,
    /// Least weight of a token below the threshold, before scaling.
    pub floor: Fraction,
    /// Whether the weights of a response are scaled to average 1 (equation 7).
    pub conserve_mass: bool,
    /// Largest weight. With `conserve_mass` what is cut off goes to the tokens below the cap, in proportion to their weights;
    /// where all with a weight above 0 reach the cap, they keep it and the average stays below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<AtLeastOne>,
}

/// Which tokens of a response are boosted; written `{ range = 0.4 }` or `{ quantile = 0.4 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// Those from this share of the way between the least and the most dependent token.
    Range(Fraction),
    /// Those from the token that this share of the tokens, rounded down, ranks below. Dependencies whose logarithms lie
    /// within 1e-8 of each other are taken as equal.
    Quantile(Fraction),
}

impl Default for PerceptionGate {
    fn default() -> Self {
        Self {
            threshold: Threshold::Range(const { Fraction::literal(0.4) }),
            boost: const { NonNegative::literal(2.0) },
            floor: const { Fraction::literal(0.0) },
            conserve_mass: true,
            cap: None,
        }
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
    /// The weight of every token: `[responses, tokens]`, 0 on padding.
    fn weights(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let dependency = LogDependency::new(evidence, "perception-gate")?;
        let (score, threshold) = self.threshold.apply(&dependency, evidence.response());
        let low = (score.clone() / (threshold.clone() + EPSILON)).clamp_min(self.floor.value());
        let slope = (threshold.clone().neg() + 1.0 + EPSILON).recip() * self.boost.value();
        let high = (score.clone() - threshold.clone()) * slope + 1.0;
        let padding = evidence.response().clone().bool_not();
        let weight = high.mask_where(score.lower(threshold), low).mask_fill(padding, 0.0);
        let weight = match (self.conserve_mass, self.cap) {
            (true, Some(cap)) => water_filled(conserved(weight, evidence), &evidence.lengths(), cap),
            (true, None) => conserved(weight, evidence),
            (false, Some(cap)) => weight.clamp_max(cap.value()),
            (false, None) => weight,
        };
        Ok(weight.mask_fill(dependency.unknown, f32::NAN))
    }
}

impl Threshold {
    /// The rescaled score of every token and the threshold it is held against: both `[responses, tokens]`.
    fn apply(self, dependency: &LogDependency, response: &Tensor<2, Bool>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Range(share) => {
                let score = dependency.rescaled();
                let threshold = score.full_like(share.value());
                (score, threshold)
            }
            Self::Quantile(share) => {
                let range = dependency.range.clone();
                let equal = range.clone().lower_equal_scalar(EPSILON);
                let score = dependency.above.clone() / range.mask_fill(equal, 1.0);
                let rank = by_length(response, |length| rank(share, length));
                let last = response.clone().bool_not().bool_or(dependency.unknown.clone());
                let sorted = score.clone().mask_fill(last, f32::MAX).sort(1);
                (score, sorted.gather(1, rank).expand(response.dims()))
            }
        }
    }
}

/// Number of tokens that rank below the threshold's: `floor(share * length)`, unmoved by the rounding error of `share`, and
/// never all of them.
fn rank(share: Fraction, length: usize) -> usize {
    ((share.value() * length as f64 + 1e-9) as usize).min(length.saturating_sub(1))
}

/// The weights scaled to sum to the length of their response, or 1 where they have no mass: 0 on padding.
fn conserved(weight: Tensor<2>, evidence: &Evidence) -> Tensor<2> {
    let mass = weight.clone().sum_dim(1);
    let all_equal = mass.clone().lower_equal_scalar(EPSILON).expand(weight.dims());
    let scaled = weight * (evidence.lengths() / mass);
    scaled.mask_fill(all_equal, 1.0).mask_fill(evidence.response().clone().bool_not(), 0.0)
}
