//! When two answers say the same.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive};

use super::answer::{Answer, Equation, Quantity};
use super::clock::Clock;
use super::{formula, line, phrase};
use crate::algebra::{self, Expression, Function, Scale, exact_value, proportional};
use crate::fuel::{Failure, Fuel};

/// Whether two answers say the same.
///
/// # Errors
/// Whatever kept a value from being found; such answers are not the same.
pub(super) fn same(a: &Answer, b: &Answer, fuel: &Fuel) -> Result<bool, Failure> {
    fuel.spend(1)?;
    match (a, b) {
        (Answer::Quantity(a), Answer::Quantity(b)) => same_quantity(a, b, fuel),
        (Answer::Choice { letter, says }, Answer::Choice { letter: other, says: also }) => {
            let same_letter = letter.eq_ignore_ascii_case(other);
            match (says, also) {
                (Some(says), Some(also)) => Ok(same_letter && same(says, also, fuel)?),
                _ => Ok(same_letter),
            }
        }
        (Answer::Choice { letter, says }, other) | (other, Answer::Choice { letter, says }) => {
            let is_letter = |answer: &Answer| match answer.as_formula() {
                Some(Expression::Variable(name)) => name.eq_ignore_ascii_case(&letter.to_string()),
                _ => false,
            };
            match says {
                Some(says) => Ok(is_letter(other) || same(says, other, fuel)?),
                None => Ok(is_letter(other)),
            }
        }
        (Answer::Equation(a), Answer::Equation(b)) => same_equation(a, b, fuel),
        (Answer::List(a), Answer::List(b)) => match (by_name(a), by_name(b)) {
            (None, None) => same_members(a, b, fuel),
            (Some(a), Some(b)) if a.iter().zip(&b).all(|((a, _), (b, _))| a == b) => {
                in_order(&values(&a), &values(&b), fuel)
            }
            (Some(named), None) if !b.iter().any(|item| matches!(item, Answer::Equation(_))) => {
                in_order(&values(&named), &b.iter().collect::<Vec<_>>(), fuel)
            }
            (None, Some(named)) if !a.iter().any(|item| matches!(item, Answer::Equation(_))) => {
                in_order(&a.iter().collect::<Vec<_>>(), &values(&named), fuel)
            }
            _ => same_members(a, b, fuel),
        },
        (Answer::List(list), Answer::Bracketed { open: '(', close: ')', items })
        | (Answer::Bracketed { open: '(', close: ')', items }, Answer::List(list)) => {
            let are_named = list.iter().any(|item| matches!(item, Answer::Equation(_)));
            let list = match by_name(list) {
                Some(named) => values(&named),
                // Two values of one name are no point.
                None if are_named => return Ok(false),
                None => list.iter().collect(),
            };
            in_order(&list, &items.iter().collect::<Vec<_>>(), fuel)
        }
        (Answer::List(list), other) | (other, Answer::List(list)) if options(list).is_some() => {
            Ok(options(list).is_some_and(|letters| run_of_options(other) == Some(letters)))
        }
        (Answer::Set(a), Answer::Set(b)) if has_sets(a) != has_sets(b) => Ok(false),
        (Answer::Set(a) | Answer::Either(a), Answer::Set(b) | Answer::Either(b) | Answer::List(b))
        | (Answer::List(b), Answer::Set(a) | Answer::Either(a)) => {
            // Values of different names are no alternatives.
            let are_named = |items: &[Answer]| items.len() > 1 && by_name(items).is_some();
            Ok(are_named(a) == are_named(b) && contains_all(a, b, fuel)? && contains_all(b, a, fuel)?)
        }
        // A set of one element against the element.
        (Answer::Set(only), other) | (other, Answer::Set(only)) if only.len() == 1 => same(&only[0], other, fuel),
        (Answer::Equation(equation), other) | (other, Answer::Equation(equation)) => match equation.label {
            Some(_) => same(&equation.value, other, fuel),
            None => Ok(false),
        },
        (Answer::Bracketed { open, close, items }, Answer::Bracketed { open: opens, close: closes, items: others }) => {
            let ends = open == opens && close == closes;
            if ends {
                return in_order(&items.iter().collect::<Vec<_>>(), &others.iter().collect::<Vec<_>>(), fuel);
            }
            Ok(false)
        }
        (Answer::Region { intervals, .. }, other @ Answer::Bracketed { .. })
        | (other @ Answer::Bracketed { .. }, Answer::Region { intervals, .. }) => match line::interval(other) {
            Some(other) => line::same(intervals, &[other], fuel),
            None => Ok(false),
        },
        (Answer::Region { variable, intervals }, Answer::Region { variable: other_variable, intervals: others }) => {
            let same_variable = variable.is_none() || other_variable.is_none() || variable == other_variable;
            Ok(same_variable && line::same(intervals, others, fuel)?)
        }
        (Answer::Inequality { difference, is_strict }, Answer::Inequality { difference: other, is_strict: also }) => {
            Ok(is_strict == also && proportional(difference, other, Scale::Positive, fuel)?)
        }
        (Answer::Clock(a), Answer::Clock(b)) => Ok(a.same(*b)),
        (Answer::Clock(clock), Answer::Ratio { parts, is_clock: true })
        | (Answer::Ratio { parts, is_clock: true }, Answer::Clock(clock)) => {
            let number = |part| formula::literal(part).and_then(|value| value.to_integer().to_u32());
            let numbers: Option<Vec<u32>> = parts.iter().map(number).collect();
            Ok(numbers.and_then(|numbers| Clock::new(&numbers, None)).is_some_and(|other| clock.same(other)))
        }
        (Answer::Ratio { parts, is_clock }, Answer::Ratio { parts: others, is_clock: also }) => {
            if parts.len() != others.len() {
                return Ok(false);
            }
            let same_parts = || all_equal(parts.iter().zip(others), fuel);
            if *is_clock && *also { same_parts() } else { same_ratio(parts, others, fuel) }
        }
        // `3/4` is how many times as much `3:4` says.
        (Answer::Ratio { parts, is_clock: false }, Answer::Quantity(quantity))
        | (Answer::Quantity(quantity), Answer::Ratio { parts, is_clock: false }) => {
            match (&parts[..], &quantity.unit) {
                ([part, whole], None) if !quantity.percent => {
                    let is_broken = exact_value(&quantity.value, fuel).is_some_and(|value| !value.is_integer());
                    Ok(is_broken && equal(&part.clone().over(whole.clone()), &quantity.value, fuel)?)
                }
                _ => Ok(false),
            }
        }
        (Answer::Matrix { is_determinant, rows }, Answer::Matrix { is_determinant: also, rows: others }) => {
            let same_shape = rows.len() == others.len() && rows.iter().zip(others).all(|(a, b)| a.len() == b.len());
            if is_determinant != also || !same_shape {
                return Ok(false);
            }
            in_order(&rows.iter().flatten().collect::<Vec<_>>(), &others.iter().flatten().collect::<Vec<_>>(), fuel)
        }
        // A vector may be written as a column or a row.
        (Answer::Matrix { is_determinant: false, rows }, Answer::Bracketed { open: '(', close: ')', items })
        | (Answer::Bracketed { open: '(', close: ')', items }, Answer::Matrix { is_determinant: false, rows })
            if rows.len() == 1 || rows.iter().all(|row| row.len() == 1) =>
        {
            in_order(&rows.iter().flatten().collect::<Vec<_>>(), &items.iter().collect::<Vec<_>>(), fuel)
        }
        (Answer::Text(a), Answer::Text(b)) => Ok(phrase::same(a, b) && !a.is_empty()),
        _ => Ok(false),
    }
}

