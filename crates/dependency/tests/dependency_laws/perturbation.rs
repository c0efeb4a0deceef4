//! Laws of the perturbations.

mod brightness_contrast;
mod crop_shift;
mod diffusion_noise;
mod mild;
mod rescale;

use std::num::NonZeroU32;

use dependency::{
    Blur, BrightnessContrast, BuiltInPerturbation, CropShift, DiffusionNoise, DiffusionStep, Fraction, GaussianNoise,
    NonNegative, PatchBlackout, Perturbation, Positive, Rescale, SolidFill,
};
use image::{Rgb, RgbImage};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

fn built_ins() -> impl Strategy<Value = BuiltInPerturbation> {
    let blackout = (1..=40u32, 0.0..=1.0f64).prop_map(|(patch, probability)| {
        BuiltInPerturbation::PatchBlackout(PatchBlackout {
            patch: NonZeroU32::new(patch).expect("not 0"),
            probability: Fraction::new(probability).expect("a share"),
        })
    });
    let fill = any::<u8>().prop_map(|value| BuiltInPerturbation::SolidFill(SolidFill { value }));
    let noise = (0.0..400.0f64).prop_map(|sigma| {
        BuiltInPerturbation::GaussianNoise(GaussianNoise { sigma: NonNegative::new(sigma).expect("not negative") })
    });
    // From less than a float can hold to more than an image can.
    let radius = prop_oneof![4 => 0.5..8.0f64, 1 => Just(1e-300), 1 => Just(1e300)];
    let blur =
        radius.prop_map(|radius| BuiltInPerturbation::Blur(Blur { radius: Positive::new(radius).expect("above 0") }));
    let jitter = (share(), share()).prop_map(|(brightness, contrast)| {
        BuiltInPerturbation::BrightnessContrast(BrightnessContrast { brightness, contrast })
    });
    let rescale = share().prop_map(|factor| BuiltInPerturbation::Rescale(Rescale { factor }));
    let shift = share().prop_map(|share| BuiltInPerturbation::CropShift(CropShift { share }));
    let diffusion = (0..1000u16).prop_map(|step| {
        BuiltInPerturbation::DiffusionNoise(DiffusionNoise { step: DiffusionStep::new(step).expect("a step") })
    });
    prop_oneof![blackout, fill, noise, blur, jitter, rescale, shift, diffusion]
}

/// Shares, their ends included.
fn share() -> impl Strategy<Value = Fraction> {
    let share = prop_oneof![1 => Just(0.0), 1 => Just(1.0), 6 => 0.0..=1.0f64];
    share.prop_map(|share| Fraction::new(share).expect("a share"))
}

fn picture() -> impl Strategy<Value = RgbImage> {
    (1..=32u32, 1..=32u32).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), (width * height * 3) as usize)
            .prop_map(move |values| RgbImage::from_raw(width, height, values).expect("three values per pixel"))
    })
}

fn apply(perturbation: &dyn Perturbation, image: &RgbImage, seed: u64) -> RgbImage {
    perturbation.apply(image, &mut ChaCha8Rng::seed_from_u64(seed))
}

