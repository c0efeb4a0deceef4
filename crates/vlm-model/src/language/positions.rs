//! Multimodal rotary positions (M-RoPE).
//!
//! A text token has one position on all three axes. An image's tokens share the temporal position at which the image
//! begins and spread over rows and columns from there; the text after it goes on from the largest position used.
//!
//! # Source
//! Qwen2-VL, arXiv:2409.12191, section 2.1.

use crate::ModelError;
use crate::config::ModelConfig;
use crate::image_input::PatchGrid;

/// Positions of a run of tokens on the temporal, height and width axes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// One list per axis (temporal, height, width), all of the run's length.
    pub axes: [Vec<usize>; 3],
    /// The position of the token that follows the run, the same on all axes.
    pub next: usize,
}

impl Positions {
    /// Positions of a prompt whose image placeholders are already expanded to one per image token.
    ///
    /// # Errors
    /// If the placeholders do not match the images in number.
    pub fn of_prompt(ids: &[u32], grids: &[PatchGrid], config: &ModelConfig) -> Result<Self, ModelError> {
        let merge = config.vision.spatial_merge_size;
        let placeholders = ids.iter().filter(|&&id| id == config.tokens.image_pad).count();
        let expected: usize = grids.iter().map(|grid| grid.t * grid.h * grid.w / (merge * merge)).sum();
        if placeholders != expected {
            return Err(ModelError::ImageTokenCount { placeholders, features: expected });
        }
        let mut positions = Self::default();
        let mut images = grids.iter();
        let mut at = 0;
        while at < ids.len() {
            if ids[at] != config.tokens.image_pad {
                positions.push_text();
                at += 1;
            } else if let Some(grid) = images.next() {
                let [frames, rows, columns] = [grid.t, grid.h / merge, grid.w / merge];
                // Placeholders of one image must stand together, or the run would borrow the next image's.
                let run = ids[at..].iter().take_while(|&&id| id == config.tokens.image_pad).count();
                if run < frames * rows * columns {
                    return Err(ModelError::ImageTokenCount { placeholders: run, features: frames * rows * columns });
                }
                positions.push_image(frames, rows, columns);
                at += frames * rows * columns;
            }
        }
        Ok(positions)
    }

    /// `count` text tokens from `start` on.
    #[must_use]
    pub fn of_text(start: usize, count: usize) -> Self {
        let axis: Vec<usize> = (start..start + count).collect();
        Self { axes: [axis.clone(), axis.clone(), axis], next: start + count }
    }

    fn push_text(&mut self) {
        for axis in &mut self.axes {
            axis.push(self.next);
        }
        self.next += 1;
    }

    fn push_image(&mut self, frames: usize, rows: usize, columns: usize) {
        let start = self.next;
        for frame in 0..frames {
            for row in 0..rows {
                for column in 0..columns {
                    let place = [start + frame, start + row, start + column];
                    for (axis, position) in self.axes.iter_mut().zip(place) {
                        axis.push(position);
                    }
                }
            }
        }
        self.next = start + frames.max(rows).max(columns);
    }
}

/// The rotation angle of every token and frequency, in radians: frequency `i` follows the axis its section names.
///
/// Returns `[tokens, head width / 2]`, row-major.
pub(crate) fn angles<'a>(runs: impl Iterator<Item = &'a Positions>, config: &ModelConfig) -> Vec<f32> {
    let half = config.head_width() / 2;
    let theta = config.text.rope_theta as f32;
    let inverse: Vec<f32> = (0..half).map(|i| 1.0 / theta.powf(i as f32 / half as f32)).collect();
    let axis_of: Vec<usize> =
        (0..3).flat_map(|axis| std::iter::repeat_n(axis, config.text.mrope_section[axis])).collect();
    runs.flat_map(|positions| {
        let (inverse, axis_of) = (&inverse, &axis_of);
        (0..positions.axes[0].len())
            .flat_map(move |token| (0..half).map(move |i| positions.axes[axis_of[i]][token] as f32 * inverse[i]))
    })
    .collect()
}
