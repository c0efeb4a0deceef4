//! Laws of a random change of brightness and contrast.

use std::convert::Infallible;

use dependency::{BrightnessContrast, Fraction, Perturbation as _};
use image::{Rgb, RgbImage};
use proptest::prelude::*;
use rand::TryRng;

use super::{apply, picture, share};

/// Two uniform numbers, and no more.
struct Twice(Vec<f64>);

impl TryRng for Twice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|draw| (draw >> 32) as u32)
    }

    /// The 53 high bits are the digits of a number in `0..1`.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        assert!(!self.0.is_empty(), "an image takes two numbers, whatever its size");
        Ok(((self.0.remove(0) * (1u64 << 53) as f64) as u64) << 11)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        panic!("{} bytes were drawn instead of numbers", bytes.len())
    }
}

proptest! {
    /// First all values are scaled, then their distances from the mean grey, then they are rounded to the nearest level.
    #[test]
    fn values_are_scaled_about_black_and_about_the_mean(
        image in picture(), strengths in (share(), share()), draws in (0.0..1.0f64, 0.0..1.0f64),
    ) {
        let change = BrightnessContrast { brightness: strengths.0, contrast: strengths.1 };
        let mut generator = Twice(vec![draws.0, draws.1]);
        let copy = change.apply(&image, &mut generator);
        prop_assert!(generator.0.is_empty());
        let factor = |strength: Fraction, draw: f64| {
            let (low, high) = (1.0 - strength.value(), 1.0 + strength.value());
            low + (high - low) * draw
        };
        let (brightness, contrast) = (factor(strengths.0, draws.0), factor(strengths.1, draws.1));
        let scaled: Vec<[f64; 3]> = image.pixels().map(|pixel| pixel.0.map(|value| brightness * f64::from(value))).collect();
        let grey = scaled.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).sum::<f64>() / scaled.len() as f64;
        for (found, value) in copy.iter().zip(scaled.concat()) {
            let expected = (grey + contrast * (value - grey)).clamp(0.0, 255.0);
            prop_assert!((f64::from(*found) - expected).abs() <= 0.5 + 1e-9, "{} but expected {}", found, expected);
        }
    }

    /// Without strength nothing changes; with some, no value changes by more than both factors can explain.
    #[test]
    fn changes_are_bounded(image in picture(), brightness in share(), contrast in share(), seed in any::<u64>()) {
        let none = BrightnessContrast { brightness: Fraction::literal(0.0), contrast: Fraction::literal(0.0) };
        prop_assert_eq!(&apply(&none, &image, seed), &image);
        let copy = apply(&BrightnessContrast { brightness, contrast }, &image, seed);
        let bound = 255.0 * (brightness.value() + (1.0 + brightness.value()) * contrast.value()) + 0.5;
        for (value, was) in copy.iter().zip(image.iter()) {
            prop_assert!(f64::from(value.abs_diff(*was)) <= bound);
        }
    }

    /// A grey image has no contrast to change.
    #[test]
    fn contrast_keeps_a_grey_image(value in any::<u8>(), contrast in share(), seed in any::<u64>()) {
        let image = RgbImage::from_pixel(5, 3, Rgb([value; 3]));
        prop_assert_eq!(&apply(&BrightnessContrast { brightness: Fraction::literal(0.0), contrast }, &image, seed), &image);
    }
}
