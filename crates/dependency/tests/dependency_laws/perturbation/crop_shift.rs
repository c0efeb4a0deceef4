//! Laws of a random shift.

use std::collections::BTreeSet;

use dependency::{CropShift, Fraction};
use image::{Rgb, RgbImage};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::{apply, picture, share};

/// Every pixel tells its place.
fn places(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 0]))
}

/// How far right and down the copy of an image of [`places`] lies, told by a pixel that no border reaches.
fn shift_of(copy: &RgbImage) -> (i64, i64) {
    let (x, y) = (copy.width() / 2, copy.height() / 2);
    let pixel = copy.get_pixel(x, y);
    (i64::from(x) - i64::from(pixel.0[0]), i64::from(y) - i64::from(pixel.0[1]))
}

proptest! {
    /// What is in the image lies elsewhere by the same shift, first drawn to the right and then down; the border is repeated.
    #[test]
    fn all_pixels_move_alike(image in picture(), share in share(), seed in any::<u64>()) {
        let (width, height) = image.dimensions();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut shift = |side: u32| {
            let reach = (f64::from(side) * share.value()).round() as i64;
            random.random_range(-reach..=reach)
        };
        let (right, down) = (shift(width), shift(height));
        let source = |place: u32, shift: i64, side: u32| (i64::from(place) - shift).max(0).min(i64::from(side) - 1) as u32;
        let expected = RgbImage::from_fn(width, height, |x, y| *image.get_pixel(source(x, right, width), source(y, down, height)));
        prop_assert_eq!(apply(&CropShift { share }, &image, seed), expected);
    }

    #[test]
    fn no_share_is_no_shift(image in picture(), seed in any::<u64>()) {
        prop_assert_eq!(&apply(&CropShift { share: Fraction::literal(0.0) }, &image, seed), &image);
    }
}

/// 5 % of 40 and of 60 pixels: all of `-2..=2` and `-3..=3` occur, in any combination. Of 35 combinations, 1000 draws leave one
/// out once in 10^11.
#[test]
fn all_shifts_within_reach_occur() {
    let image = places(40, 60);
    let found: BTreeSet<(i64, i64)> =
        (0..1000).map(|seed| shift_of(&apply(&CropShift::default(), &image, seed))).collect();
    let expected: BTreeSet<(i64, i64)> = (-2..=2).flat_map(|right| (-3..=3).map(move |down| (right, down))).collect();
    assert_eq!(found, expected);
}

/// Half a pixel is one pixel, a little less is none.
#[test]
fn the_reach_is_rounded() {
    for (side, moves) in [(9, false), (10, true)] {
        let image = places(side, side);
        assert_eq!((0..100).any(|seed| apply(&CropShift::default(), &image, seed) != image), moves, "{side}");
    }
}
