//! A change of size and back.

use image::RgbImage;
use image::imageops::{self, FilterType};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Perturbation;
use crate::Fraction;

/// Shrinks the image and enlarges it again: what is finer than the smaller grid is lost.
///
/// Each side of the smaller image is `factor` times the side, rounded to the nearest integer, halves up, and at least one
/// pixel. Both ways are bicubic (Catmull and Rom's cubic, widened when shrinking). The default keeps every answer.
///
/// # Source
/// A mild perturbation of our own, for the reconstruction of PRPO, whose perturbations are not published.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rescale {
    /// Sides of the smaller image as a share of those of the image; 1 leaves the image as it is.
    pub factor: Fraction,
}

impl Default for Rescale {
    fn default() -> Self {
        Self { factor: const { Fraction::literal(0.9) } }
    }
}

impl Perturbation for Rescale {
    fn apply(&self, image: &RgbImage, _rng: &mut dyn Rng) -> RgbImage {
        let (width, height) = image.dimensions();
        let smaller = |side: u32| ((f64::from(side) * self.factor.value()).round() as u32).max(1);
        if image.is_empty() {
            return image.clone();
        }
        let small = imageops::resize(image, smaller(width), smaller(height), FilterType::CatmullRom);
        imageops::resize(&small, width, height, FilterType::CatmullRom)
    }
}
