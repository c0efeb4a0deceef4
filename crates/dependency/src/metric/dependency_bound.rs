//! What of the dependency on the image is left whichever way the image is spoilt.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use super::{DependencyMetric, check, finished, in_f32, is_empty, stacked};
use crate::{Contrast, DependencyError, NonNegative};

/// A lower confidence bound of the dependency: `max(mean - caution deviation, 0)` over several measurements of it.
///
/// As a rule every contrast compares a mildly perturbed copy of the image ([`Contrast::base`]) with the blind view, and the
/// dependency is robust where all copies agree on it. The deviation is that of a population: `sqrt(mean((v - mean)^2))`.
///
/// Divergences are taken into `0..=f32::MAX`: a negative one counts as 0 and an infinite one as the largest number. So the
/// score is finite, at least 0 and, up to rounding, at most their mean. Where any of them is not a number, neither is the
/// score.
///
/// # Source
/// A *reconstruction* of the Robust Visual Dependency of PRPO, arXiv:2606.08708, whose formulas are not published: the reading
/// in which the dependency rather than the prediction must be stable. Formula and settings are ours; the other reading is
/// [`RobustVisualDependency`](crate::RobustVisualDependency).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct DependencyBound {
    contrasts: Vec<Contrast>,
    /// How many deviations the bound lies below the mean.
    pub caution: NonNegative,
}

impl DependencyBound {
    /// Scores by one or more `contrasts`, each of which measures the dependency. A single one has no deviation.
    ///
    /// # Errors
    /// [`DependencyError::NoContrasts`] without a contrast.
    pub fn new(contrasts: Vec<Contrast>, caution: NonNegative) -> Result<Self, DependencyError> {
        if contrasts.is_empty() {
            return Err(DependencyError::NoContrasts { metric: "dependency-bound", list: "contrasts" });
        }
        Ok(Self { contrasts, caution })
    }
}

impl DependencyMetric for DependencyBound {
    fn contrasts(&self) -> &[Contrast] {
        &self.contrasts
    }

    fn score(&self, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError> {
        check(self.contrasts(), divergences, response)?;
        if is_empty(response) {
            return Ok(divergences[0].clone());
        }
        let dependencies = stacked(divergences);
        // As shares of the largest, squares and sums stay finite. Where all are 0 so are their shares, and a largest below the
        // normal numbers may count as 0.
        let largest = dependencies.clone().max_dim(0);
        let shares = dependencies / largest.clone().clamp_min(f32::MIN_POSITIVE);
        let mean = mean(shares.clone());
        let deviation = self::mean((shares - mean.clone()).square()).sqrt();
        let bound = (mean - deviation * in_f32(self.caution)).clamp_min(0.0) * largest;
        Ok(finished(bound.squeeze_dim(0), divergences, response))
    }
}

/// Mean over contrasts: `[contrasts, responses, tokens]` to `[1, responses, tokens]`.
fn mean(values: Tensor<3>) -> Tensor<3> {
    let [contrasts, ..] = values.dims();
    values.sum_dim(0) / contrasts as f64
}

/// The written form, whose reading checks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    contrasts: Vec<Contrast>,
    #[serde(default = "one")]
    caution: NonNegative,
}

const fn one() -> NonNegative {
    NonNegative::literal(1.0)
}

impl TryFrom<Wire> for DependencyBound {
    type Error = DependencyError;

    fn try_from(wire: Wire) -> Result<Self, DependencyError> {
        Self::new(wire.contrasts, wire.caution)
    }
}

impl From<DependencyBound> for Wire {
    fn from(metric: DependencyBound) -> Self {
        Self { contrasts: metric.contrasts, caution: metric.caution }
    }
}
