//! Equations, inequalities and what lies between two ends.

use num_traits::{Signed, Zero};

use super::answer::{Answer, Equation, Interval};
use super::formula;
use super::line::{Part, around, everything, meet, union};
use super::reader::Reader;
use super::symbol;
use super::token::{Kind, Token, closing, split, top_level};
use crate::algebra::{Constant, Expression, Function, equal, exact_value};
use crate::fuel::{Failure, Fuel};

/// Signs that relate two sides.
const RELATIONS: &str = "=<>≤≥≠≈∈";

fn is_relation(token: &Token) -> bool {
    token.is_any(RELATIONS) || ["is", "equals", "are"].iter().any(|verb| token.reads(verb) && token.spaced)
}

fn sign(token: &Token) -> char {
    match token.kind {
        Kind::Sign(sign) => sign,
        _ => '=',
    }
}

/// Reads a relation; `None` if there is no sign of one.
pub(super) fn read(reader: &mut Reader, tokens: &[Token]) -> Option<Result<Answer, Failure>> {
    let places = top_level(tokens, is_relation);
    if places.is_empty() {
        return None;
    }
    let signs: Vec<char> = places.iter().map(|at| sign(&tokens[*at])).collect();
    let mut sides = split(tokens, is_relation);
    if sides.iter().any(|side| side.is_empty()) {
        return Some(Err(Failure::Unread));
    }
    if tokens[places[0]].word().is_some() && rejects(sides[0], sides[1]) {
        return Some(Err(Failure::Unread));
    }
    if let Some(at) = signs.iter().position(|sign| *sign == '≈') {
        // What follows an "about" only restates a value that is there already.
        let has_value = at > 0 || label(sides[0]).is_none();
        if has_value {
            return Some(reader.answer(&tokens[..places[at]]));
        }
        sides.truncate(2);
        return Some(equation(reader, &sides));
    }
    Some(match signs[..] {
        ['∈'] => match label(sides[0]) {
            Some(_) => reader.answer(sides[1]),
            None => Err(Failure::Unread),
        },
        _ if signs.iter().all(|sign| *sign == '=') => equation(reader, &sides),
        ['≠'] => {
            let (side, other) = (formula::read(sides[0]), formula::read(sides[1]));
            side.and_then(|side| excluded(side, other?))
        }
        _ if signs.iter().all(|sign| "<≤".contains(*sign)) => inequality(&sides, &signs, &reader.fuel),
        _ if signs.iter().all(|sign| ">≥".contains(*sign)) => {
            sides.reverse();
            inequality(
                &sides,
                &signs.iter().rev().map(|sign| if *sign == '>' { '<' } else { '≤' }).collect::<Vec<_>>(),
                &reader.fuel,
            )
        }
        _ => Err(Failure::Unread),
    })
}

/// Whether `5 is …` says more of a value than whose it is: `5 is wrong`.
fn rejects(value: &[Token], said: &[Token]) -> bool {
    const PLAIN: [&str; 5] = ["the", "our", "my", "correct", "right"];
    const AGAINST: [&str; 5] = ["wrong", "incorrect", "not", "invalid", "false"];
    let reads = |token: &Token, words: &[&str]| words.iter().any(|word| token.reads(word));
    let is_value = formula::read(value).is_ok_and(|value| value.variables().is_empty());
    let is_plain = said[0].word().is_none_or(|word| word.chars().count() == 1) || reads(&said[0], &PLAIN);
    is_value && (!is_plain || said.iter().any(|token| reads(token, &AGAINST)))
}

