//! Laws of image sizes, resampling and patches that hold for any image.

use image::RgbImage;
use proptest::prelude::*;
use vlm_model::image_input::{
    ImageProcessor, ImageSize, PATCH_VALUES, PixelLimits, pre_resize, resize_bicubic, smart_resize,
};

fn side() -> impl Strategy<Value = u32> {
    prop_oneof![1..40_u32, 1..3000_u32]
}

/// Sizes with an aspect ratio the model accepts.
fn size() -> impl Strategy<Value = ImageSize> {
    (side(), side())
        .prop_map(|(height, width)| ImageSize { height, width })
        .prop_filter("aspect ratio", |size| size.height.max(size.width) <= 200 * size.height.min(size.width))
}

/// Limits with room for at least one merged patch.
fn limits() -> impl Strategy<Value = PixelLimits> {
    (784..400_000_u32, 0..4_000_000_u32).prop_map(|(min, more)| PixelLimits::new(min, min + more))
}

/// Small images of random pixels.
fn image() -> impl Strategy<Value = RgbImage> {
    (1..40_u32, 1..40_u32).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), (width * height * 3) as usize)
            .prop_map(move |bytes| RgbImage::from_raw(width, height, bytes).expect("three bytes for every pixel"))
    })
}

fn transposed(image: &RgbImage) -> RgbImage {
    RgbImage::from_fn(image.height(), image.width(), |x, y| *image.get_pixel(y, x))
}

