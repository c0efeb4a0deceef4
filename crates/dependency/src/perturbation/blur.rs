//! A Gaussian blur.

use image::{RgbImage, imageops};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Perturbation;
use crate::Positive;

/// The narrowest bell used; it already leaves an image as it is.
const SHARPEST: f32 = 0.1;

/// Blurs the image with a Gaussian bell.
///
/// A radius above the longer side of the image acts as that side does. Computed by `image::imageops::blur`, whose kernel is
/// cut off a little beyond three radii and repeats the border pixels.
///
/// # Source
/// VPPO, arXiv:2510.09285, table 11.
///
/// # Departures
/// The released code means Pillow's filter, which approximates the same bell by box blurs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// Standard deviation of the bell (pixels).
    pub radius: Positive,
}

impl Blur {
    /// A blur that keeps every answer, of radius 1.5: between the 1 and 2 that the reconstruction of PRPO asks for.
    #[must_use]
    pub const fn mild() -> Self {
        Self { radius: Positive::literal(1.5) }
    }
}

impl Default for Blur {
    /// The strength of VPPO, 6, which makes text illegible.
    fn default() -> Self {
        Self { radius: const { Positive::literal(6.0) } }
    }
}

impl Perturbation for Blur {
    fn apply(&self, image: &RgbImage, _rng: &mut dyn Rng) -> RgbImage {
        if image.is_empty() {
            return image.clone();
        }
        let longer_side = image.width().max(image.height());
        let sigma = (self.radius.value() as f32).clamp(SHARPEST, longer_side as f32);
        imageops::blur(image, sigma)
    }
}
