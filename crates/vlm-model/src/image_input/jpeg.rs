//! From the bytes of a JPEG file to RGB.
//!
//! The JPEG standard leaves the last bits of a pixel to the decoder: how the transform is rounded and how subsampled
//! color is interpolated. The reference's decoder, Pillow's, is libjpeg-turbo; mozjpeg is the same C code built without
//! assembly, and agrees with it to the bit. It reports errors by unwinding, which ends in [`decode`]; in a program built
//! to abort on panics a damaged file would therefore end the program.

use std::any::Any;
use std::panic;

use image::error::{DecodingError, ImageFormatHint};
use image::metadata::Orientation;
use image::{ImageError, ImageFormat, RgbImage};
use mozjpeg::{Decompress, Format, Marker};

use super::ImageSize;
use crate::ModelError;

/// The pixels as stored, and the rotation that the camera recorded.
///
/// `accept` may refuse an image by its size before any pixel is decoded.
///
/// # Errors
/// What `accept` returns; truncated files; damaged segments, but not damage to the coded pixels between them, which the
/// decoder turns into some pixels, as it does in Pillow.
pub(super) fn decode(
    bytes: &[u8],
    accept: impl FnOnce(ImageSize) -> Result<(), ModelError>,
) -> Result<(RgbImage, Orientation), ModelError> {
    if !reaches_end_marker(bytes) {
        return Err(ModelError::TruncatedImage { bytes: bytes.len() });
    }
    // Nothing that was in use when the decoder unwound is seen again.
    let attempt = panic::AssertUnwindSafe(|| decode_or_unwind(bytes, accept));
    panic::catch_unwind(attempt).unwrap_or_else(|payload| Err(damaged(message(payload.as_ref()))))
}

fn decode_or_unwind(
    bytes: &[u8],
    accept: impl FnOnce(ImageSize) -> Result<(), ModelError>,
) -> Result<(RgbImage, Orientation), ModelError> {
    let decoder = Decompress::builder().with_markers(&[Marker::APP(1)]).from_mem(bytes).map_err(damaged)?;
    // The format has sixteen bits for a side.
    let (width, height) = (decoder.width() as u32, decoder.height() as u32);
    accept(ImageSize { height, width })?;
    let orientation = orientation(&decoder);
    let rgb = match decoder.image().map_err(damaged)? {
        Format::RGB(mut rows) => rows.read_scanlines().map_err(damaged)?,
        Format::Gray(mut rows) => {
            let samples: Vec<u8> = rows.read_scanlines().map_err(damaged)?;
            samples.into_iter().flat_map(|grey| [grey; 3]).collect()
        }
        Format::CMYK(mut rows) => {
            let samples: Vec<[u8; 4]> = rows.read_scanlines().map_err(damaged)?;
            samples.into_iter().flat_map(inverted_cmyk_to_rgb).collect()
        }
    };
    Ok((RgbImage::from_raw(width, height, rgb).expect("three bytes for every pixel"), orientation))
}

/// Upright unless EXIF metadata say otherwise.
fn orientation(decoder: &Decompress<&[u8]>) -> Orientation {
    let exif = decoder.markers().find_map(|segment| segment.data.strip_prefix(b"Exif\0\0"));
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Ink as Adobe's programs store it, inverted (255 is none), in Pillow's rounding.
fn inverted_cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = u32::from(black);
    [cyan, magenta, yellow].map(|inverted| {
        let product = u32::from(255 - inverted) * light + 128;
        let absorbed = (product + (product >> 8)) >> 8;
        (light - absorbed) as u8
    })
}

/// Whether the segments of a JPEG file lead to its end marker. The decoder would fill what is missing with grey.
fn reaches_end_marker(jpeg: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xd9;
    // Stuffed zeros, fill bytes, restarts and the start marker stand alone; all others begin a segment with a length.
    let begins_segment = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff);
    let mut rest = jpeg;
    while let Some(start) = rest.windows(2).position(begins_segment) {
        let (marker, segment) = (rest[start + 1], &rest[start + 2..]);
        if marker == END_OF_IMAGE {
            return true;
        }
        let length = segment.first_chunk().map_or(usize::MAX, |&length| u16::from_be_bytes(length).into());
        rest = segment.get(length..).unwrap_or_default();
    }
    false
}

fn damaged(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ModelError {
    ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Jpeg), reason)).into()
}

/// What the decoder said when it unwound.
fn message(payload: &(dyn Any + Send)) -> &str {
    payload.downcast_ref::<String>().map_or("the JPEG decoder failed without a reason", String::as_str)
}