proptest! {
    /// Sides are positive multiples of 28, and the area keeps its limits except where a side cannot get any shorter
    /// (too large) or the limits are closer together than one step (too small).
    #[test]
    fn resized_images_fit(size in size(), limits in limits()) {
        let resized = smart_resize(size, &limits).expect("legal");
        prop_assert!(resized.height >= 28 && resized.height.is_multiple_of(28));
        prop_assert!(resized.width >= 28 && resized.width.is_multiple_of(28));
        let shortest = resized.height.min(resized.width);
        let nearest = |side: u32| (f64::from(side) / 28.0).round_ties_even() * 28.0;
        let reduced = nearest(size.height) * nearest(size.width) > f64::from(limits.max_pixels);
        if reduced {
            prop_assert!(shortest == 28 || resized.pixels() <= u64::from(limits.max_pixels));
        } else {
            prop_assert!(resized.pixels() >= u64::from(limits.min_pixels));
        }
    }

    /// No side moves by a factor or more from where exact scaling to the same area range would put it.
    #[test]
    fn aspect_ratio_is_kept_to_a_step(size in size(), limits in limits()) {
        let resized = smart_resize(size, &limits).expect("legal");
        // Rounding moves each side by at most a step of 28, so one scale must explain both sides.
        let scales = |now: u32, was: u32| {
            let (now, was) = (f64::from(now), f64::from(was));
            let low = if now == 28.0 { 0.0 } else { (now - 28.0) / was };
            (low, (now + 28.0) / was)
        };
        let (low_height, high_height) = scales(resized.height, size.height);
        let (low_width, high_width) = scales(resized.width, size.width);
        prop_assert!(low_height.max(low_width) <= high_height.min(high_width), "{size:?} became {resized:?}");
    }

    /// Height and width are treated alike.
    #[test]
    fn transposing_the_size_transposes_the_result(size in size(), limits in limits()) {
        let turned = ImageSize { height: size.width, width: size.height };
        let (resized, turned) = (smart_resize(size, &limits), smart_resize(turned, &limits));
        let (resized, turned) = (resized.expect("legal"), turned.expect("legal"));
        prop_assert_eq!((resized.height, resized.width), (turned.width, turned.height));
    }

    /// No input panics, however extreme.
    #[test]
    fn any_size_is_resized_or_refused(
        height: u32, width: u32, factor: u32, min_pixels: u32, max_pixels: u32,
    ) {
        let size = ImageSize { height, width };
        let _ = smart_resize(size, &PixelLimits { factor, min_pixels, max_pixels });
        let _ = pre_resize(size, min_pixels, max_pixels);
    }

    /// The trainer's resize never grows past the maximum, and falls short of the minimum by truncation only.
    #[test]
    fn pre_resized_images_fit(size in size(), limits in limits()) {
        let PixelLimits { min_pixels, max_pixels, .. } = limits;
        let resized = pre_resize(size, min_pixels, max_pixels).expect("legal");
        prop_assert!(resized.pixels() <= u64::from(max_pixels));
        let untruncated = u64::from(resized.height + 1) * u64::from(resized.width + 1);
        prop_assert!(untruncated > u64::from(min_pixels));
    }

    /// An image of one color stays so, to the byte, at any size.
    #[test]
    fn a_plain_image_stays_plain(
        color: [u8; 3], from in (1..80_u32, 1..80_u32), to in (1..80_u32, 1..80_u32),
    ) {
        let image = RgbImage::from_pixel(from.0, from.1, image::Rgb(color));
        let resized = resize_bicubic(&image, ImageSize { height: to.1, width: to.0 }).expect("not empty");
        prop_assert_eq!(resized, RgbImage::from_pixel(to.0, to.1, image::Rgb(color)));
    }

    /// Resizing to the same size returns the image.
    #[test]
    fn the_same_size_is_the_same_image(image in image()) {
        prop_assert_eq!(&resize_bicubic(&image, ImageSize::of(&image)).expect("not empty"), &image);
    }

    /// Mirroring before or after resizing is the same up to the rounding of weights.
    #[test]
    fn resizing_commutes_with_mirroring(image in image(), to in (1..40_u32, 1..40_u32)) {
        let size = ImageSize { height: to.1, width: to.0 };
        let mirror = image::imageops::flip_horizontal::<RgbImage>;
        let after = mirror(&resize_bicubic(&image, size).expect("not empty"));
        let before = resize_bicubic(&mirror(&image), size).expect("not empty");
        for (before, after) in before.iter().zip(after.iter()) {
            prop_assert!(before.abs_diff(*after) <= 1);
        }
    }

    /// Along one axis, rows and columns are resampled by the same rule.
    #[test]
    fn columns_are_resampled_like_rows(image in image(), length in 1..80_u32) {
        let wider = resize_bicubic(&image, ImageSize { height: image.height(), width: length });
        let turned = transposed(&image);
        let taller = resize_bicubic(&turned, ImageSize { height: length, width: turned.width() });
        prop_assert_eq!(transposed(&wider.expect("not empty")), taller.expect("not empty"));
    }

    /// Overshoot is bounded: the negative weights of the cubic add up to 1/8, so two passes leave the range of a
    /// channel by at most 9/32 of it on either side.
    #[test]
    fn output_stays_near_the_range_of_the_input(image in image(), to in (1..80_u32, 1..80_u32)) {
        let resized = resize_bicubic(&image, ImageSize { height: to.1, width: to.0 }).expect("not empty");
        for channel in 0..3 {
            let bounds = |image: &RgbImage| {
                let values = || image.pixels().map(|pixel| f64::from(pixel.0[channel]));
                (values().fold(255.0, f64::min), values().fold(0.0, f64::max))
            };
            let ((low, high), (new_low, new_high)) = (bounds(&image), bounds(&resized));
            let slack = 0.3 * (high - low) + 2.0;
            prop_assert!(new_low >= low - slack && new_high <= high + slack);
        }
    }

    /// The two halves of the road from an image to patches make the whole; what has not been resized is refused.
    #[test]
    fn patches_are_made_in_two_halves(image in image(), limits in limits()) {
        let processor = ImageProcessor { limits, ..ImageProcessor::default() };
        prop_assume!(processor.grid(ImageSize::of(&image)).is_ok());
        let resized = processor.resized(&image).expect("processable");
        prop_assert_eq!(
            processor.patches_of_resized(&resized).expect("whole patches"),
            processor.patches(&image).expect("processable")
        );
        if !(image.width().is_multiple_of(28) && image.height().is_multiple_of(28)) {
            let error = processor.patches_of_resized(&image).expect_err("no whole patches");
            let sides = format!("{}x{}", image.width(), image.height());
            prop_assert!(error.to_string().contains(&sides), "{}", error);
        }
    }

    /// Every pixel of the resized image is in exactly one patch, at its place, in both frames.
    #[test]
    fn patches_can_be_put_together_again(blocks in (1..4_u32, 1..4_u32), seed: u8) {
        let (width, height) = (blocks.0 * 28, blocks.1 * 28);
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x as u8 ^ seed, y as u8, (x * 31 + y * 17) as u8])
        });
        // With these statistics a normalized value is the byte itself over 255.
        let limits = PixelLimits::new(784, 1 << 20);
        let processor = ImageProcessor { limits, mean: [0.0; 3], std: [1.0; 3] };
        let patches = processor.patches(&image).expect("processable");
        prop_assert_eq!(patches.grid.tokens(), (blocks.0 * blocks.1) as usize);
        let mut rebuilt = [RgbImage::new(width, height), RgbImage::new(width, height)];
        for (index, patch) in patches.pixels.chunks_exact(PATCH_VALUES).enumerate() {
            let (block, within) = (index as u32 / 4, index as u32 % 4);
            let top = block / blocks.0 * 28 + within / 2 * 14;
            let left = block % blocks.0 * 28 + within % 2 * 14;
            for (position, value) in patch.iter().enumerate() {
                let (channel, frame) = (position / 392, position / 196 % 2);
                let (y, x) = (position as u32 % 196 / 14, position as u32 % 14);
                rebuilt[frame].get_pixel_mut(left + x, top + y).0[channel] = (value * 255.0).round() as u8;
            }
        }
        for rebuilt in rebuilt {
            prop_assert_eq!(&rebuilt, &image);
        }
    }
}

#[test]
fn one_side_of_whole_patches_is_not_enough() {
    let processor = ImageProcessor::default();
    for (width, height) in [(28, 14), (14, 28), (0, 28), (28, 0)] {
        assert!(processor.patches_of_resized(&RgbImage::new(width, height)).is_err(), "{width}x{height}");
    }
    assert!(processor.patches_of_resized(&RgbImage::new(28, 56)).is_ok());
}
