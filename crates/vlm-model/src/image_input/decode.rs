//! From the bytes of an image file to RGB.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use super::ImageSize;
use crate::ModelError;

/// What becomes of an alpha channel.
///
/// Frameworks disagree, and the choice is visible to the model: under a transparent background often lies black.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transparency {
    /// Alpha is ignored and the stored colors are taken as they are, as transformers 4, verl and EasyR1 do
    /// (Pillow's `convert("RGB")`).
    #[default]
    Drop,
    /// The image is laid on white, as transformers 5 and qwen-vl-utils do.
    White,
}

/// Whether the rotation recorded by the camera is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExifOrientation {
    /// The image is turned upright, as transformers does for images it loads itself (`load_image`).
    #[default]
    Apply,
    /// Pixels stay as stored, as in verl, EasyR1 and `datasets`, which hand over decoded images.
    Ignore,
}

/// How image files become RGB.
///
/// Reads PNG and JPEG in every color type; the results are those of Pillow's `convert("RGB")`. Sixteen bits of grey are
/// *clipped* to 255, as Pillow does; sixteen-bit color and grey with alpha keep their high bytes. Color profiles are
/// ignored. JPEG pixels differ from Pillow's by less than half a level on average, and by up to seven at sharp edges
/// when color is subsampled.
///
/// # Departures
/// Sixteen-bit grey with one transparent grey value counts as grey with alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decoding {
    /// What becomes of an alpha channel.
    pub transparency: Transparency,
    /// Whether the recorded rotation is carried out.
    pub orientation: ExifOrientation,
    /// Images with more pixels are refused before any of them is decoded.
    pub max_pixels: u64,
}

impl Default for Decoding {
    /// Alpha dropped, rotation applied, and Pillow's own limit against decompression bombs (178 956 970 pixels).
    fn default() -> Self {
        Self { transparency: Transparency::default(), orientation: ExifOrientation::default(), max_pixels: 178_956_970 }
    }
}

impl Decoding {
    /// Decodes the file at `path`.
    ///
    /// # Errors
    /// As [`Self::bytes`], and when the file cannot be read.
    pub fn file(&self, path: &Path) -> Result<RgbImage, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::ReadFile { path: path.into(), source })?;
        self.bytes(&bytes)
    }

    /// Decodes the content of an image file; its format is found by its first bytes.
    ///
    /// # Errors
    /// An unknown format, damaged or truncated data, or more pixels than allowed.
    pub fn bytes(&self, bytes: &[u8]) -> Result<RgbImage, ModelError> {
        let reader = ImageReader::new(Cursor::new(bytes));
        let reader = reader.with_guessed_format().map_err(image::ImageError::IoError)?;
        if reader.format() == Some(ImageFormat::Jpeg) && !reaches_end_marker(bytes) {
            return Err(ModelError::TruncatedImage { bytes: bytes.len() });
        }
        let mut decoder = reader.into_decoder()?;

        let (width, height) = decoder.dimensions();
        let size = ImageSize { height, width };
        size.require_nonempty()?;
        if size.pixels() > self.max_pixels {
            return Err(ModelError::ImageTooLarge { height, width, pixels: size.pixels(), limit: self.max_pixels });
        }
        let orientation = match self.orientation {
            ExifOrientation::Apply => decoder.orientation()?,
            ExifOrientation::Ignore => Orientation::NoTransforms,
        };

        let color = decoder.color_type();
        let mut samples = vec![0; size.pixels() as usize * usize::from(color.bytes_per_pixel())];
        decoder.read_image(&mut samples)?;
        let rgb = to_rgb(to_eight_bits(samples, color), color.channel_count(), self.transparency);
        let mut image =
            DynamicImage::from(RgbImage::from_raw(width, height, rgb).expect("three bytes for every pixel"));
        image.apply_orientation(orientation);
        Ok(image.into_rgb8())
    }
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

fn to_eight_bits(samples: Vec<u8>, color: ColorType) -> Vec<u8> {
    if color.bytes_per_pixel() == color.channel_count() {
        return samples;
    }
    let wide = samples.as_chunks::<2>().0.iter().map(|&pair| u16::from_ne_bytes(pair));
    match color {
        ColorType::L16 => wide.map(|sample| sample.min(255) as u8).collect(),
        _ => wide.map(|sample| (sample >> 8) as u8).collect(),
    }
}

/// `samples` holds one to four channels per pixel: grey, grey and alpha, color, color and alpha.
fn to_rgb(samples: Vec<u8>, channels: u8, transparency: Transparency) -> Vec<u8> {
    let shown = |color: u8, alpha: u8| match transparency {
        Transparency::Drop => color,
        Transparency::White => over_white(color, alpha),
    };
    match channels {
        1 => samples.iter().flat_map(|&grey| [grey; 3]).collect(),
        2 => samples.as_chunks().0.iter().flat_map(|&[grey, alpha]| [shown(grey, alpha); 3]).collect(),
        3 => samples,
        _ => samples.as_chunks().0.iter().flat_map(|&[r, g, b, alpha]| [r, g, b].map(|c| shown(c, alpha))).collect(),
    }
}

/// `color` with opacity `alpha` before white, rounded to the nearest level.
fn over_white(color: u8, alpha: u8) -> u8 {
    let (color, alpha) = (u32::from(color), u32::from(alpha));
    ((color * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
