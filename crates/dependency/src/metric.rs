//! How divergences become one dependency score per token.

mod dependency_bound;
mod robust_visual_dependency;
mod visual_dependency;

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

pub use dependency_bound::DependencyBound;
pub use robust_visual_dependency::{Combination, Reduce, RobustVisualDependency};
pub use visual_dependency::{Unknown, VisualDependency};

use crate::{Contrast, DependencyError, NonNegative};

/// Scores how much each token depends on the image.
///
/// It says which contrasts it needs, someone who knows the model measures them, and it turns the measurements into scores.
pub trait DependencyMetric {
    /// The contrasts to measure, in the order in which [`score`](Self::score) takes their divergences.
    fn contrasts(&self) -> &[Contrast];

    /// The score of every token: 0 on padding, whatever stands there.
    ///
    /// Scores of divergences that are not a number are not a number either, unless the metric says otherwise; what becomes
    /// of them is for the reader of the scores to say.
    ///
    /// # Shapes
    /// - `divergences`: one `[responses, tokens]` per contrast, f32, in the unit of its divergence
    /// - `response`: `[responses, tokens]`, true on response tokens
    /// - returns `[responses, tokens]`
    ///
    /// # Errors
    /// - [`DependencyError::DivergenceCount`] unless there is one divergence per contrast.
    /// - [`DependencyError::Shape`] if a divergence does not fit the response mask.
    fn score(&self, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError>;
}

/// The built-in metrics, as they are named in a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Metric {
    /// The divergence of a single contrast.
    VisualDependency(VisualDependency),
    /// Grounding less instability. A reconstruction.
    RobustVisualDependency(RobustVisualDependency),
    /// A lower confidence bound over several contrasts. A reconstruction.
    DependencyBound(DependencyBound),
}

impl DependencyMetric for Metric {
    fn contrasts(&self) -> &[Contrast] {
        match self {
            Self::VisualDependency(metric) => metric.contrasts(),
            Self::RobustVisualDependency(metric) => metric.contrasts(),
            Self::DependencyBound(metric) => metric.contrasts(),
        }
    }

    fn score(&self, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError> {
        match self {
            Self::VisualDependency(metric) => metric.score(divergences, response),
            Self::RobustVisualDependency(metric) => metric.score(divergences, response),
            Self::DependencyBound(metric) => metric.score(divergences, response),
        }
    }
}

/// Checks that there is one divergence per contrast and that all fit the response mask.
fn check(contrasts: &[Contrast], divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<(), DependencyError> {
    if divergences.len() != contrasts.len() {
        return Err(DependencyError::DivergenceCount { found: divergences.len(), expected: contrasts.len() });
    }
    let expected = response.dims();
    for (contrast, divergence) in contrasts.iter().zip(divergences) {
        let found = divergence.dims();
        if found != expected {
            return Err(DependencyError::Shape { contrast: contrast.name.clone(), found, expected });
        }
    }
    Ok(())
}

/// Whether there is no token at all, be it padding: what such tensors are stacked to, burn cannot say.
fn is_empty(response: &Tensor<2, Bool>) -> bool {
    response.dims().contains(&0)
}

/// Divergences of several contrasts, at least one token each, taken into `0..=f32::MAX`: `[contrasts, responses, tokens]`.
/// What becomes of one that is not a number depends on the device; [`finished`] sees to it.
fn stacked(divergences: &[Tensor<2>]) -> Tensor<3> {
    Tensor::stack::<3>(divergences.to_vec(), 0).clamp(0.0, f32::MAX)
}

/// The score: not a number where one of the divergences is not, 0 on padding.
fn finished(score: Tensor<2>, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Tensor<2> {
    let of_known = |score: Tensor<2>, divergence: &Tensor<2>| score.mask_fill(divergence.clone().is_nan(), f32::NAN);
    divergences.iter().fold(score, of_known).mask_fill(response.clone().bool_not(), 0.0)
}

/// The number as a factor in f32 arithmetic, where a larger one than `f32::MAX` would be infinite and 0 times it unknown.
fn in_f32(number: NonNegative) -> f64 {
    number.value().min(f64::from(f32::MAX))
}