fn equation(reader: &mut Reader, sides: &[&[Token]]) -> Result<Answer, Failure> {
    let formula = |side| formula::read(side).ok();
    let names = label(sides[0]);
    if let [left, right] = sides {
        let difference = formula(left).zip(formula(right)).map(|(left, right)| left.minus(right));
        if names.is_none()
            && let Some(name) = label(right)
            && formula(left).is_some_and(|left| left.variables().is_empty())
        {
            let value = Box::new(reader.answer(left)?);
            return Ok(Answer::Equation(Equation { label: Some(name), value, difference }));
        }
        let value = reader.answer(right)?;
        if names.is_some() || (difference.is_some() && !values_agree(reader, left, &value)?) {
            return Ok(Answer::Equation(Equation { label: names, value: Box::new(value), difference }));
        }
        return if values_agree(reader, left, &value)? { reader.answer(left) } else { Err(Failure::Unread) };
    }
    // A chain says one value in several ways, or it says nothing.
    let rest = if names.is_some() { &sides[1..] } else { sides };
    let value = reader.answer(rest[0])?;
    for side in &rest[1..] {
        if !values_agree(reader, side, &value)? {
            return Err(Failure::Unread);
        }
    }
    let Some(label) = names else { return Ok(value) };
    let difference = formula(sides[0]).zip(formula(rest[0])).map(|(left, right)| left.minus(right));
    Ok(Answer::Equation(Equation { label: Some(label), value: Box::new(value), difference }))
}

fn values_agree(reader: &mut Reader, side: &[Token], value: &Answer) -> Result<bool, Failure> {
    let side = reader.answer(side)?;
    Ok(super::compare::same(&side, value, &reader.fuel).unwrap_or(false))
}

/// The one name that `tokens` are, if they only name something: `x`, `f(x)`, `\angle A`, `AB`, `Area of ABC`.
pub(super) fn label(tokens: &[Token]) -> Option<String> {
    let mut letters = 0;
    let mut words = 0;
    let mut has_segment = false;
    let mut at = 0;
    let whole_bracket =
        tokens.first().is_some_and(|first| first.is('(')) && closing(tokens, 0) == Some(tokens.len() - 1);
    if whole_bracket && tokens.len() < 4 {
        return None;
    }
    while !whole_bracket && at < tokens.len() {
        let token = &tokens[at];
        match &token.kind {
            Kind::Symbol(_) => letters += 1,
            Kind::Word(word) if matches!(&**word, "e" | "i" | "pi" | "sqrt" | "ln" | "log" | "exp" | "abs" | "lg") => {
                return None;
            }
            Kind::Word(word) if symbol::is_function(word) => words += 1,
            Kind::Word(word) if word.chars().count() == 1 => {
                let is_measure = tokens.get(at + 1).is_some_and(|next| next.is('∠'));
                letters += usize::from(!is_measure);
            }
            Kind::Word(word) if word.chars().all(|c| c.is_ascii_uppercase()) => {
                has_segment = true;
                letters += 1;
            }
            Kind::Word(word) if formula::is_word(word) || word.chars().count() > 2 => words += 1,
            Kind::Number(_) if at > 0 && tokens[at - 1].is('∠') => letters += 1,
            Kind::Sign('∠' | '△' | '|' | '\'') => {}
            Kind::Sign('(')
                if at > 0 && (tokens[at - 1].word().is_some() || matches!(tokens[at - 1].kind, Kind::Symbol(_))) =>
            {
                at = closing(tokens, at)?;
            }
            _ => return None,
        }
        at += 1;
    }
    let has_bars = tokens.iter().any(|token| token.is('|'));
    let names_one = words > 0 || letters == 1 || whole_bracket;
    let kinds = tokens.iter().map(|token| &token.kind).collect::<Vec<_>>();
    (names_one && (!has_bars || has_segment)).then(|| match kinds[..] {
        [Kind::Word(name) | Kind::Symbol(name)] => name.clone(),
        [Kind::Word(name), Kind::Sign('('), Kind::Word(of), Kind::Sign(')')] => format!("{name}({of})"),
        _ => format!("{kinds:?}"),
    })
}

