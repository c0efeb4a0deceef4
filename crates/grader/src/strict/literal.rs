//! Numbers in digits.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow};

use super::lexer::Grouping;
use crate::fuel::{Failure, MOST_DIGITS};

/// Largest power of ten in `1e…`.
const LARGEST_TEN: u32 = 400;

/// Reads the number at the start of `text`, which starts with a digit, or with a period and a digit.
///
/// Returns its value and how many characters it took. `may_group` says whether a bare comma may stand between groups of three
/// digits; `{,}` and `\,` always may.
///
/// # Errors
/// [`Failure::Refused`] for more digits than are read, [`Failure::Unread`] for digits that are no number.
pub(super) fn number(text: &[char], grouping: Grouping, may_group: bool) -> Result<(BigRational, usize), Failure> {
    let mut digits = run(text);
    let mut at = digits.len();
    if (1..=3).contains(&digits.len()) && digits != "0" && !(digits.starts_with('0') && digits.len() > 1) {
        let mut separator = None;
        while let Some((found, length)) = separator_at(&text[at..], grouping, may_group) {
            if separator.is_some_and(|separator| separator != found) {
                break;
            }
            let group = run(&text[at + length..]);
            if group.len() != 3 || (found == Separator::Blank && text.get(at + length + 3) == Some(&'/')) {
                break;
            }
            separator = Some(found);
            digits.push_str(&group);
            at += length + 3;
        }
    }
    let mut places = String::new();
    let mut repeating = String::new();
    if text.get(at) == Some(&'.')
        && text.get(at + 1).is_some_and(|next| next.is_ascii_digit() || matches!(next, '\\' | '('))
    {
        let tail = &text[at + 1..];
        places = run(tail);
        let (found, length) = repetition(&tail[places.len()..], &places);
        if !places.is_empty() || !found.is_empty() {
            at += 1 + places.len() + length;
            repeating = found;
            if text.get(at) == Some(&'.') && text.get(at + 1).is_some_and(char::is_ascii_digit) {
                return Err(Failure::Unread);
            }
        }
    }
    if digits.len() + places.len() + repeating.len() > MOST_DIGITS {
        return Err(Failure::Refused);
    }
    let parse = |digits: &str| if digits.is_empty() { Some(BigInt::ZERO) } else { digits.parse().ok() };
    let scale = |length: usize| BigInt::from(10).pow(length);
    let whole: BigInt = parse(&[&*digits, &*places].concat()).ok_or(Failure::Unread)?;
    let mut value = BigRational::new(whole, scale(places.len()));
    if !repeating.is_empty() {
        let cycle = parse(&repeating).ok_or(Failure::Unread)?;
        let nines = scale(repeating.len()) - BigInt::one();
        value += BigRational::new(cycle, nines * scale(places.len()));
    }
    if let Some((exponent, length)) = power_of_ten(&text[at..])? {
        let ten = BigRational::from_integer(BigInt::from(10));
        value *= ten.pow(exponent);
        at += length;
    }
    Ok((value, at))
}

/// The digits at the start.
fn run(text: &[char]) -> String {
    text.iter().take_while(|c| c.is_ascii_digit()).collect()
}

fn starts(text: &[char], with: &str) -> bool {
    with.chars().enumerate().all(|(at, c)| text.get(at) == Some(&c))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Comma,
    Group,
    Thin,
    Blank,
}

/// What may stand between groups of digits, and its length.
fn separator_at(text: &[char], grouping: Grouping, may_group: bool) -> Option<(Separator, usize)> {
    for (writing, separator) in [
        ("{,}", Separator::Group),
        (",\\!", Separator::Group),
        ("\\,", Separator::Thin),
        ("\\!", Separator::Thin),
        ("\\ ", Separator::Thin),
        ("\\;", Separator::Thin),
        ("\\:", Separator::Thin),
    ] {
        if starts(text, writing) {
            return Some((separator, writing.len()));
        }
    }
    match text.first()? {
        ',' if grouping == Grouping::Thousands && may_group => Some((Separator::Comma, 1)),
        ' ' | '~' if grouping == Grouping::Thousands && may_group => Some((Separator::Blank, 1)),
        _ => None,
    }
}

/// The digits that repeat without end, as `\overline{3}`, `\dot{3}`, `\dot{2}\dot{7}` or digits written again before an ellipsis.
fn repetition(text: &[char], places: &str) -> (String, usize) {
    for bar in ["\\overline{", "\\bar{", "\\dot{"] {
        if starts(text, bar) {
            let digits = run(&text[bar.len()..]);
            if text.get(bar.len() + digits.len()) == Some(&'}') && !digits.is_empty() {
                let length = bar.len() + digits.len() + 1;
                // Two dots stand over the first and the last digit.
                if bar == "\\dot{"
                    && let Some(rest) = text.get(length..).map(|rest| repetition(rest, ""))
                    && !rest.0.is_empty()
                    && starts(&text[length..], "\\dot{")
                {
                    return (digits + &rest.0, length + rest.1);
                }
                return (digits, length);
            }
        }
    }
    // `0.(3)`; behind other places a bracket could be a factor.
    if places.is_empty() && text.first() == Some(&'(') {
        let digits = run(&text[1..]);
        if text.get(1 + digits.len()) == Some(&')') && !digits.is_empty() {
            let length = digits.len() + 2;
            return (digits, length);
        }
    }
    for dots in ["...", "…", "\\ldots", "\\dots", "\\cdots"] {
        if starts(text, dots) {
            let digits = cycle(places);
            let length = if digits.is_empty() { 0 } else { dots.chars().count() };
            return (digits, length);
        }
    }
    (String::new(), 0)
}

/// The digits that have been written again and again at the end: one at least three times, more at least twice.
fn cycle(places: &str) -> String {
    let last = |length: usize| places.len().checked_sub(length).and_then(|at| places.get(at..));
    let repeats = |length: &usize| {
        let times = if *length == 1 { 3 } else { 2 };
        last(*length).zip(last(length * times)).is_some_and(|(once, all)| once.repeat(times) == all)
    };
    (1..=6).find(repeats).and_then(last).unwrap_or_default().to_owned()
}

/// The exponent in `e5` or `E-3`, and its length.
fn power_of_ten(text: &[char]) -> Result<Option<(i32, usize)>, Failure> {
    let Some('e' | 'E') = text.first() else { return Ok(None) };
    let sign = matches!(text.get(1), Some('+' | '-'));
    let digits = run(&text[1 + usize::from(sign)..]);
    let next = text.get(1 + usize::from(sign) + digits.len());
    if digits.is_empty() || next.is_some_and(|next| next.is_alphabetic()) {
        return Ok(None);
    }
    let exponent: u32 = digits.parse().map_err(|_| Failure::Refused)?;
    if exponent > LARGEST_TEN {
        return Err(Failure::Refused);
    }
    let exponent = i32::try_from(exponent).map_err(|_| Failure::Refused)?;
    let exponent = if text.get(1) == Some(&'-') { -exponent } else { exponent };
    Ok(Some((exponent, 1 + usize::from(sign) + digits.len())))
}