/// Whether two values are equal. A logarithm without a base is the common one where the other value has none.
fn equal(a: &Expression, b: &Expression, fuel: &Fuel) -> Result<bool, Failure> {
    let is_bare = |value: &Expression| value.variables().contains(formula::BASE_OF_LOG);
    let ten = || Expression::Call(Function::Logarithm, vec![Expression::integer(10)]);
    let common = |value: &Expression| value.with(formula::BASE_OF_LOG, &ten());
    match (is_bare(a), is_bare(b)) {
        (true, false) if !b.calls(Function::Logarithm) => algebra::equal(&common(a), b, fuel),
        (false, true) if !a.calls(Function::Logarithm) => algebra::equal(a, &common(b), fuel),
        _ => algebra::equal(a, b, fuel),
    }
}

fn same_quantity(a: &Quantity, b: &Quantity, fuel: &Fuel) -> Result<bool, Failure> {
    let plainly = |quantity: &Quantity| {
        quantity.as_formula.clone().or_else(|| quantity.unit.is_none().then(|| quantity.value.clone()))
    };
    if (a.as_formula.is_some() || b.as_formula.is_some())
        && let (Some(a), Some(b)) = (plainly(a), plainly(b))
        && equal(&a, &b, fuel) == Ok(true)
    {
        return Ok(true);
    }
    match (a.percent, b.percent) {
        (true, true) => return equal(&a.value, &b.value, fuel),
        (true, false) => return same_percent(a, b, fuel),
        (false, true) => return same_percent(b, a, fuel),
        (false, false) => {}
    }
    match (&a.unit, &b.unit) {
        (None, None) => equal(&a.value, &b.value, fuel),
        // A unit that only one of them has is understood in the other.
        (Some(_), None) | (None, Some(_)) => equal(&a.value, &b.value, fuel),
        (Some(unit), Some(other)) => {
            if unit.is_degree() && other.is_radian() {
                return equal(&a.value.clone().degrees(), &b.value, fuel);
            }
            if unit.is_radian() && other.is_degree() {
                return equal(&a.value, &b.value.clone().degrees(), fuel);
            }
            let in_base = |value: &Expression, factor: &BigRational| {
                Expression::Product(vec![value.clone(), Expression::Number(factor.clone())])
            };
            let same_unit = unit.powers == other.powers;
            Ok(same_unit && equal(&in_base(&a.value, &unit.factor), &in_base(&b.value, &other.factor), fuel)?)
        }
    }
}