proptest! {
    /// The same seed gives the same copy, of the size of the image; named in a recipe or not, the change is the same.
    #[test]
    fn a_seed_decides(image in picture(), perturbation in built_ins(), seed in any::<u64>()) {
        let copy = apply(&perturbation, &image, seed);
        let itself: &dyn Perturbation = match &perturbation {
            BuiltInPerturbation::PatchBlackout(perturbation) => perturbation,
            BuiltInPerturbation::SolidFill(perturbation) => perturbation,
            BuiltInPerturbation::GaussianNoise(perturbation) => perturbation,
            BuiltInPerturbation::Blur(perturbation) => perturbation,
            BuiltInPerturbation::BrightnessContrast(perturbation) => perturbation,
            BuiltInPerturbation::Rescale(perturbation) => perturbation,
            BuiltInPerturbation::CropShift(perturbation) => perturbation,
            BuiltInPerturbation::DiffusionNoise(perturbation) => perturbation,
        };
        prop_assert_eq!(&copy, &apply(itself, &image, seed));
        prop_assert_eq!(copy.dimensions(), image.dimensions());
        prop_assert_eq!(copy, apply(&perturbation, &image, seed));
    }

    /// Every cell is either black or as it was.
    #[test]
    fn blackout_leaves_cells_whole(image in picture(), patch in 1..=40u32, probability in 0.0..=1.0f64, seed in any::<u64>()) {
        let blackout = PatchBlackout {
            patch: NonZeroU32::new(patch).expect("not 0"),
            probability: Fraction::new(probability).expect("a share"),
        };
        let copy = apply(&blackout, &image, seed);
        let cell = |x: u32, y: u32| (x / patch, y / patch);
        let pixels = || copy.enumerate_pixels().map(|(x, y, pixel)| (cell(x, y), *pixel, *image.get_pixel(x, y)));
        let changed: std::collections::BTreeSet<_> = pixels().filter(|(_, copy, was)| copy != was).map(|(cell, ..)| cell).collect();
        for (cell, copy, was) in pixels() {
            let expected = if changed.contains(&cell) { Rgb([0; 3]) } else { was };
            prop_assert_eq!(copy, expected);
        }
    }

    /// Noise of no strength, and the sharpest blur, leave the image as it is.
    #[test]
    fn nothing_comes_of_nothing(image in picture(), seed in any::<u64>()) {
        prop_assert_eq!(&apply(&GaussianNoise { sigma: NonNegative::literal(0.0) }, &image, seed), &image);
        prop_assert_eq!(&apply(&Blur { radius: Positive::literal(1e-9) }, &image, seed), &image);
    }

    /// A blur of one color is that color, at the borders too.
    #[test]
    fn blur_keeps_a_flat_image(width in 1..=32u32, height in 1..=32u32, color in any::<[u8; 3]>(), radius in 0.5..8.0f64) {
        let image = RgbImage::from_pixel(width, height, Rgb(color));
        let copy = apply(&Blur { radius: Positive::new(radius).expect("above 0") }, &image, 0);
        for (value, was) in copy.iter().zip(image.iter()) {
            prop_assert!(value.abs_diff(*was) <= 1, "{} became {}", was, value);
        }
    }
}

/// Of 10 000 cells about `p` are black: within five standard deviations, which chance exceeds once in two million.
#[test]
fn blackout_blackens_the_promised_share() {
    let white = RgbImage::from_pixel(200, 200, Rgb([255; 3]));
    let patch = NonZeroU32::new(2).expect("not 0");
    for probability in [0.0, 0.1, 0.5, 0.6, 1.0] {
        let blackout = PatchBlackout { patch, probability: Fraction::new(probability).expect("a share") };
        let copy = apply(&blackout, &white, 3);
        let black = copy.pixels().filter(|pixel| pixel.0 == [0; 3]).count() as f64 / 4.0;
        let deviation = (10_000.0 * probability * (1.0 - probability)).sqrt();
        assert!((black - 10_000.0 * probability).abs() <= 5.0 * deviation, "{black} cells at {probability}");
    }
}

#[test]
fn blackout_lays_cells_from_the_top_left() {
    // 5 x 3 pixels in cells of 2: with this seed some cells are black; the same draws blacken the same cells whatever the image.
    let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 + 1, y as u8 + 1, 9]));
    let blackout = PatchBlackout { patch: NonZeroU32::new(2).expect("not 0"), probability: Fraction::literal(0.5) };
    let copy = apply(&blackout, &image, 11);
    let cells =
        apply(&PatchBlackout { patch: NonZeroU32::MIN, ..blackout }, &RgbImage::from_pixel(3, 2, Rgb([1; 3])), 11);
    for (x, y, pixel) in copy.enumerate_pixels() {
        let black = cells.get_pixel(x / 2, y / 2).0 == [0; 3];
        assert_eq!(*pixel, if black { Rgb([0; 3]) } else { *image.get_pixel(x, y) });
    }
    assert!(cells.pixels().any(|pixel| pixel.0 == [0; 3]) && cells.pixels().any(|pixel| pixel.0 != [0; 3]));
}

/// On grey 128, noise of 20 is hardly ever clipped: its mean and spread show.
#[test]
fn noise_has_the_promised_spread() {
    let grey = RgbImage::from_pixel(100, 100, Rgb([128; 3]));
    let copy = apply(&GaussianNoise { sigma: NonNegative::literal(20.0) }, &grey, 5);
    let values: Vec<f64> = copy.iter().map(|&value| f64::from(value)).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    // Five standard errors: 5 * 20 / sqrt(30 000) and that over the square root of two.
    assert!((mean - 128.0).abs() < 0.58, "{mean}");
    assert!((deviation - 20.0).abs() < 0.41, "{deviation}");

    let strong = apply(&GaussianNoise::default(), &grey, 5);
    assert!(strong.contains(&0) && strong.contains(&255), "clipped at both ends");
}

