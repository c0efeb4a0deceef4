//! What an answer can be.

use super::clock::Clock;
use super::unit::Unit;
use crate::algebra::Expression;

/// A value, and of what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    pub(super) value: Expression,
    pub(super) unit: Option<Unit>,
    pub(super) percent: bool,
    /// The formula if the letters of the unit are variables.
    pub(super) as_formula: Option<Expression>,
}

/// All numbers between two ends, which may be infinite.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: Expression,
    pub(super) is_low_open: bool,
    pub(super) high: Expression,
    pub(super) is_high_open: bool,
}

/// `left = right`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Equation {
    /// The name on the left, if it is only a name: then the equation says what its value is.
    pub(super) label: Option<String>,
    pub(super) value: Box<Answer>,
    /// Left minus right.
    pub(super) difference: Option<Expression>,
}

/// An answer that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Quantity(Quantity),
    /// One of the options that were offered, by its letter, perhaps with what it says.
    Choice {
        letter: char,
        says: Option<Box<Self>>,
    },
    /// A tuple, a vector, a point, or an interval.
    Bracketed {
        open: char,
        close: char,
        items: Vec<Self>,
    },
    /// Elements in braces.
    Set(Vec<Self>),
    /// Several answers; their order counts against a tuple only.
    List(Vec<Self>),
    /// Any of several values, as in `x=1 or x=2` and `±3`.
    Either(Vec<Self>),
    /// The numbers in any of the intervals; the name is that of the variable in an inequality.
    Region {
        variable: Option<String>,
        intervals: Vec<Interval>,
    },
    Equation(Equation),
    /// `difference < 0`, or `≤`.
    Inequality {
        difference: Expression,
        is_strict: bool,
    },
    Ratio {
        parts: Vec<Expression>,
        /// Whether it looks like a time of day.
        is_clock: bool,
    },
    /// A time of day.
    Clock(Clock),
    Matrix {
        is_determinant: bool,
        rows: Vec<Vec<Self>>,
    },
    Text(String),
}

impl Answer {
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// The formula of a value without a unit.
    pub(super) fn as_formula(&self) -> Option<&Expression> {
        match self {
            Self::Quantity(Quantity { value, unit: None, percent: false, .. }) => Some(value),
            _ => None,
        }
    }
}
