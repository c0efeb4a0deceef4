//! When two formulas are the same function, and when one is a multiple of the other.

use std::cmp::Ordering;

use num_traits::Signed;

use super::evaluate::{Evaluator, Point, Value};
use super::expression::{Constant, Expression};
use crate::fuel::{Failure, Fuel};

/// Points at which formulas with variables are compared.
const POINTS: u64 = 6;

/// Points at which both must have a value.
const LEAST_DEFINED: u64 = 2;

/// Bits of the first attempt.
const BITS: u64 = 512;

/// Most bits.
const MOST_BITS: u64 = 6144;

/// Bits to which irrational values must agree beyond what their sizes ask for.
const AGREEING_BITS: u64 = 160;

/// Which multiples count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Any but zero: two equations with the same solutions.
    Nonzero,
    /// Above zero: two inequalities with the same solutions.
    Positive,
}

/// Whether two formulas have the same value wherever they have one.
///
/// Rational values are compared exactly. Irrational ones must agree to [`AGREEING_BITS`] bits and to as many more as the longest
/// number in either formula has, four times over: no decimal that fits into an answer passes for an irrational number.
/// Formulas with variables are compared at [`POINTS`] points with rational coordinates that follow from the variables' names;
/// different rational functions agree at a point with a probability of their degree over 60000.
pub(crate) fn equal(a: &Expression, b: &Expression, fuel: &Fuel) -> Result<bool, Failure> {
    if let (sign, Some(other)) | (Some(other), sign) = (a.infinite_sign(), b.infinite_sign()) {
        return Ok(sign == Some(other));
    }
    if a.has(Constant::Infinity) || b.has(Constant::Infinity) {
        return Err(Failure::Undefined);
    }
    match same_values(a, b, fuel) {
        // What cannot be evaluated is still itself.
        Err(Failure::Refused) if a == b => Ok(true),
        verdict => verdict,
    }
}

fn same_values(a: &Expression, b: &Expression, fuel: &Fuel) -> Result<bool, Failure> {
    let varies = !a.variables().is_empty() || !b.variables().is_empty();
    let mut defined = 0;
    for point in 0..if varies { POINTS } else { 1 } {
        match same_at(a, b, place(a, b, point), fuel)? {
            Some(true) => defined += 1,
            Some(false) => return Ok(false),
            None => {}
        }
    }
    if defined >= if varies { LEAST_DEFINED } else { 1 } { Ok(true) } else { Err(Failure::Undefined) }
}

/// Whether `a = c·b` for a constant `c`.
pub(crate) fn proportional(a: &Expression, b: &Expression, scale: Scale, fuel: &Fuel) -> Result<bool, Failure> {
    let zero = Expression::integer(0);
    for point in [101, 102, 103].map(|point| place(a, b, point)) {
        let (fixed_a, fixed_b) = (fixed(a, point), fixed(b, point));
        match (equal(&fixed_a, &zero, fuel), equal(&fixed_b, &zero, fuel)) {
            (Ok(false), Ok(false)) => {}
            (Err(Failure::Refused), _) | (_, Err(Failure::Refused)) => return Err(Failure::Refused),
            _ => continue,
        }
        if scale == Scale::Positive && !is_positive(&fixed_a.clone().over(fixed_b.clone()), fuel)? {
            return Ok(false);
        }
        let product = |one: &Expression, other| Expression::Product(vec![one.clone(), other]);
        return equal(&product(a, fixed_b), &product(b, fixed_a), fuel);
    }
    Ok(false)
}

/// The point of a number that suits both formulas.
fn place(a: &Expression, b: &Expression, number: u64) -> Point {
    if a.is_rational() && b.is_rational() { Point::Whole(number) } else { Point::Near(number) }
}

/// The formula with every variable replaced by its value at a point.
fn fixed(expression: &Expression, point: Point) -> Expression {
    expression.replaced(&|name| Some(Expression::Number(point.of(name))))
}

fn is_positive(expression: &Expression, fuel: &Fuel) -> Result<bool, Failure> {
    let bits = usize::try_from(BITS).map_err(|_| Failure::Refused)?;
    Ok(match Evaluator::new(bits, Point::Near(0), fuel).value(expression)? {
        Value::Exact(value) => value.is_positive(),
        Value::Approximate(value) => value.is_real() && value.real.is_positive(),
    })
}

/// Whether both have the same value at a point; `None` if neither has one.
fn same_at(a: &Expression, b: &Expression, point: Point, fuel: &Fuel) -> Result<Option<bool>, Failure> {
    let mut bits = BITS;
    loop {
        let precision = usize::try_from(bits).map_err(|_| Failure::Refused)?;
        let mut evaluator = Evaluator::new(precision, point, fuel);
        let (a, b) = match (evaluator.value(a), evaluator.value(b)) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(Failure::Undefined), Err(Failure::Undefined)) => return Ok(None),
            (Err(Failure::Undefined), Ok(_)) | (Ok(_), Err(Failure::Undefined)) => return Ok(Some(false)),
            (Err(failure), _) | (_, Err(failure)) => return Err(failure),
        };
        let is_exact = matches!((&a, &b), (Value::Exact(_), Value::Exact(_)));
        let needed = 2 * (AGREEING_BITS + 2 * evaluator.spread);
        if is_exact || needed <= bits {
            return evaluator.same(&a, &b).map(Some);
        }
        // What differs at these bits differs at all; what agrees must agree to all bits that are needed.
        if !evaluator.same(&a, &b)? {
            return Ok(Some(false));
        }
        if needed > MOST_BITS || bits > BITS {
            return Err(Failure::Refused);
        }
        bits = needed.next_multiple_of(64);
    }
}

/// Which of two numbers is larger.
///
/// # Errors
/// [`Failure::Undefined`] for formulas with variables and numbers that are not real.
pub(crate) fn order(a: &Expression, b: &Expression, fuel: &Fuel) -> Result<Ordering, Failure> {
    if !a.variables().is_empty() || !b.variables().is_empty() {
        return Err(Failure::Undefined);
    }
    let signs = (a.infinite_sign().unwrap_or(0), b.infinite_sign().unwrap_or(0));
    if signs != (0, 0) {
        return Ok(signs.0.cmp(&signs.1));
    }
    if equal(a, b, fuel)? {
        return Ok(Ordering::Equal);
    }
    if is_positive(&a.clone().minus(b.clone()), fuel)? {
        Ok(Ordering::Greater)
    } else if is_positive(&b.clone().minus(a.clone()), fuel)? {
        Ok(Ordering::Less)
    } else {
        Err(Failure::Undefined)
    }
}
