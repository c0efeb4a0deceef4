//! What is asked about a scene, and what the answer is.

use serde::{Deserialize, Serialize};

use super::{Color, Scene, Shape, ShapeKind, ShapesConfig};

/// The largest answer to a question for the number of shapes of one colour or kind.
const LARGEST_COUNT: usize = 3;

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// How many shapes there are.
    Count,
    /// What colour the only shape of its kind has.
    Color,
    /// What lies outermost, or beside another shape.
    Relation,
    /// What is largest or smallest.
    Size,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 4] = [Self::Count, Self::Color, Self::Relation, Self::Size];
}

/// A side of the picture or of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Towards column 0.
    Left,
    /// Away from column 0.
    Right,
    /// Towards row 0.
    Above,
    /// Away from row 0.
    Below,
}

impl Side {
    /// All sides.
    pub const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Above, Self::Below];

    /// Its words between two shapes in questions.
    pub fn words(self) -> &'static str {
        match self {
            Self::Left => "left of",
            Self::Right => "right of",
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// Whether `shape` lies further to this side than `other` beyond doubt: its centre by a tenth of the picture's shorter side,
    /// and its disc too.
    fn is_clear(self, scene: &Scene, shape: &Shape, other: &Shape) -> bool {
        let toward = |shape: &Shape| match self {
            Self::Left => -f64::from(shape.x),
            Self::Right => f64::from(shape.x),
            Self::Above => -f64::from(shape.y),
            Self::Below => f64::from(shape.y),
        };
        let margin = f64::from(scene.shorter_side()) / 10.0;
        toward(shape) >= toward(other) + margin && toward(shape) + shape.reach() >= toward(other) + other.reach()
    }

    /// The only shape on this side of `reference`, if all others lie clearly on the opposite side.
    fn subject<'a>(self, scene: &'a Scene, reference: &Shape) -> Option<Vec<&'a Shape>> {
        let others = || scene.shapes.iter().filter(|shape| *shape != reference);
        let is_beside = |shape: &&Shape| self.is_clear(scene, shape, reference);
        let is_opposite = |shape: &&Shape| self.is_clear(scene, reference, shape);
        let all_clear = others().all(|shape| is_beside(&shape) || is_opposite(&shape));
        if all_clear { only(others().filter(is_beside)) } else { None }
    }
}

/// What sets one shape apart from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Superlative {
    /// It lies furthest to a side.
    Outermost(Side),
    /// It has the largest area.
    Largest,
    /// It has the smallest area.
    Smallest,
}

impl Superlative {
    /// Its word in questions.
    pub fn word(self) -> &'static str {
        match self {
            Self::Outermost(Side::Left) => "leftmost",
            Self::Outermost(Side::Right) => "rightmost",
            Self::Outermost(Side::Above) => "topmost",
            Self::Outermost(Side::Below) => "bottommost",
            Self::Largest => "largest",
            Self::Smallest => "smallest",
        }
    }

    /// Whether `shape` exceeds `other` beyond doubt; of two sizes, one radius is at least 1.35 times the other.
    fn is_clear(self, scene: &Scene, shape: &Shape, other: &Shape) -> bool {
        match self {
            Self::Outermost(side) => side.is_clear(scene, shape, other),
            Self::Largest => 100 * u64::from(shape.radius) >= 135 * u64::from(other.radius),
            Self::Smallest => Self::Largest.is_clear(scene, other, shape),
        }
    }

    /// The shape that clearly exceeds all others, of which there must be some.
    fn subject(self, scene: &Scene) -> Option<Vec<&Shape>> {
        let exceeds_all = |shape: &&Shape| {
            let mut others = scene.shapes.iter().filter(|other| other != shape);
            others.all(|other| self.is_clear(scene, shape, other))
        };
        if scene.shapes.len() < 2 { None } else { only(scene.shapes.iter().filter(exceeds_all)) }
    }
}

/// What is asked of a shape that was singled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// Its colour.
    Color,
    /// Its kind.
    Kind,
}

