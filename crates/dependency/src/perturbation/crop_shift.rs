//! A random shift.

use image::RgbImage;
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

use super::Perturbation;
use crate::Fraction;

/// Shifts the image by a few whole pixels: what leaves it is cropped, and its border is repeated on the other side.
///
/// One shift is drawn for each axis, the horizontal first, uniformly from the whole numbers of pixels up to `share` of the
/// side (rounded to the nearest integer, halves up) in either direction. No pixel is resampled.
///
/// # Source
/// A mild perturbation of our own, for the reconstruction of PRPO, whose perturbations are not published.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropShift {
    /// Longest shift along an axis as a share of the image's side; 0 leaves the image as it is.
    pub share: Fraction,
}

impl Default for CropShift {
    fn default() -> Self {
        Self { share: const { Fraction::literal(0.05) } }
    }
}

impl Perturbation for CropShift {
    fn apply(&self, image: &RgbImage, rng: &mut dyn Rng) -> RgbImage {
        let (width, height) = image.dimensions();
        let mut shift = |side: u32| {
            let reach = (f64::from(side) * self.share.value()).round() as i64;
            rng.random_range(-reach..=reach)
        };
        let (right, down) = (shift(width), shift(height));
        let inside =
            |place: u32, shift: i64, side: u32| (i64::from(place) - shift).clamp(0, i64::from(side) - 1) as u32;
        RgbImage::from_fn(width, height, |x, y| *image.get_pixel(inside(x, right, width), inside(y, down, height)))
    }
}
