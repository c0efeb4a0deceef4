//! Expressions, their values, and when two of them are equal.

mod complex;
mod equal;
mod evaluate;
mod expression;

pub(crate) use equal::{Scale, equal, order, proportional};
pub(crate) use evaluate::exact_value;
pub(crate) use expression::{Constant, Expression, Function, exact_root};
