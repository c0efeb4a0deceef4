//! Numbers, and what they are numbers of.

use num_rational::BigRational;

use super::answer::{Answer, Quantity};
use super::token::{Kind, Token};
use super::unit::Unit;
use super::{formula, symbol, unit};
use crate::algebra::Expression;
use crate::fuel::Failure;

pub(super) fn ratio(sides: &[&[Token]], last: Option<&Token>) -> Result<Answer, Failure> {
    let parts: Result<Vec<Expression>, Failure> = sides.iter().map(|side| formula::read(side)).collect();
    let parts = parts?;
    let limit = |at: usize, below: u64| {
        let value = parts.get(at).and_then(formula::literal);
        value.is_some_and(|value| {
            value.is_integer() && formula::literal(&formula::whole(below)).is_some_and(|b| value < b)
        })
    };
    let is_long = last.is_some_and(|last| matches!(&last.kind, Kind::Number(value) if value.is_integer()));
    let is_clock = is_long && (2..=3).contains(&parts.len()) && limit(0, 25) && limit(1, 60) && !limit(1, 10);
    Ok(Answer::Ratio { parts, is_clock })
}

/// `2 hours and 30 minutes`: whole numbers of ever smaller units of one kind, together.
pub(super) fn measured_in_parts(tokens: &[Token]) -> Option<Quantity> {
    let is_number = |token: &Token| matches!(token.kind, Kind::Number(_));
    let starts: Vec<usize> = (0..tokens.len()).filter(|at| is_number(&tokens[*at])).collect();
    if !(2..=3).contains(&starts.len()) || starts[0] != 0 {
        return None;
    }
    let mut parts: Vec<(BigRational, Unit)> = Vec::new();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(tokens.len());
        let (Kind::Number(count), name) = (&tokens[*start].kind, &tokens[start + 1..end]) else { return None };
        let name = match name {
            [name @ .., and] if and.reads("and") && end < tokens.len() => name,
            name => name,
        };
        parts.push((count.clone(), unit::read(name)?));
    }
    let descend = parts.windows(2).all(|pair| {
        let [(whole, unit), (_, next)] = pair else { return false };
        whole.is_integer() && unit.powers == next.powers && unit.factor > next.factor
    });
    let unit = parts.first()?.1.clone();
    let total = parts.iter().map(|(count, unit)| count * &unit.factor).sum::<BigRational>() / &unit.factor;
    descend.then_some(Quantity { value: Expression::Number(total), unit: Some(unit), percent: false, as_formula: None })
}

pub(super) fn quantity(tokens: &[Token]) -> Result<Quantity, Failure> {
    let plain = |value| Quantity { value, unit: None, percent: false, as_formula: None };
    if let [rest @ .., last] = tokens
        && (last.is('%') || last.reads("percent"))
    {
        return Ok(Quantity { percent: true, ..plain(formula::read(rest)?) });
    }
    let price = tokens.iter().position(|token| token.is_any("$£€¥")).filter(|at| *at <= 1 && tokens.len() > at + 1);
    if let Some(at) = price {
        let mut rest = tokens.to_vec();
        let sign = rest.remove(at);
        let currency = unit::read(&[sign]);
        if let Some((at, rate)) = unit::at_end(&rest)
            && rest[at].is('/') | rest[at].reads("per")
        {
            let unit = currency.map(|currency| currency.times(rate));
            return Ok(Quantity { unit, ..plain(formula::read(&rest[..at])?) });
        }
        return Ok(Quantity { unit: currency, ..plain(formula::read(&rest)?) });
    }
    let has_function = tokens.iter().any(|token| token.word().is_some_and(symbol::is_function));
    let is_degree_at =
        |at: usize| tokens[at].is('°') && !tokens.get(at + 1).is_some_and(|next| next.reads("C") || next.reads("F"));
    if !has_function && (0..tokens.len()).any(is_degree_at) {
        // Without a sine of it, an angle is a number of degrees, in every term.
        let bare: Vec<Token> = (0..tokens.len()).filter(|at| !is_degree_at(*at)).map(|at| tokens[at].clone()).collect();
        return Ok(Quantity { unit: unit::read(&[Token::sign('°')]), ..plain(formula::read(&bare)?) });
    }
    if !has_function
        && let Some((at, unit)) = unit::at_end(tokens)
        && let Ok(value) = formula::read(&tokens[..at])
    {
        return Ok(Quantity { value, unit: Some(unit), percent: false, as_formula: formula::read(tokens).ok() });
    }
    // Words are words, not products of names.
    let is_greek = |word: &str| matches!(word, "alpha" | "beta" | "gamma" | "theta" | "infinity" | "inf");
    let is_long = |token: &Token| token.word().is_some_and(|word| word.chars().count() > 2 && !is_greek(word));
    let is_lower = |token: &Token| token.word().is_some_and(|word| word.chars().any(char::is_lowercase));
    let is_word = |token: &Token| token.word().is_some() || token.is_any("()[]!");
    let are_words = !has_function && tokens.iter().all(is_word) && tokens.iter().any(is_long);
    if are_words && (tokens.len() > 1 || tokens.iter().any(is_lower)) {
        return Err(Failure::Unread);
    }
    Ok(plain(formula::read(tokens)?))
}
