//! One grey value everywhere.

use image::{Rgb, RgbImage};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Perturbation;

/// Replaces every pixel by the same grey: nothing is left of the image but its size.
///
/// # Source
/// VPPO, arXiv:2510.09285, table 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SolidFill {
    /// Value of all three channels.
    pub value: u8,
}

impl Default for SolidFill {
    fn default() -> Self {
        Self { value: 128 }
    }
}

impl Perturbation for SolidFill {
    fn apply(&self, image: &RgbImage, _rng: &mut dyn Rng) -> RgbImage {
        RgbImage::from_pixel(image.width(), image.height(), Rgb([self.value; 3]))
    }
}
