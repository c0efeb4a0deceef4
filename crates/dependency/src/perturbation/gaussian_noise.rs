//! Independent normal noise on every value.

use image::RgbImage;
use rand::Rng;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Perturbation;
use crate::NonNegative;

/// Adds normal noise to every channel of every pixel.
///
/// The sum is rounded to the nearest integer, halves away from 0, and clipped to `0..=255`.
///
/// # Source
/// VPPO, arXiv:2510.09285, table 11.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianNoise {
    /// Standard deviation of the noise, where 255 is full brightness.
    pub sigma: NonNegative,
}

impl GaussianNoise {
    /// Noise that keeps every answer, of standard deviation 16: between the 8 and 25 that the reconstruction of PRPO asks for.
    #[must_use]
    pub const fn mild() -> Self {
        Self { sigma: NonNegative::literal(16.0) }
    }
}

impl Default for GaussianNoise {
    /// The strength of VPPO, 189, which leaves little of an image.
    fn default() -> Self {
        Self { sigma: const { NonNegative::literal(189.0) } }
    }
}

impl Perturbation for GaussianNoise {
    fn apply(&self, image: &RgbImage, rng: &mut dyn Rng) -> RgbImage {
        let mut image = image.clone();
        for value in image.iter_mut() {
            let noise: f64 = StandardNormal.sample(rng);
            // The conversion clips.
            *value = (f64::from(*value) + self.sigma.value() * noise).round() as u8;
        }
        image
    }
}
