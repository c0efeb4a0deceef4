//! Which size an image is shown to the model in.

use serde::{Deserialize, Serialize};

use super::patches::{MERGE_SIZE, PATCH_SIZE};
use crate::ModelError;

/// The longest side may be at most this many times the shortest.
const LARGEST_ASPECT_RATIO: f64 = 200.0;

/// Height and width of an image in pixels.
///
/// Named fields instead of a pair: libraries disagree on the order, and a swap goes unnoticed on square images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageSize {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl ImageSize {
    /// The size of `image`.
    #[must_use]
    pub fn of(image: &image::RgbImage) -> Self {
        Self { height: image.height(), width: image.width() }
    }

    /// Height times width.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.height) * u64::from(self.width)
    }

    pub(crate) fn require_nonempty(self) -> Result<(), ModelError> {
        let Self { height, width } = self;
        if height == 0 || width == 0 { Err(ModelError::EmptyImage { height, width }) } else { Ok(()) }
    }
}

/// Bounds on the area of a resized image, and what its sides must be multiples of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelLimits {
    /// Both sides become multiples of this; 28 for Qwen2.5-VL (14-pixel patches merged two by two). At least 1.
    pub factor: u32,
    /// Smaller images are enlarged to at least this area in pixels. At least 1.
    pub min_pixels: u32,
    /// Larger images are reduced to at most this area in pixels, as far as `factor` allows. At least `min_pixels`.
    pub max_pixels: u32,
}

impl PixelLimits {
    /// Limits with the factor of Qwen2.5-VL.
    #[must_use]
    pub fn new(min_pixels: u32, max_pixels: u32) -> Self {
        Self { factor: PATCH_SIZE * MERGE_SIZE, min_pixels, max_pixels }
    }

    fn check(&self) -> Result<(), ModelError> {
        let &Self { factor, min_pixels, max_pixels } = self;
        if factor == 0 || min_pixels == 0 || max_pixels < min_pixels {
            return Err(ModelError::PixelLimits { factor, min_pixels, max_pixels });
        }
        Ok(())
    }
}

/// The size at which the model sees an image of the given `size`.
///
/// Each side is rounded to the nearest multiple of `limits.factor` (a tie goes to the even multiple). If the area then
/// leaves the limits, both sides are scaled by the same ratio and rounded inwards. The limits yield to the factor: no
/// side is ever shorter than one factor, so a narrow strip may exceed `max_pixels`.
///
/// # Errors
/// An empty image, a side more than 200 times the other, or contradictory limits.
///
/// # Source
/// `smart_resize` of transformers, `models/qwen2_vl/image_processing_qwen2_vl.py`.
pub fn smart_resize(size: ImageSize, limits: &PixelLimits) -> Result<ImageSize, ModelError> {
    size.require_nonempty()?;
    limits.check()?;
    let (height, width) = (f64::from(size.height), f64::from(size.width));
    if height.max(width) / height.min(width) > LARGEST_ASPECT_RATIO {
        return Err(ModelError::AspectRatio { height: size.height, width: size.width });
    }

    let factor = f64::from(limits.factor);
    let (min_pixels, max_pixels) = (f64::from(limits.min_pixels), f64::from(limits.max_pixels));
    // A side below half a factor rounds to zero here; its area then is below the minimum and the second branch mends it.
    let nearest = |side: f64| (side / factor).round_ties_even() * factor;
    let area = nearest(height) * nearest(width);
    let resized = |side: f64| {
        if area > max_pixels {
            let shrink = (height * width / max_pixels).sqrt();
            ((side / shrink / factor).floor() * factor).max(factor)
        } else if area < min_pixels {
            let grow = (min_pixels / (height * width)).sqrt();
            (side * grow / factor).ceil() * factor
        } else {
            nearest(side)
        }
    };
    Ok(ImageSize { height: resized(height) as u32, width: resized(width) as u32 })
}

/// The size to which EasyR1 and VPPO bring a training image before anything else happens to it.
///
/// Too large an area is reduced to `max_pixels`, too small an area enlarged to `min_pixels`, sides truncated to whole
/// pixels; the aspect ratio is kept and nothing is rounded to patches. Corruptions are drawn on the image of this size.
///
/// # Errors
/// An empty image, contradictory limits, or an image so narrow that a side would vanish.
///
/// # Source
/// EasyR1, `verl/utils/dataset.py`, `process_image`.
pub fn pre_resize(size: ImageSize, min_pixels: u32, max_pixels: u32) -> Result<ImageSize, ModelError> {
    size.require_nonempty()?;
    PixelLimits { factor: 1, min_pixels, max_pixels }.check()?;
    let scaled = |size: ImageSize, pixels: u32| {
        let ratio = (f64::from(pixels) / size.pixels() as f64).sqrt();
        let scale = |side: u32| (f64::from(side) * ratio) as u32;
        ImageSize { height: scale(size.height), width: scale(size.width) }
    };
    let mut result = size;
    if result.pixels() > u64::from(max_pixels) {
        result = scaled(result, max_pixels);
        result.require_nonempty()?;
    }
    if result.pixels() < u64::from(min_pixels) {
        result = scaled(result, min_pixels);
        result.require_nonempty()?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_goes_to_the_even_multiple() {
        let limits = PixelLimits::new(1, 1 << 20);
        let size = |height, width| smart_resize(ImageSize { height, width }, &limits).expect("legal");
        assert_eq!(size(42, 70), ImageSize { height: 56, width: 56 });
        assert_eq!(size(98, 126), ImageSize { height: 112, width: 112 });
    }

    #[test]
    fn contradictory_limits_are_refused() {
        let size = ImageSize { height: 56, width: 56 };
        for limits in [
            PixelLimits { factor: 0, min_pixels: 1, max_pixels: 2 },
            PixelLimits::new(0, 100),
            PixelLimits::new(200, 100),
        ] {
            assert!(matches!(smart_resize(size, &limits), Err(ModelError::PixelLimits { .. })), "{limits:?}");
        }
    }

    #[test]
    fn pre_resize_truncates_and_keeps_what_fits() {
        let size = |height, width, min, max| pre_resize(ImageSize { height, width }, min, max);
        // 480 * 640 = 307 200; sqrt(200 704 / 307 200) = 0.80829…; 387.98 and 517.31 are truncated.
        assert_eq!(size(480, 640, 100, 200_704).expect("legal"), ImageSize { height: 387, width: 517 });
        // sqrt(200 704 / 10 000) is just below 4.48 in floating point, and 447.99… is truncated, as in Python.
        assert_eq!(size(100, 100, 200_704, 1_003_520).expect("legal"), ImageSize { height: 447, width: 447 });
        assert_eq!(size(30, 40, 1_200, 1_200).expect("legal"), ImageSize { height: 30, width: 40 });
        assert!(matches!(size(1, 40_000, 1, 1_000), Err(ModelError::EmptyImage { height: 0, .. })));
    }
}
