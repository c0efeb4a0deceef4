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
}

impl DependencyMetric for VisualDependency {
    fn contrasts(&self) -> &[Contrast] {
        slice::from_ref(&self.contrast)
    }

    fn score(&self, divergences: &[Tensor<2>], response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError> {
        check(self.contrasts(), divergences, response)?;
        Ok(divergences[0].clone().mask_fill(response.clone().bool_not(), 0.0))
    }
}
