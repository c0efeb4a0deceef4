//! A random change of brightness and contrast.

use image::{Rgb, RgbImage};
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

use super::Perturbation;
use crate::Fraction;

/// Multiplies all values by one random factor, then their distances from the mean grey by another.
///
/// Both factors are drawn once per image, the brightness first, each uniformly from `1 - strength..1 + strength`. With the
/// factors `b` and `c` and the mean grey `m`, a value `v` becomes `c b v + (1 - c) b m`, rounded to the nearest integer,
/// halves away from 0, and clipped to `0..=255`. Grey is `0.299 red + 0.587 green + 0.114 blue`.
///
/// The default, 10 % of each, keeps every answer.
///
/// # Source
/// `ColorJitter` of torchvision, which blends with black and with the mean grey.
///
/// # Departures
/// torchvision makes the two changes in random order and cuts the values to integers between them, and the mean grey to an
/// integer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrightnessContrast {
    /// Furthest distance of the brightness factor from 1.
    pub brightness: Fraction,
    /// Furthest distance of the contrast factor from 1.
    pub contrast: Fraction,
}

impl Default for BrightnessContrast {
    fn default() -> Self {
        let tenth = const { Fraction::literal(0.1) };
        Self { brightness: tenth, contrast: tenth }
    }
}

impl Perturbation for BrightnessContrast {
    fn apply(&self, image: &RgbImage, rng: &mut dyn Rng) -> RgbImage {
        let mut factor = |strength: Fraction| 1.0 + strength.value() * (2.0 * rng.random::<f64>() - 1.0);
        let (brightness, contrast) = (factor(self.brightness), factor(self.contrast));
        let slope = contrast * brightness;
        let offset = (1.0 - contrast) * brightness * mean_grey(image);
        let mut image = image.clone();
        for value in image.iter_mut() {
            // The conversion clips.
            *value = (slope * f64::from(*value) + offset).round() as u8;
        }
        image
    }
}

/// Mean brightness of the pixels (ITU-R 601); not a number without pixels.
fn mean_grey(image: &RgbImage) -> f64 {
    let grey = |&Rgb([red, green, blue]): &Rgb<u8>| {
        0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue)
    };
    image.pixels().map(grey).sum::<f64>() / image.pixels().len() as f64
}
