//! From the bytes of an image file to RGB.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use super::{ImageSize, jpeg};
use crate::ModelError;
use crate::limits::read;

/// What becomes of an alpha channel.
///
/// Frameworks disagree, and the choice is visible to the model: under a transparent background often lies black.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transparency {
    /// Alpha is ignored and the stored colors are taken as they are, as transformers 4, verl and EasyR1 do
    /// (Pillow's `convert("RGB")`).
    Drop,
    /// The image is laid on white, as transformers 5 and qwen-vl-utils do.
    #[default]
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
/// Reads PNG and JPEG in every color type; the results are those of Pillow's `convert("RGB")`, to the bit. Sixteen bits
/// of grey are *clipped* to 255, as Pillow does; sixteen-bit color and grey with alpha keep their high bytes. Color
/// profiles are ignored.
///
/// # Departures
/// Sixteen-bit grey with one transparent grey value counts as grey with alpha. Arithmetically coded JPEG is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decoding {
    /// What becomes of an alpha channel.
    pub transparency: Transparency,
    /// Whether the recorded rotation is carried out.
    pub orientation: ExifOrientation,
    /// Images with more pixels are refused before any of them is decoded.
    pub max_pixels: u64,
    /// Encoded images of more bytes are refused before they are read.
    pub max_bytes: u64,
}

impl Default for Decoding {
    /// Alpha laid on white and rotation applied as transformers 5 does, and Pillow's own limit against decompression
    /// bombs (178 956 970 pixels); 256 MiB as encoded.
    fn default() -> Self {
        Self {
            transparency: Transparency::default(),
            orientation: ExifOrientation::default(),
            max_pixels: 178_956_970,
            max_bytes: 256 << 20,
        }
    }
}

impl Decoding {
    /// Decodes the file at `path`.
    ///
    /// # Errors
    /// As [`Self::bytes`], and when the file cannot be read; both name the file.
    pub fn file(&self, path: &Path) -> Result<RgbImage, ModelError> {
        let named = |source| ModelError::ImageFile { path: path.into(), source: Box::new(source) };
        let bytes = read(path, self.max_bytes).map_err(|error| match error {
            ModelError::FileTooLarge { bytes, limit, .. } => named(ModelError::ImageBytes { bytes, limit }),
            error => error,
        })?;
        self.bytes(&bytes).map_err(named)
    }

    /// Decodes the content of an image file; its format is found by its first bytes.
    ///
    /// # Errors
    /// An unknown format, damaged or truncated data, or more pixels or bytes than allowed. A JPEG file is damaged if
    /// its segments are; as in Pillow, coded pixels that make no sense come out as pixels that make none.
    pub fn bytes(&self, bytes: &[u8]) -> Result<RgbImage, ModelError> {
        if bytes.len() as u64 > self.max_bytes {
            return Err(ModelError::ImageBytes { bytes: bytes.len() as u64, limit: self.max_bytes });
        }
        let (stored, orientation) = match image::guess_format(bytes)? {
            ImageFormat::Jpeg => jpeg::decode(bytes, |size| self.accept(size))?,
            format => self.lossless(bytes, format)?,
        };
        match self.orientation {
            ExifOrientation::Ignore => Ok(stored),
            ExifOrientation::Apply => {
                let mut image = DynamicImage::from(stored);
                image.apply_orientation(orientation);
                Ok(image.into_rgb8())
            }
        }
    }

    /// Refuses an empty or too large image.
    fn accept(&self, size: ImageSize) -> Result<(), ModelError> {
        size.require_nonempty()?;
        let ImageSize { height, width } = size;
        if size.pixels() > self.max_pixels {
            return Err(ModelError::ImageTooLarge { height, width, pixels: size.pixels(), limit: self.max_pixels });
        }
        Ok(())
    }

    /// The pixels as stored, and the rotation that the camera recorded, of a format that determines every bit.
    fn lossless(&self, bytes: &[u8], format: ImageFormat) -> Result<(RgbImage, Orientation), ModelError> {
        let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder()?;
        let (width, height) = decoder.dimensions();
        let size = ImageSize { height, width };
        self.accept(size)?;
        let orientation = decoder.orientation()?;

        let color = decoder.color_type();
        let mut samples = vec![0; size.pixels() as usize * usize::from(color.bytes_per_pixel())];
        decoder.read_image(&mut samples)?;
        let rgb = to_rgb(to_eight_bits(samples, color), color.channel_count(), self.transparency);
        Ok((RgbImage::from_raw(width, height, rgb).expect("three bytes for every pixel"), orientation))
    }
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
