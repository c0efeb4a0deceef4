//! What a shapes data set is made of.

use serde::{Deserialize, Serialize};

use super::{Category, Color, ShapeKind};
use crate::DatasetError;

/// A patch pair of the vision tower: sides that are multiples of it need no resizing.
const SIDE_UNIT: u32 = 28;
/// The shortest side on which the smallest shape is still plain to see.
const SHORTEST_SIDE: u32 = 2 * SIDE_UNIT;
/// With more shapes than this, scenes without overlap become too rare to wait for.
const MOST_SHAPES: usize = 5;

/// The settings of a shapes data set. The same settings make the same files, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShapesConfig {
    /// Seed of every random choice.
    pub seed: u64,
    /// Problems to train on, at least 1.
    pub train: usize,
    /// Problems held out, at least 1. Their scenes are none of the training scenes, and do not depend on how many those are unless
    /// the two would meet.
    pub held_out: usize,
    /// Image sides to choose from in pixels, for width and height independently: multiples of 28, at least 56.
    pub sides: Vec<u32>,
    /// Fewest shapes in a scene, at least 1. Five in a square leave no room for the differences that questions of size need.
    pub min_shapes: usize,
    /// Most shapes in a scene, 2 to 5 and not below `min_shapes`.
    pub max_shapes: usize,
    /// Smallest and largest radius, in percent of the image's shorter side: 10 to 30. Far enough apart that one shape can be
    /// clearly the largest (a ratio of 1.35), and small enough that all shapes find room.
    pub radius: [u32; 2],
    /// Colours to choose from, two or more, none twice.
    pub colors: Vec<Color>,
    /// Kinds of shapes to choose from, two or more, none twice.
    pub kinds: Vec<ShapeKind>,
    /// Categories of questions, asked in turn: one or more, none twice.
    pub categories: Vec<Category>,
}

impl Default for ShapesConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            train: 2000,
            held_out: 200,
            sides: vec![112, 140, 168],
            min_shapes: 2,
            max_shapes: 5,
            radius: [10, 20],
            colors: Color::ALL.to_vec(),
            kinds: ShapeKind::ALL.to_vec(),
            categories: Category::ALL.to_vec(),
        }
    }
}

impl ShapesConfig {
    /// Refuses settings that cannot be met.
    pub(super) fn check(&self) -> Result<(), DatasetError> {
        let demand = |met: bool, setting, value, rule| {
            if met { Ok(()) } else { Err(DatasetError::ShapesSetting { setting, value, rule }) }
        };
        demand(self.train > 0, "train", self.train, "at least 1")?;
        demand(self.held_out > 0, "held_out", self.held_out, "at least 1")?;
        demand(!self.sides.is_empty(), "sides", 0, "a list of at least one side")?;
        for &side in &self.sides {
            let met = side >= SHORTEST_SIDE && side.is_multiple_of(SIDE_UNIT);
            demand(met, "sides", side as usize, "multiples of 28 pixels from 56 on")?;
        }
        demand(self.min_shapes > 0, "min_shapes", self.min_shapes, "at least 1")?;
        let met = (self.min_shapes.max(2)..=MOST_SHAPES).contains(&self.max_shapes);
        demand(met, "max_shapes", self.max_shapes, "2 to 5 and not below `min_shapes`")?;
        let [smallest, largest] = self.radius;
        let met = smallest >= 10 && largest <= 30 && 100 * largest >= 140 * smallest;
        demand(met, "radius", smallest as usize, "10 to 30 percent, the largest at least 1.4 times the smallest")?;
        let met = self.colors.len() >= 2 && !repeats(&self.colors);
        demand(met, "colors", self.colors.len(), "a list of two colors or more, none twice")?;
        let met = self.kinds.len() >= 2 && !repeats(&self.kinds);
        demand(met, "kinds", self.kinds.len(), "a list of two kinds or more, none twice")?;
        let met = !self.categories.is_empty() && !repeats(&self.categories);
        demand(met, "categories", self.categories.len(), "a list of one category or more, none twice")
    }
}

/// Whether some element of a list stands there twice, which would spoil the balance of the answers.
fn repeats<T: PartialEq>(list: &[T]) -> bool {
    (0..list.len()).any(|at| list[..at].contains(&list[at]))
}
