//! Bicubic resampling, byte for byte as Pillow's.

use image::RgbImage;
use rayon::prelude::*;

use super::ImageSize;
use crate::ModelError;

const CHANNELS: usize = 3;
/// Fixed-point fraction bits of a weight: 32, less 8 for the pixel, less 2 for sign and overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// The cubic reaches two samples to either side.
const RADIUS: f64 = 2.0;

/// `image` resampled to `size` with the bicubic filter.
///
/// Two separable passes with rounding to bytes between them. When shrinking, the filter is widened by the scale, so
/// every source pixel counts. An axis that keeps its length is left alone. Rows are resampled first, unless the image
/// loses height and loses more than twice as many rows as columns.
///
/// # Errors
/// The image or the wanted size is empty.
///
/// # Source
/// Keys' cubic convolution with a = −1/2, in the fixed-point form of Pillow's `Resample.c`
/// (`Image.resize(…, BICUBIC)`, 8 bits per channel). The order of the passes is that of Pillow 13; earlier versions
/// always take rows first, which moves a few values by some levels.
pub fn resize_bicubic(image: &RgbImage, size: ImageSize) -> Result<RgbImage, ModelError> {
    let from = ImageSize::of(image);
    from.require_nonempty()?;
    size.require_nonempty()?;
    let lost_rows = i64::from(from.height) - i64::from(size.height);
    let lost_columns = i64::from(from.width) - i64::from(size.width);
    let image = image.clone();
    Ok(if lost_rows > 0 && lost_rows > 2 * lost_columns {
        resample_rows(resample_columns(image, size.height), size.width)
    } else {
        resample_columns(resample_rows(image, size.width), size.height)
    })
}

/// The source samples that make one output sample: `weights[i]` belongs to sample `first + i`.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// One window per output sample.
fn windows(input: usize, output: usize) -> Vec<Window> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    let radius = RADIUS * stretch;
    (0..output)
        .map(|index| {
            let center = (index as f64 + 0.5) * scale;
            let first = (center - radius + 0.5).max(0.0) as usize;
            let end = ((center + radius + 0.5) as usize).min(input);
            let raw: Vec<f64> =
                (first..end).map(|sample| cubic((sample as f64 - center + 0.5) * stretch.recip())).collect();
            let total: f64 = raw.iter().sum();
            let weights = raw.iter().map(|weight| fixed_point(weight / total)).collect();
            Window { first, weights }
        })
        .collect()
}

/// Keys' kernel with a = −1/2; zero beyond two samples.
fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.5;
    let x = distance.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < RADIUS {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Rounds half away from zero.
fn fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << PRECISION_BITS)).round() as i32
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Gives every row the length `width`.
fn resample_rows(image: RgbImage, width: u32) -> RgbImage {
    if image.width() == width {
        return image;
    }
    let windows = windows(image.width() as usize, width as usize);
    let mut result = RgbImage::new(width, image.height());
    let rows = image.par_chunks_exact(image.width() as usize * CHANNELS);
    result.par_chunks_exact_mut(width as usize * CHANNELS).zip(rows).for_each(|(target, source)| {
        for (pixel, window) in target.chunks_exact_mut(CHANNELS).zip(&windows) {
            let mut sums = [HALF; CHANNELS];
            let samples = source[window.first * CHANNELS..].chunks_exact(CHANNELS);
            for (sample, weight) in samples.zip(&window.weights) {
                for (sum, &value) in sums.iter_mut().zip(sample) {
                    *sum += i32::from(value) * weight;
                }
            }
            for (byte, sum) in pixel.iter_mut().zip(sums) {
                *byte = to_byte(sum);
            }
        }
    });
    result
}

/// Gives every column the length `height`.
fn resample_columns(image: RgbImage, height: u32) -> RgbImage {
    if image.height() == height {
        return image;
    }
    let windows = windows(image.height() as usize, height as usize);
    let mut result = RgbImage::new(image.width(), height);
    let row = image.width() as usize * CHANNELS;
    result.par_chunks_exact_mut(row).zip(&windows).for_each(|(target, window)| {
        let mut sums = vec![HALF; row];
        let rows = image.as_raw()[window.first * row..].chunks_exact(row);
        for (samples, weight) in rows.zip(&window.weights) {
            for (sum, &value) in sums.iter_mut().zip(samples) {
                *sum += i32::from(value) * weight;
            }
        }
        for (byte, sum) in target.iter_mut().zip(sums) {
            *byte = to_byte(sum);
        }
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Pillow 13: losing two rows per column still takes rows first, losing more takes columns first.
    #[test]
    fn the_order_of_the_passes_is_pillows() {
        let image = RgbImage::from_fn(8, 8, |x, y| image::Rgb([(x * x * 37 + y * y * 59 + x * y * 101) as u8; 3]));
        let six_rows = [
            [10, 98, 145, 74, 138, 115, 19],
            [167, 187, 115, 115, 123, 219, 94],
            [94, 93, 82, 137, 97, 131, 129],
            [171, 115, 136, 176, 69, 96, 185],
            [150, 200, 150, 173, 120, 186, 208],
            [70, 92, 158, 166, 168, 86, 181],
        ];
        let five_rows = [
            [28, 117, 149, 79, 137, 136, 25],
            [166, 164, 92, 126, 116, 201, 111],
            [106, 83, 113, 147, 75, 94, 155],
            [176, 182, 144, 203, 106, 163, 201],
            [75, 114, 160, 155, 161, 107, 190],
        ];
        for recorded in [six_rows.as_slice(), five_rows.as_slice()] {
            let size = ImageSize { height: recorded.len() as u32, width: 7 };
            let resized = resize_bicubic(&image, size).expect("not empty");
            let grey: Vec<u8> = resized.pixels().map(|pixel| pixel.0[0]).collect();
            assert_eq!(grey, recorded.concat(), "{size:?}");
        }
    }

    #[test]
    fn nothing_cannot_be_resized() {
        let size = ImageSize { height: 0, width: 7 };
        let error = resize_bicubic(&RgbImage::new(3, 3), size).expect_err("no rows");
        assert!(matches!(error, ModelError::EmptyImage { height: 0, width: 7 }), "{error}");
        assert!(resize_bicubic(&RgbImage::new(0, 3), ImageSize { height: 1, width: 1 }).is_err());
    }
}
