//! Laws of a change of size and back.

use dependency::{Fraction, Rescale};
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};
use proptest::prelude::*;

use super::{apply, picture, share};

proptest! {
    /// At full size nothing is lost.
    #[test]
    fn the_same_size_is_the_same_image(image in picture()) {
        prop_assert_eq!(&apply(&Rescale { factor: Fraction::literal(1.0) }, &image, 0), &image);
    }

    /// One color stays that color at any factor.
    #[test]
    fn a_flat_image_stays_flat(width in 1..=32u32, height in 1..=32u32, color in any::<[u8; 3]>(), factor in share()) {
        let image = RgbImage::from_pixel(width, height, Rgb(color));
        let copy = apply(&Rescale { factor }, &image, 0);
        for (value, was) in copy.iter().zip(image.iter()) {
            prop_assert!(value.abs_diff(*was) <= 1, "{} became {}", was, value);
        }
    }

    /// Nothing is left of an image shrunk to nothing but one color.
    #[test]
    fn the_smallest_image_has_a_pixel(image in picture()) {
        let copy = apply(&Rescale { factor: Fraction::literal(0.0) }, &image, 0);
        prop_assert!(copy.pixels().all(|pixel| pixel == copy.get_pixel(0, 0)));
    }
}

/// 90 % of 5 pixels are 4.5, which are 5 again; of 6 they are 5.4, which are 5.
#[test]
fn sides_are_rounded() {
    let image =
        |side: u32| RgbImage::from_fn(side, side, |x, y| Rgb([(x * 97 + y * 61) as u8, (x * x * 31) as u8, y as u8]));
    assert_eq!(apply(&Rescale::default(), &image(5), 0), image(5));
    let small = resize(&image(6), 5, 5, FilterType::CatmullRom);
    let expected = resize(&small, 6, 6, FilterType::CatmullRom);
    assert_eq!(apply(&Rescale::default(), &image(6), 0), expected);
    assert_ne!(expected, image(6));
}

/// Both sides shrink, each by its own length.
#[test]
fn fine_stripes_are_lost_and_coarse_ones_stay() {
    for upright in [true, false] {
        let stripes = |period: u32| {
            RgbImage::from_fn(40, 60, |x, y| {
                let place = if upright { x } else { y };
                Rgb([if (place / period).is_multiple_of(2) { 0 } else { 255 }; 3])
            })
        };
        let half = Rescale { factor: Fraction::literal(0.5) };
        let change = |image: &RgbImage| {
            let copy = apply(&half, image, 0);
            copy.iter().zip(image.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / copy.len() as f64
        };
        assert!(
            change(&stripes(1)) > 100.0 && change(&stripes(10)) < 20.0,
            "{} {}",
            change(&stripes(1)),
            change(&stripes(10))
        );
    }
}
