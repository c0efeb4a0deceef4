//! Parts of the real line: unions of intervals.

use std::cmp::Ordering;

use super::answer::{Answer, Interval};
use crate::algebra::{Constant, Expression, equal, order};
use crate::fuel::{Failure, Fuel, MOST_ELEMENTS};

/// A part of the real line, and the variable it was said of.
pub(super) type Part = (Option<String>, Vec<Interval>);

fn infinity() -> Expression {
    Expression::Constant(Constant::Infinity)
}

pub(super) fn everything() -> Interval {
    Interval { low: infinity().negated(), is_low_open: true, high: infinity(), is_high_open: true }
}

/// The two intervals around a value.
pub(super) fn around(value: Expression) -> Vec<Interval> {
    let whole = everything();
    vec![Interval { high: value.clone(), ..whole.clone() }, Interval { low: value, ..whole }]
}

/// `(a, b]` as an interval; infinity belongs to none.
pub(super) fn interval(answer: &Answer) -> Option<Interval> {
    let Answer::Bracketed { open, close, items } = answer else { return None };
    let [low, high] = &items[..] else { return None };
    let (low, high) = (low.as_formula()?.clone(), high.as_formula()?.clone());
    let (is_low_open, is_high_open) = (*open == '(', *close == ')');
    let is_sound = |end: &Expression, is_open: bool| is_open || end.infinite_sign().is_none();
    (is_sound(&low, is_low_open) && is_sound(&high, is_high_open)).then_some(Interval {
        low,
        is_low_open,
        high,
        is_high_open,
    })
}

/// An answer that can only be an interval, by its brackets or an infinite end.
pub(super) fn evident_interval(answer: &Answer) -> Option<Part> {
    let found = interval(answer)?;
    let is_evident = found.is_low_open != found.is_high_open
        || found.low.infinite_sign().is_some()
        || found.high.infinite_sign().is_some();
    is_evident.then(|| (None, vec![found]))
}

/// An answer as a part of the line: an interval, several, or single numbers in braces.
pub(super) fn part(answer: &Answer) -> Option<Part> {
    let point = |item: &Answer| {
        let value = item.as_formula()?.clone();
        Some(Interval { low: value.clone(), is_low_open: false, high: value, is_high_open: false })
    };
    match answer {
        Answer::Region { variable, intervals } => Some((variable.clone(), intervals.clone())),
        Answer::Set(items) => Some((None, items.iter().map(point).collect::<Option<_>>()?)),
        other => Some((None, vec![interval(other)?])),
    }
}

/// The variable that all parts are of; the outer `None` if there are two.
fn variable(parts: &[Part]) -> Option<Option<String>> {
    let mut names = parts.iter().filter_map(|(name, _)| name.as_ref());
    let first = names.next();
    names.all(|name| Some(name) == first).then(|| first.cloned())
}

/// What lies in any of the parts.
pub(super) fn union(parts: &[Part]) -> Option<Answer> {
    let intervals: Vec<Interval> = parts.iter().flat_map(|(_, intervals)| intervals.iter().cloned()).collect();
    let variable = variable(parts)?;
    (intervals.len() <= MOST_ELEMENTS).then_some(Answer::Region { variable, intervals })
}

/// What lies in all of the parts; `None` if that is nothing, or if their ends have no order.
pub(super) fn meet(parts: &[Part], fuel: &Fuel) -> Option<Answer> {
    let variable = variable(parts)?;
    let mut left = vec![everything()];
    for (_, intervals) in parts {
        let mut both = Vec::new();
        for one in &left {
            for other in intervals {
                let low = larger(low(one), low(other), fuel).ok()?;
                let high = smaller(high(one), high(other), fuel).ok()?;
                if compare(low, high, fuel).ok()? == Ordering::Less {
                    both.push(between(low, high));
                }
            }
        }
        left = both;
    }
    (!left.is_empty() && left.len() <= MOST_ELEMENTS).then_some(Answer::Region { variable, intervals: left })
}

/// What lies in the first part and not in the second.
pub(super) fn without(part: Part, hole: &Part, fuel: &Fuel) -> Option<Answer> {
    let mut parts = vec![part];
    for interval in &hole.1 {
        let whole = everything();
        let before = between(low(&whole), low(interval));
        let after = between(high(interval), high(&whole));
        let outside =
            [before, after].into_iter().filter(|rest| compare(low(rest), high(rest), fuel) == Ok(Ordering::Less));
        parts.push((hole.0.clone(), outside.collect()));
    }
    meet(&parts, fuel)
}

