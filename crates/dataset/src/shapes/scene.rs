//! What a picture shows: coloured shapes apart from each other.

use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

use super::ShapesConfig;

/// How often a place is looked for before the scene is given up.
const PLACE_TRIES: usize = 20;
/// Empty pixels between shapes, and between a shape and the edge of the picture.
const GAP: f64 = 2.0;

/// A colour that is easy to tell from the others and from the ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Color {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Yellow.
    Yellow,
    /// Black.
    Black,
}

impl Color {
    /// All colours.
    pub const ALL: [Self; 5] = [Self::Red, Self::Green, Self::Blue, Self::Yellow, Self::Black];

    /// Its name in questions and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Black => "black",
        }
    }

    /// Its red, green and blue parts, each in `0..=255`.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [220, 40, 40],
            Self::Green => [30, 160, 60],
            Self::Blue => [40, 80, 220],
            Self::Yellow => [245, 205, 20],
            Self::Black => [20, 20, 20],
        }
    }
}

/// An outline. All kinds of the same radius have the same area, that of the circle, so that larger means the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShapeKind {
    /// A disc.
    Circle,
    /// An upright square.
    Square,
    /// A triangle of equal sides standing on one of them.
    Triangle,
    /// An upright cross whose bars are a third as thick as long.
    Cross,
}

impl ShapeKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Circle, Self::Square, Self::Triangle, Self::Cross];

    /// Its name in questions and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Cross => "cross",
        }
    }

    /// The name of several.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Circle => "circles",
            Self::Square => "squares",
            Self::Triangle => "triangles",
            Self::Cross => "crosses",
        }
    }

    /// Whether the shape of radius 1 around the origin covers the point `x` right of it and `y` below it.
    pub fn covers(self, x: f64, y: f64) -> bool {
        let reach = self.reach();
        match self {
            Self::Circle => x * x + y * y <= 1.0,
            Self::Square => x.abs().max(y.abs()) <= reach / 2_f64.sqrt(),
            Self::Triangle => y <= reach / 2.0 && 3_f64.sqrt() * x.abs() <= y + reach,
            Self::Cross => {
                let bar = 3.0 * reach / 10_f64.sqrt();
                x.abs().max(y.abs()) <= bar && x.abs().min(y.abs()) <= bar / 3.0
            }
        }
    }

    /// Distance from the centre to the farthest point of the shape of radius 1, which follows from its area being π.
    pub fn reach(self) -> f64 {
        match self {
            Self::Circle => 1.0,
            Self::Square | Self::Cross => std::f64::consts::FRAC_PI_2.sqrt(),
            Self::Triangle => (4.0 * std::f64::consts::PI / 27_f64.sqrt()).sqrt(),
        }
    }
}

/// A shape in a picture. Lengths are pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Its outline.
    pub kind: ShapeKind,
    /// Its colour.
    pub color: Color,
    /// Column of its centre of mass, counted from the left edge.
    pub x: u32,
    /// Row of its centre of mass, counted from the top edge.
    pub y: u32,
    /// Radius of the disc of the same area.
    pub radius: u32,
}

impl Shape {
    /// Distance in pixels from its centre to its farthest point.
    pub fn reach(&self) -> f64 {
        f64::from(self.radius) * self.kind.reach()
    }

    /// Whether the discs around both shapes stay apart.
    fn is_apart_from(&self, other: &Self) -> bool {
        let (across, down) = (self.x.abs_diff(other.x), self.y.abs_diff(other.y));
        let squared_distance = f64::from(across).powi(2) + f64::from(down).powi(2);
        squared_distance >= (self.reach() + other.reach() + GAP).powi(2)
    }
}

/// A picture's content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scene {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The shapes, in no particular order.
    pub shapes: Vec<Shape>,
}

impl Scene {
    /// Scatters `shapes` shapes of random kind, colour, size and place; radii are 10 to 20 % of the shorter side. `None` if some
    /// shape found no place apart from the others.
    pub(super) fn scatter(shapes: usize, config: &ShapesConfig, rng: &mut impl Rng) -> Option<Self> {
        let mut scene =
            Self { width: *config.sides.choose(rng)?, height: *config.sides.choose(rng)?, shapes: Vec::new() };
        for _ in 0..shapes {
            let shape = scene.place(config, rng)?;
            scene.shapes.push(shape);
        }
        Some(scene)
    }

    /// The length of the shorter side in pixels.
    pub fn shorter_side(&self) -> u32 {
        self.width.min(self.height)
    }

    /// A random shape at a random free place.
    fn place(&self, config: &ShapesConfig, rng: &mut impl Rng) -> Option<Shape> {
        let side = self.shorter_side();
        let mut shape = Shape {
            kind: *config.kinds.choose(rng)?,
            color: *config.colors.choose(rng)?,
            x: 0,
            y: 0,
            radius: rng.random_range((side * config.radius[0]).div_ceil(100)..=side * config.radius[1] / 100),
        };
        let margin = (shape.reach() + GAP).ceil() as u32;
        (0..PLACE_TRIES).find_map(|_| {
            shape.x = rng.random_range(margin..self.width - margin);
            shape.y = rng.random_range(margin..self.height - margin);
            self.shapes.iter().all(|other| shape.is_apart_from(other)).then_some(shape)
        })
    }
}
