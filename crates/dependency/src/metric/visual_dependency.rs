//! The divergence of a single contrast.

use std::slice;

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use super::{DependencyMetric, check};
use crate::{Contrast, DependencyError};

/// A token depends on the image as much as its prediction changes when the image does.
///
/// # Source
/// VPPO, arXiv:2510.09285, equation 3 (a perturbed view); PGPO, arXiv:2604.01840, equation 1 (the blind view).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisualDependency {
    /// What is compared.
    pub contrast: Contrast,
    /// What becomes of divergences that are infinite or not a number.
    #[serde(default)]
    pub unknown: Unknown,
}

/// What becomes of divergences that are infinite or not a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// They are the score, for its reader to judge. As in the released VPPO code, which guards nothing.
    #[default]
    Keep,
    /// The score is 0, as if the token did not depend on the image.
    Zero,
}

impl DependencyMetric for VisualDependency {
    fn contrasts(&self) -> &[Contrast] {
        slice::from_ref(&self.contrast)
    }

    fn score(&self, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError> {
        check(self.contrasts(), divergences, response)?;
        let divergence = divergences[0].clone();
        let score = match self.unknown {
            Unknown::Keep => divergence,
            Unknown::Zero => {
                let unknown = divergence.clone().is_finite().bool_not();
                divergence.mask_fill(unknown, 0.0)
            }
        };
        Ok(score.mask_fill(response.clone().bool_not(), 0.0))
    }
}