/// A percentage against a plain number: the number it is, or, above one, the number before the sign, as a question for a percentage
/// leaves the sign out.
fn same_percent(percentage: &Quantity, plain: &Quantity, fuel: &Fuel) -> Result<bool, Failure> {
    if plain.unit.is_some() {
        return Ok(false);
    }
    let hundredth = Expression::Number(BigRational::new(BigInt::one(), BigInt::from(100)));
    let value = Expression::Product(vec![percentage.value.clone(), hundredth]);
    let is_large = exact_value(&plain.value, fuel).is_some_and(|value| value.abs() > BigRational::one());
    Ok(equal(&value, &plain.value, fuel)? || (is_large && equal(&percentage.value, &plain.value, fuel)?))
}

/// Whether some element is a set itself.
fn has_sets(items: &[Answer]) -> bool {
    items.iter().any(|item| matches!(item, Answer::Set(_)))
}

/// The letters of a list of options, sorted.
fn options(list: &[Answer]) -> Option<Vec<char>> {
    let letter = |item: &Answer| match item {
        Answer::Choice { letter, says: None } => Some(letter.to_ascii_uppercase()),
        _ => None,
    };
    let mut letters: Vec<char> = list.iter().map(letter).collect::<Option<_>>()?;
    letters.sort_unstable();
    Some(letters)
}

/// The letters of several options written as one run, `AC`, sorted.
fn run_of_options(answer: &Answer) -> Option<Vec<char>> {
    let Some(Expression::Variable(name)) = answer.as_formula() else { return None };
    let mut letters: Vec<char> = name.chars().collect();
    letters.sort_unstable();
    letters.iter().all(char::is_ascii_uppercase).then_some(letters)
}