/// A question about a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// How many shapes are there?
    CountAll,
    /// How many shapes of a colour are there?
    CountColor(Color),
    /// How many shapes of a kind are there?
    CountKind(ShapeKind),
    /// What colour is the only shape of a kind?
    ColorOf(ShapeKind),
    /// What colour or kind is the shape that exceeds all others?
    Most(Superlative, Attribute),
    /// What kind is the only shape beside the only shape of a colour?
    Beside(Side, Color),
}

impl Question {
    /// Every question of a category about the colours and kinds of `config` that has more than one answer. Of the sides, only
    /// left and above are asked about another shape, so that this harder form is about as frequent as the outermost shapes.
    pub(super) fn all(category: Category, config: &ShapesConfig) -> Vec<Self> {
        let (colors, kinds) = (config.colors.iter().copied(), config.kinds.iter().copied());
        let most = |superlative| [Attribute::Color, Attribute::Kind].map(|asked| Self::Most(superlative, asked));
        let all = (config.min_shapes < config.max_shapes).then_some(Self::CountAll);
        match category {
            Category::Count => {
                all.into_iter().chain(colors.map(Self::CountColor)).chain(kinds.map(Self::CountKind)).collect()
            }
            Category::Color => kinds.map(Self::ColorOf).collect(),
            Category::Relation => Side::ALL
                .into_iter()
                .flat_map(|side| most(Superlative::Outermost(side)))
                .chain(colors.flat_map(|color| [Side::Left, Side::Above].map(|side| Self::Beside(side, color))))
                .collect(),
            Category::Size => [Superlative::Largest, Superlative::Smallest].into_iter().flat_map(most).collect(),
        }
    }

    /// What it is about.
    pub fn category(&self) -> Category {
        match self {
            Self::CountAll | Self::CountColor(_) | Self::CountKind(_) => Category::Count,
            Self::ColorOf(_) => Category::Color,
            Self::Most(Superlative::Outermost(_), _) | Self::Beside(..) => Category::Relation,
            Self::Most(..) => Category::Size,
        }
    }

    /// Its wording, without the image marker.
    pub fn text(&self) -> String {
        match self {
            Self::CountAll => "How many shapes are there?".to_owned(),
            Self::CountColor(color) => format!("How many {} shapes are there?", color.word()),
            Self::CountKind(kind) => format!("How many {} are there?", kind.plural()),
            Self::ColorOf(kind) => format!("What color is the {}?", kind.word()),
            Self::Most(most, Attribute::Color) => {
                format!("What color is the {} shape?", most.word())
            }
            Self::Most(most, Attribute::Kind) => format!("What shape is {}?", most.word()),
            Self::Beside(side, color) => format!("What shape is {} the {} shape?", side.words(), color.word()),
        }
    }

    /// Every answer it may have, one word or number each.
    pub(super) fn answers(&self, config: &ShapesConfig) -> Vec<String> {
        let numbers = |range: std::ops::RangeInclusive<usize>| range.map(|count| count.to_string()).collect();
        match self {
            Self::CountAll => numbers(config.min_shapes..=config.max_shapes),
            Self::CountColor(_) | Self::CountKind(_) => numbers(0..=config.max_shapes.min(LARGEST_COUNT)),
            Self::ColorOf(_) | Self::Most(_, Attribute::Color) => {
                config.colors.iter().map(|color| color.word().to_owned()).collect()
            }
            Self::Most(_, Attribute::Kind) | Self::Beside(..) => {
                config.kinds.iter().map(|kind| kind.word().to_owned()).collect()
            }
        }
    }

