//! The image half of a checkpoint's processor.

use std::path::Path;

use image::RgbImage;
use serde::Deserialize;
use serde_json::Value;

use super::patches::cut;
use super::{
    ImagePatches, ImageSize, MERGE_SIZE, PATCH_SIZE, PatchGrid, PixelLimits, TEMPORAL_PATCH_SIZE, resize_bicubic,
    smart_resize,
};
use crate::ModelError;
use crate::limits::read_json;

/// Resizes, normalizes and cuts images the way the checkpoint was trained on them.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageProcessor {
    /// Bounds on the area an image is resized to.
    pub limits: PixelLimits,
    /// Subtracted per channel (red, green, blue) from values in [0, 1].
    pub mean: [f32; 3],
    /// Divides per channel what is left. Positive.
    pub std: [f32; 3],
}

impl Default for ImageProcessor {
    /// What transformers assumes where a checkpoint says nothing: 3 136 to 1 003 520 pixels, the statistics of CLIP.
    #[expect(clippy::excessive_precision, reason = "spelled as in every checkpoint's file")]
    fn default() -> Self {
        Self {
            limits: PixelLimits::new(56 * 56, 28 * 28 * 1280),
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_58, 0.275_777_11],
        }
    }
}

impl ImageProcessor {
    /// Reads `preprocessor_config.json`, or the `image_processor` section of `processor_config.json`.
    ///
    /// # Errors
    /// Neither file is there, one cannot be read, or it asks for another kind of processing than Qwen2.5-VL's.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("preprocessor_config.json");
        let newer = folder.join("processor_config.json");
        if !path.exists() && newer.exists() {
            let mut whole: Value = read_json(&newer)?;
            let section = whole.get_mut("image_processor").map(Value::take);
            return Self::from_json(section.unwrap_or_default(), &newer);
        }
        Self::from_json(read_json(&path)?, &path)
    }

    fn from_json(json: Value, path: &Path) -> Result<Self, ModelError> {
        let file: PreprocessorFile =
            serde_json::from_value(json).map_err(|source| ModelError::ParseFile { path: path.into(), source })?;
        file.require_qwen(path)?;
        let preset = Self::default();
        let size = file.size.unwrap_or_default();
        let min_pixels = file.min_pixels.or(size.shortest_edge).unwrap_or(preset.limits.min_pixels);
        let max_pixels = file.max_pixels.or(size.longest_edge).unwrap_or(preset.limits.max_pixels);
        let std = file.image_std.unwrap_or(preset.std);
        if !std.iter().all(|&std| std > 0.0) {
            return Err(ModelError::UnsupportedPreprocessing {
                path: path.into(),
                key: "image_std",
                found: format!("{std:?}"),
                expected: "positive numbers".to_owned(),
            });
        }
        let mean = file.image_mean.unwrap_or(preset.mean);
        Ok(Self { limits: PixelLimits::new(min_pixels, max_pixels), mean, std })
    }

    /// The grid of an image of this size, found without touching pixels.
    ///
    /// # Errors
    /// As [`smart_resize`].
    pub fn grid(&self, size: ImageSize) -> Result<PatchGrid, ModelError> {
        Ok(PatchGrid::of(smart_resize(size, &self.limits)?))
    }

    /// Resizes `image`, normalizes it and cuts it into patches.
    ///
    /// # Errors
    /// As [`smart_resize`].
    ///
    /// # Source
    /// transformers, `Qwen2VLImageProcessor` on Pillow images; equal to it bit for bit. Its torchvision twin resamples
    /// in another order and differs by a level or two on photographs.
    pub fn patches(&self, image: &RgbImage) -> Result<ImagePatches, ModelError> {
        self.patches_of_resized(&self.resized(image)?)
    }

    /// The first half of [`Self::patches`]: `image` in the size the model sees it in.
    ///
    /// # Errors
    /// As [`smart_resize`].
    pub fn resized(&self, image: &RgbImage) -> Result<RgbImage, ModelError> {
        resize_bicubic(image, smart_resize(ImageSize::of(image), &self.limits)?)
    }

    /// The second half of [`Self::patches`]: normalizes an image that has been resized and cuts it into patches.
    ///
    /// # Errors
    /// [`ModelError::EmptyImage`] without pixels, [`ModelError::UncutSize`] if a side is not a multiple of 28.
    pub fn patches_of_resized(&self, resized: &RgbImage) -> Result<ImagePatches, ModelError> {
        let size = ImageSize::of(resized);
        size.require_nonempty()?;
        let ImageSize { height, width } = size;
        if !(height.is_multiple_of(PATCH_SIZE * MERGE_SIZE) && width.is_multiple_of(PATCH_SIZE * MERGE_SIZE)) {
            return Err(ModelError::UncutSize { height, width });
        }
        Ok(cut(resized, &self.levels()))
    }

    /// Per channel, the normalized value of every byte.
    fn levels(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel])
        })
    }
}

/// The file's own names; what it says about videos and class names is of no interest here.
#[derive(Deserialize)]
struct PreprocessorFile {
    min_pixels: Option<u32>,
    max_pixels: Option<u32>,
    size: Option<SizeBounds>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    patch_size: Option<u32>,
    temporal_patch_size: Option<u32>,
    merge_size: Option<u32>,
    rescale_factor: Option<f64>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    resample: Option<u32>,
}

/// Despite their names, areas in pixels.
#[derive(Default, Deserialize)]
struct SizeBounds {
    #[serde(alias = "min_pixels")]
    shortest_edge: Option<u32>,
    #[serde(alias = "max_pixels")]
    longest_edge: Option<u32>,
}

impl PreprocessorFile {
    /// Refuses settings that would need other code than ours.
    fn require_qwen(&self, path: &Path) -> Result<(), ModelError> {
        const PILLOW_BICUBIC: u32 = 3;
        require(path, "patch_size", self.patch_size, PATCH_SIZE)?;
        require(path, "temporal_patch_size", self.temporal_patch_size, TEMPORAL_PATCH_SIZE)?;
        require(path, "merge_size", self.merge_size, MERGE_SIZE)?;
        require(path, "resample", self.resample, PILLOW_BICUBIC)?;
        require(path, "rescale_factor", self.rescale_factor, 1.0 / 255.0)?;
        require(path, "do_resize", self.do_resize, true)?;
        require(path, "do_rescale", self.do_rescale, true)?;
        require(path, "do_normalize", self.do_normalize, true)
    }
}

fn require<T: Copy + PartialEq + std::fmt::Display>(
    path: &Path,
    key: &'static str,
    found: Option<T>,
    expected: T,
) -> Result<(), ModelError> {
    match found {
        Some(found) if found != expected => Err(ModelError::UnsupportedPreprocessing {
            path: path.into(),
            key,
            found: found.to_string(),
            expected: expected.to_string(),
        }),
        _ => Ok(()),
    }
}
