//! Where patches lie: attention windows and rotary positions, as plain index lists.
//!
//! Patches arrive in merge order: row-major over the 2×2 squares that become one image token, then row-major inside a
//! square. A *cell* is such a square.

use crate::config::VisionConfig;
use crate::image_input::PatchGrid;

/// The order in which the tower walks the patches, and what attends to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// For each place in window order, the cell that stands there. A permutation of all cells.
    pub window_index: Vec<usize>,
    /// Patches per attention window, in window order.
    pub window_lengths: Vec<usize>,
    /// Patches per frame of each image.
    pub frame_lengths: Vec<usize>,
    /// Row and column of each patch, in merge order.
    pub positions: Vec<[usize; 2]>,
}

impl Geometry {
    /// Lays out the patches of all images of a batch.
    #[must_use]
    pub fn new(grids: &[PatchGrid], config: &VisionConfig) -> Self {
        let merge = config.spatial_merge_size;
        // The window is given in pixels; the walk counts cells.
        let window = config.window_size / merge / config.patch_size;
        let mut geometry = Self {
            window_index: Vec::new(),
            window_lengths: Vec::new(),
            frame_lengths: Vec::new(),
            positions: Vec::new(),
        };
        for grid in grids {
            for _ in 0..grid.t {
                geometry.add_frame(grid.h / merge, grid.w / merge, window, merge);
            }
        }
        geometry
    }

    fn add_frame(&mut self, rows: usize, columns: usize, window: usize, merge: usize) {
        let first_cell = self.window_index.len();
        for top in (0..rows).step_by(window) {
            for left in (0..columns).step_by(window) {
                let (bottom, right) = ((top + window).min(rows), (left + window).min(columns));
                for row in top..bottom {
                    self.window_index.extend((left..right).map(|column| first_cell + row * columns + column));
                }
                self.window_lengths.push((bottom - top) * (right - left) * merge * merge);
            }
        }
        self.frame_lengths.push(rows * columns * merge * merge);
        for row in 0..rows {
            for column in 0..columns {
                for inner in 0..merge * merge {
                    self.positions.push([row * merge + inner / merge, column * merge + inner % merge]);
                }
            }
        }
    }

    /// For each place in window order, the patch (in merge order) that stands there.
    #[must_use]
    pub fn patch_order(&self, merge: usize) -> Vec<usize> {
        let cell = merge * merge;
        self.window_index.iter().flat_map(|&index| index * cell..(index + 1) * cell).collect()
    }

    /// For each cell in merge order, its place in window order: the inverse of [`Self::window_index`].
    #[must_use]
    pub fn cell_places(&self) -> Vec<usize> {
        let mut places = vec![0; self.window_index.len()];
        for (place, &cell) in self.window_index.iter().enumerate() {
            places[cell] = place;
        }
        places
    }
}