/// Whether two unions of intervals are the same set of numbers. Where the ends have no order, the intervals are taken as they are
/// written.
pub(super) fn same(a: &[Interval], b: &[Interval], fuel: &Fuel) -> Result<bool, Failure> {
    match (merged(a, fuel), merged(b, fuel)) {
        (Ok(a), Ok(b)) => pairwise(&a, &b, fuel),
        (Err(Failure::Refused), _) | (_, Err(Failure::Refused)) => Err(Failure::Refused),
        _ => {
            let mut free: Vec<&Interval> = b.iter().collect();
            for one in a {
                let Some(at) = position(one, &free, fuel)? else { return Ok(false) };
                free.remove(at);
            }
            Ok(free.is_empty())
        }
    }
}

fn position(one: &Interval, among: &[&Interval], fuel: &Fuel) -> Result<Option<usize>, Failure> {
    for (at, other) in among.iter().enumerate() {
        if same_interval(one, other, fuel)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn pairwise(a: &[Interval], b: &[Interval], fuel: &Fuel) -> Result<bool, Failure> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !same_interval(a, b, fuel)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether two intervals have the same ends and the same kind of ends.
fn same_interval(a: &Interval, b: &Interval, fuel: &Fuel) -> Result<bool, Failure> {
    let is_open = |end: &Expression, open: bool| open || end.infinite_sign().is_some();
    let kinds = is_open(&a.low, a.is_low_open) == is_open(&b.low, b.is_low_open)
        && is_open(&a.high, a.is_high_open) == is_open(&b.high, b.is_high_open);
    Ok(kinds && equal(&a.low, &b.low, fuel)? && equal(&a.high, &b.high, fuel)?)
}

/// The intervals from left to right, none empty, and none touching the next.
fn merged(intervals: &[Interval], fuel: &Fuel) -> Result<Vec<Interval>, Failure> {
    let mut sorted: Vec<&Interval> = Vec::new();
    for interval in intervals {
        if compare(low(interval), high(interval), fuel)? != Ordering::Less {
            // An interval whose ends are turned around is a mistake, not the empty set.
            return Err(Failure::Undefined);
        }
        let mut at = sorted.len();
        while at > 0 && compare(low(interval), low(sorted[at - 1]), fuel)? == Ordering::Less {
            at -= 1;
        }
        sorted.insert(at, interval);
    }
    let mut merged: Vec<Interval> = Vec::new();
    for interval in sorted {
        match merged.last_mut() {
            Some(last) if compare(low(interval), high(last), fuel)? != Ordering::Greater => {
                *last = between(low(last), larger(high(last), high(interval), fuel)?);
            }
            _ => merged.push(interval.clone()),
        }
    }
    Ok(merged)
}

/// A place between numbers: just before a value, or just after it.
#[derive(Clone, Copy)]
struct Cut<'a> {
    value: &'a Expression,
    is_after: bool,
}

fn low(interval: &Interval) -> Cut<'_> {
    Cut { value: &interval.low, is_after: interval.is_low_open || interval.low.infinite_sign().is_some() }
}

fn high(interval: &Interval) -> Cut<'_> {
    Cut { value: &interval.high, is_after: !interval.is_high_open && interval.high.infinite_sign().is_none() }
}

fn between(low: Cut<'_>, high: Cut<'_>) -> Interval {
    Interval {
        low: low.value.clone(),
        is_low_open: low.is_after,
        high: high.value.clone(),
        is_high_open: !high.is_after,
    }
}

fn compare(a: Cut<'_>, b: Cut<'_>, fuel: &Fuel) -> Result<Ordering, Failure> {
    Ok(order(a.value, b.value, fuel)?.then(a.is_after.cmp(&b.is_after)))
}

fn larger<'a>(a: Cut<'a>, b: Cut<'a>, fuel: &Fuel) -> Result<Cut<'a>, Failure> {
    Ok(if compare(a, b, fuel)? == Ordering::Less { b } else { a })
}

fn smaller<'a>(a: Cut<'a>, b: Cut<'a>, fuel: &Fuel) -> Result<Cut<'a>, Failure> {
    Ok(if compare(a, b, fuel)? == Ordering::Less { a } else { b })
}
