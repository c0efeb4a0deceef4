//! How divergences become one dependency score per token.

mod visual_dependency;

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

pub use visual_dependency::VisualDependency;

use crate::{Contrast, DependencyError};

/// Scores how much each token depends on the image.
///
/// It says which contrasts it needs, someone who knows the model measures them, and it turns the measurements into scores.
pub trait DependencyMetric {
    /// The contrasts to measure, in the order in which [`score`](Self::score) takes their divergences.
    fn contrasts(&self) -> &[Contrast];

    /// The score of every token: 0 on padding, whatever stands there.
    ///
    /// Scores of divergences that are not a number are not a number either; what becomes of them is for the reader of the
    /// scores to say.
    ///
    /// # Shapes
    /// - `divergences`: one `[responses, tokens]` per contrast, in nats
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
}

impl DependencyMetric for Metric {
    fn contrasts(&self) -> &[Contrast] {
        match self {
            Self::VisualDependency(metric) => metric.contrasts(),
        }
    }

    fn score(&self, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError> {
        match self {
            Self::VisualDependency(metric) => metric.score(divergences, response),
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
