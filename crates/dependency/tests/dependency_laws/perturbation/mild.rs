//! The mild settings keep an image recognizable, and the strong ones do not.

use dependency::{
    Blur, BrightnessContrast, CropShift, DiffusionNoise, GaussianNoise, NonNegative, Perturbation, Positive, Rescale,
    SolidFill,
};
use image::{Rgb, RgbImage};
use proptest::prelude::*;

use super::apply;

/// Smooth and colorful, with one wave to either side.
fn waves(width: u32, height: u32) -> RgbImage {
    let wave = |place: u32, side: u32| (std::f64::consts::TAU * f64::from(place) / f64::from(side)).sin();
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (wave(x, width), wave(y, height));
        Rgb([x, y, x * y].map(|value| (127.5 + 100.0 * value) as u8))
    })
}

/// Mean absolute change of a value, in levels of 255.
fn change(perturbation: &dyn Perturbation, image: &RgbImage, seed: u64) -> f64 {
    let copy = apply(perturbation, image, seed);
    copy.iter().zip(image.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / copy.len() as f64
}

proptest! {
    /// Of a smooth image, the settings suggested for robust dependency change a value by less than a tenth of its range on average;
    /// strong noise and a fill by more.
    #[test]
    fn mild_is_not_strong(width in 60..90u32, height in 60..90u32, seed in any::<u64>()) {
        let image = waves(width, height);
        let mild: [(&str, &dyn Perturbation); 5] = [
            ("noise", &GaussianNoise::mild()),
            ("blur", &Blur::mild()),
            ("brightness and contrast", &BrightnessContrast::default()),
            ("rescale", &Rescale::default()),
            ("shift", &CropShift::default()),
        ];
        for (name, perturbation) in mild {
            let change = change(perturbation, &image, seed);
            prop_assert!(change < 26.0, "{} changes {} levels", name, change);
        }
        let strong: [(&str, &dyn Perturbation); 3] = [
            ("noise", &GaussianNoise::default()),
            ("diffusion", &DiffusionNoise::default()),
            ("fill", &SolidFill::default()),
        ];
        for (name, perturbation) in strong {
            let change = change(perturbation, &image, seed);
            prop_assert!(change > 32.0, "{} changes {} levels", name, change);
        }
        prop_assert!(change(&Blur::default(), &image, seed) > change(&Blur::mild(), &image, seed));
    }
}

#[test]
fn mild_strengths_lie_where_they_should() {
    assert_eq!(GaussianNoise::mild(), GaussianNoise { sigma: NonNegative::literal(16.0) });
    assert_eq!(Blur::mild(), Blur { radius: Positive::literal(1.5) });
}
