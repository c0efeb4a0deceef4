//! Dependency on the image, less what any small change of the image would do.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use super::{DependencyMetric, check, finished, in_f32, is_empty, stacked};
use crate::{Contrast, DependencyError, NonNegative};

/// A token depends robustly on the image if its prediction changes without the image but not when the image changes mildly.
///
/// The first contrast measures the grounding `V`, the others the instability `D`. Both are taken into `0..=f32::MAX`: a
/// negative divergence, such as a [`SampledK1`] or a [`ProbabilityDrop`] may be, counts as 0 and an infinite one as the largest
/// number. So the score is finite, at least 0 and, up to rounding, at most `V`; without instability it is `V`, but for the
/// [`Share`](Combination::Share). Where any of the divergences is not a number, neither is the score.
///
/// # Source
/// A *reconstruction* of the Robust Visual Dependency of PRPO, arXiv:2606.08708. Its abstract says that tokens should be
/// "visually grounded" and "stable under perturbation"; formulas, perturbations and settings are not published, and every
/// one here is ours.
///
/// [`SampledK1`]: crate::SampledK1
/// [`ProbabilityDrop`]: crate::ProbabilityDrop
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct RobustVisualDependency {
    /// The grounding contrast, then the perturbations.
    contrasts: Vec<Contrast>,
    /// How grounding and instability become one score.
    pub combination: Combination,
    /// How the divergences of several perturbations become one instability.
    pub over: Reduce,
}

impl RobustVisualDependency {
    /// Scores by `grounding`, as a rule against [`View::Blind`](crate::View::Blind) or a destroyed image, and by one or more
    /// `perturbations` that leave the answer in sight.
    ///
    /// # Errors
    /// [`DependencyError::NoContrasts`] without a perturbation.
    pub fn new(
        grounding: Contrast,
        perturbations: Vec<Contrast>,
        combination: Combination,
        over: Reduce,
    ) -> Result<Self, DependencyError> {
        if perturbations.is_empty() {
            return Err(DependencyError::NoContrasts { metric: "robust-visual-dependency", list: "perturbations" });
        }
        let mut contrasts = vec![grounding];
        contrasts.extend(perturbations);
        Ok(Self { contrasts, combination, over })
    }
}

/// How the grounding `V` and the instability `D` of a token become its score. Every `strength` is 1 if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Combination {
    /// `V exp(-strength D)`.
    Exponential {
        /// How fast instability (nats) takes the score to 0.
        #[serde(default = "one")]
        strength: NonNegative,
    },
    /// `max(V - strength D, 0)`.
    Difference {
        /// How much grounding a nat of instability cancels.
        #[serde(default = "one")]
        strength: NonNegative,
    },
    /// `V / (1 + strength D)`.
    Ratio {
        /// `1 / strength` nats of instability halve the score.
        #[serde(default = "one")]
        strength: NonNegative,
    },
    /// `V^2 / (V + strength D + 1e-8)`: the grounding times its share of all change. 0 where that sum exceeds `f32::MAX`.
    Share {
        /// The weight of instability against grounding.
        #[serde(default = "one")]
        strength: NonNegative,
    },
}

impl Default for Combination {
    /// The exponential of strength 1.
    fn default() -> Self {
        Self::Exponential { strength: one() }
    }
}

const fn one() -> NonNegative {
    NonNegative::literal(1.0)
}

impl Combination {
    /// The score of tokens from `0..=f32::MAX` of grounding and instability.
    fn score(self, grounding: Tensor<2>, instability: Tensor<2>) -> Tensor<2> {
        /// Keeps a share defined where nothing changes.
        const EPSILON: f64 = 1e-8;
        /// Its exponential is 0, and a device that takes powers of two instead can still scale it.
        const LOWEST_EXPONENT: f64 = -1e3;
        match self {
            Self::Exponential { strength } => {
                grounding * (instability * -in_f32(strength)).clamp_min(LOWEST_EXPONENT).exp()
            }
            Self::Difference { strength } => (grounding - instability * in_f32(strength)).clamp_min(0.0),
            Self::Ratio { strength } => grounding / (instability * in_f32(strength) + 1.0),
            // The square of the grounding may not be finite; its share is.
            Self::Share { strength } => {
                grounding.clone() * (grounding.clone() / (grounding + instability * in_f32(strength) + EPSILON))
            }
        }
    }
}

/// How several numbers become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduce {
    /// Their mean.
    #[default]
    Mean,
    /// The largest.
    Max,
}

impl Reduce {
    /// `[contrasts, responses, tokens]` to `[responses, tokens]`, of numbers in `0..=f32::MAX`, which it keeps to.
    fn over_contrasts(self, values: Tensor<3>) -> Tensor<2> {
        let [contrasts, ..] = values.dims();
        let reduced = match self {
            // Divided first, so that the sum is no larger than a number; it may be by a rounding.
            Self::Mean => (values / contrasts as f64).sum_dim(0).clamp_max(f32::MAX),
            Self::Max => values.max_dim(0),
        };
        reduced.squeeze_dim(0)
    }
}

impl DependencyMetric for RobustVisualDependency {
    fn contrasts(&self) -> &[Contrast] {
        &self.contrasts
    }

    fn score(&self, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError> {
        check(self.contrasts(), divergences, response)?;
        if is_empty(response) {
            return Ok(divergences[0].clone());
        }
        let (grounding, perturbations) = divergences.split_at(1);
        let grounding = stacked(grounding).squeeze_dim(0);
        let instability = self.over.over_contrasts(stacked(perturbations));
        Ok(finished(self.combination.score(grounding, instability), divergences, response))
    }
}

/// The written form, whose reading checks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    grounding: Contrast,
    perturbations: Vec<Contrast>,
    #[serde(default)]
    combination: Combination,
    #[serde(default)]
    over: Reduce,
}

impl TryFrom<Wire> for RobustVisualDependency {
    type Error = DependencyError;

    fn try_from(wire: Wire) -> Result<Self, DependencyError> {
        Self::new(wire.grounding, wire.perturbations, wire.combination, wire.over)
    }
}

impl From<RobustVisualDependency> for Wire {
    fn from(metric: RobustVisualDependency) -> Self {
        let RobustVisualDependency { mut contrasts, combination, over } = metric;
        let grounding = contrasts.remove(0);
        Self { grounding, perturbations: contrasts, combination, over }
    }
}
