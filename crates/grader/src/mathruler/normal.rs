//! The normal form of PRM800K.

use super::latex;

const UNITS: [&str; 16] = [
    "degree",
    "cm",
    "centimeter",
    "meter",
    "mile",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "foot",
    "feet",
    "inch",
    "yard",
];

/// What stands in a `\text{…}` around the whole.
pub(super) fn unwrapped(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("\\text{")?;
    let inner = inner.strip_suffix("}\n").or_else(|| inner.strip_suffix('}'))?;
    (!inner.is_empty() && !inner.contains('\n')).then_some(inner)
}

pub(super) fn normalized(answer: &str) -> String {
    let mut text = unwrapped(answer).unwrap_or(answer).to_owned();
    for (from, to) in [
        ("\\%", "%"),
        ("\\$", "$"),
        ("$", ""),
        ("%", ""),
        (" or ", " , "),
        (" and ", " , "),
        ("million", "*10^6"),
        ("billion", "*10^9"),
        ("trillion", "*10^12"),
    ] {
        text = text.replace(from, to);
    }
    for unit in UNITS {
        text = without_unit(&text, unit);
    }
    text = without(&text, "^", "\\circ");
    if text.len() > 1 && text.starts_with('{') && text.ends_with('}') {
        text = text[1..text.len() - 1].to_owned();
    }
    text = without_spaced_commas(&text);
    if let Some(value) = float(&text)
        && is_near_whole(value)
    {
        text = format!("{:.0}", value.round());
    }
    if text == "-0" {
        text = "0".to_owned();
    }
    if text.contains('\\')
        && let Some(plain) = latex::plain_text(&text)
    {
        text = plain;
    }
    text = with_tight_minus(&text);
    text = with_sums_of_mixed_numbers(&text);
    text = text.chars().filter(|c| !matches!(c, ' ' | '{' | '}')).collect();
    text = text.to_lowercase();
    if is_whole(&text)
        && let Some(value) = float(&text.replace(',', ""))
    {
        text = format!("{:.0}", value.trunc());
        if text == "-0" {
            text = "0".to_owned();
        }
    }
    text
}

/// Without every `unit`, its plural and its power.
fn without_unit(text: &str, unit: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(unit) {
        read.push_str(&rest[..at]);
        rest = &rest[at + unit.len()..];
        rest = rest.strip_prefix("es").unwrap_or(rest);
        rest = rest.strip_prefix('s').unwrap_or(rest);
        rest = rest.trim_start_matches(' ');
        if let Some(power) = rest.strip_prefix('^')
            && power.starts_with(|c: char| c.is_ascii_digit())
        {
            rest = power.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    read.push_str(rest);
    read
}

/// Without every `head`, blanks and `tail` in a row.
fn without(text: &str, head: &str, tail: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(head) {
        let after = rest[at + head.len()..].trim_start_matches(' ');
        read.push_str(&rest[..at]);
        match after.strip_prefix(tail) {
            Some(after) => rest = after,
            None => {
                read.push_str(head);
                rest = &rest[at + head.len()..];
            }
        }
    }
    read.push_str(rest);
    read
}

/// Without every `,\!` and the blanks behind it.
fn without_spaced_commas(text: &str) -> String {
    let mut parts = text.split(",\\!");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |read, part| read + part.trim_start_matches(' '))
}

/// Without the blanks behind every minus.
fn with_tight_minus(text: &str) -> String {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |read, part| read + "-" + part.trim_start_matches(' '))
}

/// `3 1/2` as `3+1/2`: blanks between digits become a plus.
fn with_sums_of_mixed_numbers(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut read = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        read.push(chars[at]);
        if chars[at].is_ascii_digit() {
            let blanks = chars[at + 1..].iter().take_while(|c| **c == ' ').count();
            if blanks > 0 && chars.get(at + 1 + blanks).is_some_and(char::is_ascii_digit) {
                read.push('+');
                read.push(chars[at + 1 + blanks]);
                at += 1 + blanks;
            }
        }
        at += 1;
    }
    read
}

/// A number as Python's `float` reads it, full-width digits included.
fn float(text: &str) -> Option<f64> {
    let narrow = |c: char| if ('０'..='９').contains(&c) { char::from_u32(u32::from(c) - 0xfee0) } else { Some(c) };
    let text: String = text.trim().chars().filter_map(narrow).collect();
    let underscores_join_digits = text.char_indices().filter(|(_, c)| *c == '_').all(|(at, _)| {
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        is_digit(text.as_bytes().get(at + 1)) && at > 0 && is_digit(text.as_bytes().get(at - 1))
    });
    underscores_join_digits.then(|| text.replace('_', "").parse().ok())?
}

fn is_near_whole(value: f64) -> bool {
    value.is_finite() && (value - value.round()).abs() <= 1e-7
}

/// Whether the text is a number that is whole, or nearly.
pub(super) fn is_whole(text: &str) -> bool {
    float(&without_thousands(text)).is_some_and(is_near_whole)
}

/// Whether the text is a fraction of two whole numbers, give or take a character behind each.
pub(super) fn is_fraction(text: &str) -> bool {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let Some((numerator, denominator)) = text.split_once('/') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let but_last = |text: &str| -> String {
        let mut chars = text.chars();
        chars.next_back();
        chars.as_str().to_owned()
    };
    let numerator = numerator.strip_prefix('-').unwrap_or(numerator);
    let is_numerator = digits(numerator) || digits(&but_last(numerator));
    let is_denominator = |text: &str| digits(text) && text.bytes().any(|byte| byte != b'0');
    is_numerator && (is_denominator(denominator) || is_denominator(&but_last(denominator)))
}

/// Without the commas between groups of three digits, where the released pattern finds them.
pub(super) fn without_thousands(text: &str) -> String {
    let mut text: Vec<char> = text.chars().collect();
    loop {
        let mut read = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
            let fits = digit(at) && text.get(at + 1) == Some(&',') && (at + 2..at + 5).all(digit) && !digit(at + 5);
            if fits {
                read.push(text[at]);
                read.extend(text[at + 2..].iter().take(4));
                at += 6;
            } else {
                read.push(text[at]);
                at += 1;
            }
        }
        if read.len() == text.len() {
            return read.into_iter().collect();
        }
        text = read;
    }
}

/// The elements of a tuple or an interval, or the whole.
pub(super) fn elements(text: &str) -> Vec<String> {
    const ENDS: &str = "()[]";
    let text = without_thousands(text);
    let mut chars = text.chars();
    let (first, last) = (chars.next(), chars.next_back());
    let inner = chars.as_str();
    let is_end = |end: Option<char>| end.is_some_and(|end| ENDS.contains(end));
    if text.is_empty() {
        return Vec::new();
    }
    if is_end(first) && is_end(last) && !inner.is_empty() && !inner.contains(|c| ENDS.contains(c)) {
        return inner.split(',').map(|element| element.trim().to_owned()).collect();
    }
    vec![text]
}