fn inequality(sides: &[&[Token]], signs: &[char], fuel: &Fuel) -> Result<Answer, Failure> {
    let sides: Result<Vec<Expression>, Failure> = sides.iter().map(|side| formula::read(side)).collect();
    let sides = sides?;
    let infinity = Expression::Constant(Constant::Infinity);
    let is_open = |at: usize| signs[at] == '<';
    let region = |variable: &str, low: Expression, is_low_open, high: Expression, is_high_open| Answer::Region {
        variable: Some(variable.to_owned()),
        intervals: vec![Interval { low, is_low_open, high, is_high_open }],
    };
    match &sides[..] {
        [Expression::Variable(name), high] if high.variables().is_empty() => {
            Ok(region(name, infinity.negated(), true, high.clone(), is_open(0)))
        }
        [low, Expression::Variable(name)] if low.variables().is_empty() => {
            Ok(region(name, low.clone(), is_open(0), infinity, true))
        }
        [small, large] => {
            let difference = small.clone().minus(large.clone());
            if let Some((name, root, rises)) = linear(&difference, fuel) {
                return Ok(if rises {
                    region(&name, infinity.negated(), true, root, is_open(0))
                } else {
                    region(&name, root, is_open(0), infinity, true)
                });
            }
            if difference.variables().is_empty() {
                return Err(Failure::Unread);
            }
            let around_zero = within(small, large, is_open(0), fuel).or_else(|| beyond(small, large, is_open(0), fuel));
            Ok(around_zero.unwrap_or(Answer::Inequality { difference, is_strict: is_open(0) }))
        }
        [low, Expression::Variable(name), high] if low.variables().is_empty() && high.variables().is_empty() => {
            Ok(region(name, low.clone(), is_open(0), high.clone(), is_open(1)))
        }
        _ => Err(Failure::Unread),
    }
}

/// Where a linear formula is below zero, or not above it.
fn below_zero(formula: &Expression, is_open: bool, fuel: &Fuel) -> Option<Part> {
    let (name, root, rises) = linear(formula, fuel)?;
    let Interval { low, high, .. } = everything();
    let interval = if rises {
        Interval { low, is_low_open: true, high: root, is_high_open: is_open }
    } else {
        Interval { low: root, is_low_open: is_open, high, is_high_open: true }
    };
    Some((Some(name), vec![interval]))
}

/// The formula between bars.
fn inside_bars(formula: &Expression) -> Option<&Expression> {
    match formula {
        Expression::Call(Function::Absolute, arguments) => arguments.first(),
        _ => None,
    }
}

/// `|x - 1| < 2`.
fn within(small: &Expression, large: &Expression, is_open: bool, fuel: &Fuel) -> Option<Answer> {
    let inner = inside_bars(small)?;
    let under = below_zero(&inner.clone().minus(large.clone()), is_open, fuel)?;
    let over = below_zero(&inner.clone().negated().minus(large.clone()), is_open, fuel)?;
    meet(&[under, over], fuel)
}

/// `|x - 1| > 2`.
fn beyond(small: &Expression, large: &Expression, is_open: bool, fuel: &Fuel) -> Option<Answer> {
    let inner = inside_bars(large)?;
    let over = below_zero(&small.clone().minus(inner.clone()), is_open, fuel)?;
    let under = below_zero(&small.clone().minus(inner.clone().negated()), is_open, fuel)?;
    union(&[under, over])
}

/// The only variable of a linear formula with rational coefficients, where it is zero, and whether it rises.
fn linear(formula: &Expression, fuel: &Fuel) -> Option<(String, Expression, bool)> {
    let names: Vec<String> = formula.variables().into_iter().map(str::to_owned).collect();
    let [name] = &names[..] else { return None };
    let at = |value: i64| exact_value(&formula.with(name, &Expression::integer(value)), fuel);
    let (start, slope) = (at(0)?, at(1)? - at(0)?);
    let line = Expression::Sum(vec![
        Expression::Product(vec![Expression::Number(slope.clone()), Expression::Variable(name.clone())]),
        Expression::Number(start.clone()),
    ]);
    let is_linear = !slope.is_zero() && equal(formula, &line, fuel) == Ok(true);
    is_linear.then(|| (name.clone(), Expression::Number(-start / &slope), slope.is_positive()))
}

/// Everything but one value.
fn excluded(side: Expression, other: Expression) -> Result<Answer, Failure> {
    match (side, other) {
        (Expression::Variable(name), value) | (value, Expression::Variable(name)) if value.variables().is_empty() => {
            Ok(Answer::Region { variable: Some(name), intervals: around(value) })
        }
        _ => Err(Failure::Unread),
    }
}
