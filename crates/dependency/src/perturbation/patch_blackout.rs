//! Black cells at random.

use std::num::NonZeroU32;

use image::{Rgb, RgbImage};
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

use super::Perturbation;
use crate::Fraction;

/// Blackens every square cell of the image independently with the same probability.
///
/// Cells are laid from the top left corner of the image as it is given; those at the right and bottom edges may be partial. One
/// number is drawn per cell, row by row, whatever the probability.
///
/// # Source
/// VPPO, arXiv:2510.09285, table 11 and the released `perc_utils.py` (which draws from an unseeded generator). The cells are
/// those of a vision encoder only if the image is not resized afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchBlackout {
    /// Side of a cell (pixels).
    pub patch: NonZeroU32,
    /// Probability that a cell is blackened.
    pub probability: Fraction,
}

impl Default for PatchBlackout {
    fn default() -> Self {
        Self {
            patch: const { NonZeroU32::new(14).expect("14 is not zero") },
            probability: const { Fraction::literal(0.5) },
        }
    }
}

impl Perturbation for PatchBlackout {
    fn apply(&self, image: &RgbImage, rng: &mut dyn Rng) -> RgbImage {
        let mut image = image.clone();
        let (width, height) = image.dimensions();
        let side = self.patch.get();
        for row in 0..height.div_ceil(side) {
            for column in 0..width.div_ceil(side) {
                if rng.random::<f64>() < self.probability.value() {
                    blacken(&mut image, column * side, row * side, side);
                }
            }
        }
        image
    }
}

/// Blackens the part that lies in the image of the cell whose top left pixel is `(left, top)`.
fn blacken(image: &mut RgbImage, left: u32, top: u32, side: u32) {
    let (width, height) = image.dimensions();
    for y in top..top.saturating_add(side).min(height) {
        for x in left..left.saturating_add(side).min(width) {
            image.put_pixel(x, y, Rgb([0; 3]));
        }
    }
}
