//! Perceptual advantage reshaping (PAR): perceptive tokens are praised and blamed louder, all others as before.

use burn::tensor::activation::sigmoid;
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use super::log_dependency::{EPSILON, LogDependency};
use super::top_tokens::top_tokens;
use crate::{Credit, CreditError, CreditShaper, Evidence, Fraction, NonNegative, Positive};

const KIND: &str = "perceptual-reshaping";

/// Rescaled dependencies closer together than this are taken as equal.
const SMALLEST_RANGE: f64 = 1e-6;

/// Multiplies the advantage of each token by a weight of at least 1 that grows with its dependency: a *reconstruction*.
///
/// With `s = log(1 + dependency)` rescaled to `0..=1` within the response, [`ReshapingRule`] says what a token gains. Made for
/// a dependency that is robust to mild perturbations of the image, but reads whatever was measured. Writes
/// [`Credit::advantage`] only.
///
/// If all dependencies are equal (a single token, or none at all), or one is not finite or at most -1, all weights of the response are 1, as
/// they are for responses without an image.
///
/// # Source
/// After the abstract of PRPO, arXiv:2606.08708, which amplifies perceptually informative tokens and keeps the others'
/// gradients as they are.
///
/// # Departures
/// The formulas of the paper are not published. Rules, defaults and schedule are ours, and no result with them is a result of
/// PRPO.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerceptualReshaping {
    /// What each token gains.
    pub rule: ReshapingRule,
    /// Whether the gains grow with training.
    pub schedule: Schedule,
}

/// What a token gains by its rescaled dependency `s`: a *reconstruction*, as is all of [`PerceptualReshaping`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReshapingRule {
    /// Weight 1 up to the threshold, from there rising evenly to `1 + boost`.
    Boost {
        /// The `s` from which a token gains.
        threshold: Fraction,
        /// What the most dependent token gains.
        boost: NonNegative,
    },
    /// As [`ReshapingRule::Boost`], then scaled to average 1 over the response, so that the others lose.
    BoostMass {
        /// The `s` from which a token gains, before scaling.
        threshold: Fraction,
        /// What the most dependent token gains, before scaling.
        boost: NonNegative,
    },
    /// Weight `1 + boost` for the most dependent tokens, 1 for the others. Of equally dependent tokens the earlier one gains.
    TopK {
        /// Share of a response's tokens that gain, rounded up.
        share: Fraction,
        /// What they gain.
        boost: NonNegative,
    },
    /// Weight `1 + boost * sigmoid((s - threshold) / temperature)`.
    Sigmoid {
        /// The `s` at which a token gains half the boost.
        threshold: Fraction,
        /// How far around the threshold the gain passes from nothing to all, in units of `s`.
        temperature: Positive,
        /// What a token far above the threshold gains.
        boost: NonNegative,
    },
}

/// How much of a shaper is in force at each point of training: a *reconstruction*, as is all of [`PerceptualReshaping`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// All of it, always.
    #[default]
    Constant,
    /// None at the first step, growing evenly to all of it at the last.
    Rising,
}

impl Schedule {
    /// Weights as they are at this point of training: `1 + progress * (weight - 1)` if rising.
    ///
    /// # Shapes
    /// - `weight`: any
    /// - returns the same shape
    pub fn apply<const D: usize>(self, weight: Tensor<D>, progress: Fraction) -> Tensor<D> {
        match self {
            Self::Constant => weight,
            Self::Rising => (weight - 1.0) * progress.value() + 1.0,
        }
    }
}

impl Default for PerceptualReshaping {
    fn default() -> Self {
        let rule = ReshapingRule::Boost {
            threshold: const { Fraction::literal(0.4) },
            boost: const { NonNegative::literal(2.0) },
        };
        Self { rule, schedule: Schedule::Constant }
    }
}

impl CreditShaper for PerceptualReshaping {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        let dependency = LogDependency::new(evidence, KIND)?;
        let highest = dependency.range.clone() / (dependency.range.clone() + EPSILON);
        let told_apart = highest.greater_scalar(SMALLEST_RANGE).expand(evidence.response().dims());
        let alone = told_apart.bool_not().bool_or(dependency.unknown.clone());
        let imageless = evidence.visual_tokens().bool_not();
        let weight = self.rule.weights(&dependency, evidence)?.mask_fill(alone.bool_or(imageless), 1.0);
        let advantage = credit.advantage * self.schedule.apply(weight, evidence.progress());
        Ok(Credit { advantage, gate: credit.gate })
    }
}

impl ReshapingRule {
    /// The weight of every token whose response tells its tokens apart: `[responses, tokens]`, finite on padding.
    fn weights(self, dependency: &LogDependency, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let padding = evidence.response().clone().bool_not();
        let score = dependency.rescaled().mask_fill(padding.clone(), 0.0);
        Ok(match self {
            Self::Boost { threshold, boost } => boosted(score, threshold, boost),
            Self::BoostMass { threshold, boost } => {
                let weight = boosted(score, threshold, boost).mask_fill(padding, 0.0);
                let mass = weight.clone().sum_dim(1).clamp_min(1.0);
                weight * (evidence.lengths() / mass)
            }
            Self::TopK { share, boost } => {
                let top = top_tokens(evidence.dependency(KIND)?, evidence.response(), share);
                top.cast(FloatDType::F32) * boost.value() + 1.0
            }
            Self::Sigmoid { threshold, temperature, boost } => {
                sigmoid((score - threshold.value()) / temperature.value()) * boost.value() + 1.0
            }
        })
    }
}

/// `1 + boost * (score - threshold) / (1 - threshold)` above the threshold, 1 below.
fn boosted(score: Tensor<2>, threshold: Fraction, boost: NonNegative) -> Tensor<2> {
    let slope = boost.value() / (1.0 - threshold.value() + EPSILON);
    (score - threshold.value()).clamp_min(0.0) * slope + 1.0
}