/// Equations are the same if one is a multiple of the other, or if they give the same name the same value.
fn same_equation(a: &Equation, b: &Equation, fuel: &Fuel) -> Result<bool, Failure> {
    if let (Some(a), Some(b)) = (&a.difference, &b.difference)
        && proportional(a, b, Scale::Nonzero, fuel)?
    {
        return Ok(true);
    }
    let (Some(name), Some(other)) = (&a.label, &b.label) else { return Ok(false) };
    // A graph may be called y or f(x).
    let is_graph = |one: &str, other: &str| one == "y" && matches!(other, "f(x)" | "g(x)" | "h(x)");
    let same_name = name == other || is_graph(name, other) || is_graph(other, name);
    Ok(same_name && same(&a.value, &b.value, fuel)?)
}

/// Values by their names, in the order of the names, if all are named and no two names differ in their index alone.
fn by_name(items: &[Answer]) -> Option<Vec<(&str, &Answer)>> {
    let named: Option<Vec<_>> = items
        .iter()
        .map(|item| match item {
            Answer::Equation(Equation { label: Some(label), value, .. }) => Some((label.as_str(), &**value)),
            _ => None,
        })
        .collect();
    let mut named = named?;
    named.sort_by_key(|(name, _)| *name);
    let stem = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
    let distinct = named.windows(2).all(|pair| stem(pair[0].0) != stem(pair[1].0));
    distinct.then_some(named)
}

fn values<'a>(named: &[(&str, &'a Answer)]) -> Vec<&'a Answer> {
    named.iter().map(|(_, value)| *value).collect()
}

fn in_order(a: &[&Answer], b: &[&Answer], fuel: &Fuel) -> Result<bool, Failure> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !same(a, b, fuel)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_members(a: &[Answer], b: &[Answer], fuel: &Fuel) -> Result<bool, Failure> {
    matched(a, b, |a, b| same(a, b, fuel))
}

/// Whether every element of one has a partner of its own in the other.
fn matched<T>(a: &[T], b: &[T], same: impl Fn(&T, &T) -> Result<bool, Failure>) -> Result<bool, Failure> {
    if a.len() != b.len() {
        return Ok(false);
    }
    let mut free: Vec<&T> = b.iter().collect();
    for item in a {
        let mut partner = None;
        for (at, other) in free.iter().enumerate() {
            if same(item, other)? {
                partner = Some(at);
                break;
            }
        }
        match partner {
            Some(at) => free.remove(at),
            None => return Ok(false),
        };
    }
    Ok(true)
}

/// Whether each of `part` is among `whole`.
fn contains_all(whole: &[Answer], part: &[Answer], fuel: &Fuel) -> Result<bool, Failure> {
    for item in part {
        let mut found = false;
        for other in whole {
            if same(item, other, fuel)? {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

fn all_equal<'a>(pairs: impl Iterator<Item = (&'a Expression, &'a Expression)>, fuel: &Fuel) -> Result<bool, Failure> {
    for (a, b) in pairs {
        if !equal(a, b, fuel)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `a:b` and `c:d` are the same if `a·d = b·c`, and so on with the first part of each.
fn same_ratio(a: &[Expression], b: &[Expression], fuel: &Fuel) -> Result<bool, Failure> {
    let zero = Expression::integer(0);
    if equal(&a[0], &zero, fuel)? || equal(&b[0], &zero, fuel)? {
        return all_equal(a.iter().zip(b), fuel);
    }
    for (part, other) in a.iter().zip(b).skip(1) {
        let cross = |one: &Expression, two: &Expression| Expression::Product(vec![one.clone(), two.clone()]);
        if !equal(&cross(part, &b[0]), &cross(other, &a[0]), fuel)? {
            return Ok(false);
        }
    }
    Ok(true)
}