/// A bright pixel spreads into a bell whose standard deviation is the radius.
#[test]
fn blur_spreads_a_point_by_its_radius() {
    let side = 61;
    let mut image = RgbImage::new(side, side);
    // A bright line, since one point spread over two axes would leave too few levels to measure.
    (0..side).for_each(|y| image.put_pixel(side / 2, y, Rgb([255; 3])));
    let copy = apply(&Blur { radius: Positive::literal(4.0) }, &image, 0);
    let row: Vec<(f64, f64)> =
        (0..side).map(|x| (f64::from(x) - f64::from(side / 2), f64::from(copy.get_pixel(x, side / 2).0[0]))).collect();
    let mass: f64 = row.iter().map(|(_, value)| value).sum();
    let variance = row.iter().map(|(offset, value)| offset * offset * value).sum::<f64>() / mass;
    assert!((variance.sqrt() - 4.0).abs() < 0.2, "{}", variance.sqrt());
}

#[test]
fn an_image_without_pixels_stays_so() {
    for empty in [RgbImage::new(0, 0), RgbImage::new(0, 3), RgbImage::new(3, 0)] {
        for (_, perturbation) in defaults() {
            assert_eq!(apply(&perturbation, &empty, 0), empty);
        }
    }
}

/// All kinds under the names that recipes use.
fn defaults() -> [(&'static str, BuiltInPerturbation); 8] {
    [
        ("patch-blackout", BuiltInPerturbation::PatchBlackout(PatchBlackout::default())),
        ("solid-fill", BuiltInPerturbation::SolidFill(SolidFill::default())),
        ("gaussian-noise", BuiltInPerturbation::GaussianNoise(GaussianNoise::default())),
        ("blur", BuiltInPerturbation::Blur(Blur::default())),
        ("brightness-contrast", BuiltInPerturbation::BrightnessContrast(BrightnessContrast::default())),
        ("rescale", BuiltInPerturbation::Rescale(Rescale::default())),
        ("crop-shift", BuiltInPerturbation::CropShift(CropShift::default())),
        ("diffusion-noise", BuiltInPerturbation::DiffusionNoise(DiffusionNoise::default())),
    ]
}

/// The settings that a recipe gets where it says nothing.
#[test]
fn recipes_name_perturbations() {
    let settings = [
        r#""patch":14,"probability":0.5"#,
        r#""value":128"#,
        r#""sigma":189.0"#,
        r#""radius":6.0"#,
        r#""brightness":0.1,"contrast":0.1"#,
        r#""factor":0.9"#,
        r#""share":0.05"#,
        r#""step":500"#,
    ];
    for ((name, perturbation), settings) in defaults().into_iter().zip(settings) {
        let read = |text: &str| serde_json::from_str::<BuiltInPerturbation>(text);
        let written = format!(r#"{{"kind":"{name}",{settings}}}"#);
        assert_eq!(read(&format!(r#"{{"kind":"{name}"}}"#)).expect("defaults"), perturbation);
        assert_eq!(read(&written).expect("the defaults, written out"), perturbation);
        assert_eq!(serde_json::to_string(&perturbation).expect("data"), written);
        assert!(read(&format!(r#"{{"kind":"{name}","strength":1}}"#)).is_err(), "{name} has no such setting");
    }
}

/// A cell is blackened by a draw below the probability, not by the probability itself.
#[test]
fn blackout_compares_strictly() {
    let white = RgbImage::from_pixel(1, 1, Rgb([255; 3]));
    let draw: f64 = ChaCha8Rng::seed_from_u64(4).random();
    for (probability, black) in [(draw, false), (draw + 1e-9, true)] {
        let blackout =
            PatchBlackout { probability: Fraction::new(probability).expect("a share"), ..Default::default() };
        assert_eq!(apply(&blackout, &white, 4).get_pixel(0, 0).0 == [0; 3], black);
    }
}

#[test]
fn a_fill_leaves_nothing() {
    let image = RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8, y as u8, 200]));
    assert_eq!(apply(&SolidFill::default(), &image, 0), RgbImage::from_pixel(7, 5, Rgb([128; 3])));
}
