//! Writings that stand for others.

use super::token::{Kind, Token};

/// The tokens with signs for what was spelled in words or letters: `minus 5`, `3 x 10^2`, `(0,1) U (2,3)`, `<1,2>`.
pub(super) fn with_signs(tokens: &[Token]) -> Vec<Token> {
    let mut read: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let (kind, used) = sign(read.last(), &tokens[at..]).unwrap_or_else(|| (tokens[at].kind.clone(), 1));
        read.push(Token { kind, ..tokens[at].clone() });
        at += used;
    }
    with_angles(read)
}

/// The sign at the start of `rest` that is spelled out, and how many tokens spell it.
fn sign(before: Option<&Token>, rest: &[Token]) -> Option<(Kind, usize)> {
    let is_number = |token: &Token| matches!(token.kind, Kind::Number(_));
    let follows = |signs: &str| before.is_some_and(|token| token.is_any(signs));
    match rest {
        [per, cent, ..] if per.reads("per") && cent.reads("cent") => Some((Kind::Word("percent".to_owned()), 2)),
        [union, next, ..] if union.word() == Some("U") && follows(")]⦄") && next.is_any("([⦃") => {
            Some((Kind::Sign('∪'), 1))
        }
        [times, ten, power, ..]
            if times.reads("x") && before.is_some_and(is_number) && ten.whole() == Some(10) && power.is('^') =>
        {
            Some((Kind::Sign('*'), 1))
        }
        [is, comparison, than, or, equal, to, ..]
            if is.reads("is") && than.reads("than") && or.reads("or") && equal.reads("equal") && to.reads("to") =>
        {
            let sign = compared(comparison)?;
            Some((Kind::Sign(if sign == '>' { '≥' } else { '≤' }), 6))
        }
        [is, comparison, than, ..] if is.reads("is") && than.reads("than") => {
            Some((Kind::Sign(compared(comparison)?), 3))
        }
        [is, at, bound, ..] if is.reads("is") && at.reads("at") && (bound.reads("least") || bound.reads("most")) => {
            Some((Kind::Sign(if bound.reads("least") { '≥' } else { '≤' }), 3))
        }
        [figure, name, ..]
            if (figure.reads("triangle") || figure.reads("angle"))
                && name.word().is_some_and(|name| name.len() == 3 && name.chars().all(char::is_uppercase)) =>
        {
            Some((Kind::Sign(if figure.reads("angle") { '∠' } else { '△' }), 1))
        }
        [minus, value, ..]
            if (minus.reads("minus") || (minus.reads("negative") && (before.is_none() || follows("=(,[⦃"))))
                && (is_number(value) || matches!(value.kind, Kind::Fraction | Kind::Root)) =>
        {
            Some((Kind::Sign('-'), 1))
        }
        _ => None,
    }
}

/// The sign of `greater` or `less`.
fn compared(word: &Token) -> Option<char> {
    let reads = |words: [&str; 3]| words.iter().any(|own| word.reads(own));
    if reads(["greater", "more", "larger"]) { Some('>') } else { reads(["less", "fewer", "smaller"]).then_some('<') }
}

/// Angle brackets for a less and a greater around a list.
fn with_angles(mut tokens: Vec<Token>) -> Vec<Token> {
    let count = |sign: char| tokens.iter().filter(|token| token.is(sign)).count();
    let is_vector = count('<') == 1 && count('>') == 1 && count(',') > 0;
    if let [first, .., last] = &mut tokens[..]
        && is_vector
        && first.is('<')
        && last.is('>')
    {
        first.kind = Kind::Sign('⟨');
        last.kind = Kind::Sign('⟩');
    }
    tokens
}