    /// The shapes that give the answer: those that are counted, or the one that is asked about. `None` if the scene leaves the
    /// question without a clear answer.
    pub fn subjects<'a>(&self, scene: &'a Scene) -> Option<Vec<&'a Shape>> {
        let shapes = scene.shapes.iter();
        match self {
            Self::CountAll => Some(shapes.collect()),
            Self::CountColor(color) => Some(shapes.filter(|shape| shape.color == *color).collect()),
            Self::CountKind(kind) => Some(shapes.filter(|shape| shape.kind == *kind).collect()),
            Self::ColorOf(kind) => only(shapes.filter(|shape| shape.kind == *kind)),
            Self::Most(most, _) => most.subject(scene),
            Self::Beside(side, color) => side.subject(scene, reference(scene, *color)?),
        }
    }

    /// The answer in `scene`, if there is a clear one.
    pub fn answer(&self, scene: &Scene) -> Option<String> {
        let subjects = self.subjects(scene)?;
        match self {
            Self::CountAll | Self::CountColor(_) | Self::CountKind(_) => Some(subjects.len().to_string()),
            Self::ColorOf(_) | Self::Most(_, Attribute::Color) => Some(subjects.first()?.color.word().to_owned()),
            Self::Most(_, Attribute::Kind) | Self::Beside(..) => Some(subjects.first()?.kind.word().to_owned()),
        }
    }
}

/// The only shape of a colour, to which others can be related.
pub(super) fn reference(scene: &Scene, color: Color) -> Option<&Shape> {
    only(scene.shapes.iter().filter(|shape| shape.color == color))?.pop()
}

/// A single shape alone, if it is one.
fn only<'a>(mut shapes: impl Iterator<Item = &'a Shape>) -> Option<Vec<&'a Shape>> {
    let first = shapes.next()?;
    shapes.next().is_none().then(|| vec![first])
}

#[cfg(test)]
mod tests {
    use super::Attribute::{Color as AskColor, Kind as AskKind};
    use super::{Question, Side, Superlative};
    use crate::shapes::{Color, Scene, Shape, ShapeKind};

    /// A large red circle, a blue square right of it, and a red cross below both.
    fn scene() -> Scene {
        let shape = |kind, color, x, y, radius| Shape { kind, color, x, y, radius };
        let shapes = vec![
            shape(ShapeKind::Circle, Color::Red, 30, 40, 22),
            shape(ShapeKind::Square, Color::Blue, 80, 30, 12),
            shape(ShapeKind::Cross, Color::Red, 60, 90, 13),
        ];
        Scene { width: 112, height: 112, shapes }
    }

    #[test]
    fn answers_are_clear_or_not_given() {
        let most = Question::Most;
        for (question, answer) in [
            (Question::CountAll, Some("3")),
            (Question::CountColor(Color::Red), Some("2")),
            (Question::CountKind(ShapeKind::Triangle), Some("0")),
            (Question::ColorOf(ShapeKind::Cross), Some("red")),
            (Question::ColorOf(ShapeKind::Triangle), None),
            (most(Superlative::Largest, AskKind), Some("circle")),
            // 13 is not 1.35 times 12.
            (most(Superlative::Smallest, AskKind), None),
            (most(Superlative::Outermost(Side::Left), AskColor), Some("red")),
            (most(Superlative::Outermost(Side::Right), AskColor), Some("blue")),
            // 30 is not 11.2 pixels above 40.
            (most(Superlative::Outermost(Side::Above), AskColor), None),
            (most(Superlative::Outermost(Side::Below), AskKind), Some("cross")),
            // Two shapes lie left of the blue one, and two are red.
            (Question::Beside(Side::Left, Color::Blue), None),
            (Question::Beside(Side::Left, Color::Red), None),
        ] {
            assert_eq!(question.answer(&scene()).as_deref(), answer, "{}", question.text());
        }
    }

    #[test]
    fn beside_means_one_shape_on_that_side_and_none_between() {
        let above_blue = Question::Beside(Side::Above, Color::Blue);
        let mut scene = scene();
        assert_eq!(above_blue.answer(&scene), None);
        scene.shapes[1].y = 60;
        assert_eq!(above_blue.answer(&scene).as_deref(), Some("circle"));
        scene.shapes[2].y = 65;
        assert_eq!(above_blue.answer(&scene), None);
    }

    #[test]
    fn a_single_shape_exceeds_nothing() {
        let mut scene = scene();
        scene.shapes.truncate(1);
        assert_eq!(Question::Most(Superlative::Largest, AskColor).answer(&scene), None);
    }
}
