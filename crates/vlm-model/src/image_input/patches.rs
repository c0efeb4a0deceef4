//! The patches the vision tower reads, in the order it reads them.

use image::RgbImage;
use rayon::prelude::*;

use super::ImageSize;

/// Side of a patch in pixels.
pub const PATCH_SIZE: u32 = 14;
/// Frames in a patch; a still image is shown twice.
pub const TEMPORAL_PATCH_SIZE: u32 = 2;
/// Patches are merged in squares of this side before the language model sees them.
pub const MERGE_SIZE: u32 = 2;
/// Numbers in a patch: 3 channels × 2 frames × 14 × 14 pixels.
pub const PATCH_VALUES: usize = CHANNELS * TEMPORAL_PATCH_SIZE as usize * PLANE;

const CHANNELS: usize = 3;
const SIDE: usize = PATCH_SIZE as usize;
const MERGE: usize = MERGE_SIZE as usize;
const PLANE: usize = SIDE * SIDE;

/// Extent of an image in patches, before merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatchGrid {
    /// Temporal patches; 1 for a still image.
    pub t: usize,
    /// Rows of patches, an even number.
    pub h: usize,
    /// Columns of patches, an even number.
    pub w: usize,
}

impl PatchGrid {
    /// The grid of a still image whose sides are multiples of 28.
    pub(super) fn of(size: ImageSize) -> Self {
        Self { t: 1, h: (size.height / PATCH_SIZE) as usize, w: (size.width / PATCH_SIZE) as usize }
    }

    /// Patches in the grid, which are the vision tower's sequence length.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.t * self.h * self.w
    }

    /// Tokens the image takes in the language model's sequence: one per two by two patches.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.patches() / (MERGE * MERGE)
    }
}

/// One image, ready for the vision tower.
#[derive(Clone, Debug, PartialEq)]
pub struct ImagePatches {
    /// Normalized pixels.
    ///
    /// # Shapes
    /// `[patches, PATCH_VALUES]`, row-major. Patches come merge block by merge block (blocks row-major in the image,
    /// the four patches row-major in a block); a patch is `[channel, frame, row, column]`.
    pub pixels: Vec<f32>,
    /// How the patches lie in the image.
    pub grid: PatchGrid,
}

/// Cuts `image`, whose sides are multiples of 28, into patches.
///
/// `levels` gives, per channel, the normalized value of every byte.
pub(super) fn cut(image: &RgbImage, levels: &[[f32; 256]; CHANNELS]) -> ImagePatches {
    let grid = PatchGrid::of(ImageSize::of(image));
    let width = image.width() as usize;
    let bytes = image.as_raw();
    let blocks_per_row = grid.w / MERGE;

    let mut pixels = vec![0.0; grid.patches() * PATCH_VALUES];
    pixels.par_chunks_exact_mut(PATCH_VALUES).enumerate().for_each(|(index, patch)| {
        let (block, within) = (index / (MERGE * MERGE), index % (MERGE * MERGE));
        let top = (block / blocks_per_row * MERGE + within / MERGE) * SIDE;
        let left = (block % blocks_per_row * MERGE + within % MERGE) * SIDE;
        for ((channel, frames), levels) in patch.chunks_exact_mut(2 * PLANE).enumerate().zip(levels) {
            let (first, second) = frames.split_at_mut(PLANE);
            for (row, values) in first.chunks_exact_mut(SIDE).enumerate() {
                let start = ((top + row) * width + left) * CHANNELS;
                let samples = bytes[start + channel..].iter().step_by(CHANNELS);
                for (value, &byte) in values.iter_mut().zip(samples) {
                    *value = levels[usize::from(byte)];
                }
            }
            second.copy_from_slice(first);
        }
    });
    ImagePatches { pixels, grid }
}
