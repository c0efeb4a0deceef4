//! When two answers are the same.

use std::ops::Neg;

use num_rational::Ratio;

/// Whether `given` says the same as `truth`.
///
/// Both are trimmed, and a `$…$` and then a `\text{…}` around the whole are taken off. They match if what is left
/// - is the same text, or
/// - are two words (letters, spaces, hyphens, apostrophes) that differ in case only, or
/// - are two numbers of exactly the same value.
///
/// A number is an integer (`7`, `1,000`), a decimal (`0.5`, `.5`) or a fraction of two integers (`1/2`, `\frac{1}{2}`, also
/// `\dfrac` and `\tfrac`), with signs. Numbers are compared as exact rationals: `0.333` is not `1/3`, and there is no tolerance.
/// A number whose digits or denominator leave 128 bits has no value and matches by text only. Units and percent signs stay part of
/// the text. An empty answer matches nothing, not even an empty truth.
///
/// # Departures
/// The released grader (the mathruler package) also proves formulas equal by computer algebra and drops units, and it wants
/// fractions reduced where this one takes any form of the value. It lets `0.333…` of ten places pass for `1/3`.
pub fn answers_match(given: &str, truth: &str) -> bool {
    let (given, truth) = (bare(given), bare(truth));
    !given.is_empty() && (given == truth || same_word(given, truth) || same_number(given, truth))
}

/// The answer without the blanks, the `$…$` and the `\text{…}` around it.
fn bare(answer: &str) -> &str {
    let answer = answer.trim();
    let answer = between(answer, "$", "$", |inner| !inner.contains('$')).unwrap_or(answer);
    between(answer, "\\text{", "}", |inner| !inner.contains(['{', '}'])).unwrap_or(answer)
}

/// What stands between `open` and `close`, trimmed, if they surround the text as one pair.
fn between<'a>(text: &'a str, open: &str, close: &str, is_one_pair: fn(&str) -> bool) -> Option<&'a str> {
    let inner = text.strip_prefix(open)?.strip_suffix(close)?;
    is_one_pair(inner).then(|| inner.trim())
}

/// Whether both are plain words, equal but for case.
fn same_word(given: &str, truth: &str) -> bool {
    let is_word = |text: &str| text.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\''));
    is_word(given) && is_word(truth) && given.to_lowercase() == truth.to_lowercase()
}

/// Whether both are numbers of the same value.
fn same_number(given: &str, truth: &str) -> bool {
    number(given).is_some_and(|given| number(truth) == Some(given))
}

/// Reads `a/b`, or a possibly signed `\frac{a}{b}` or decimal.
fn number(text: &str) -> Option<Ratio<i128>> {
    match text.split_once('/') {
        Some((numerator, denominator)) => ratio(numerator, denominator),
        None => signed(text, |text| match fraction_parts(text) {
            Some((numerator, denominator)) => ratio(numerator, denominator),
            None => decimal(text),
        }),
    }
}

/// Reads an optional sign and then a value with `read`.
fn signed<T: Neg<Output = T>>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    match text.strip_prefix('-') {
        Some(rest) => read(rest.trim_start()).map(T::neg),
        None => read(text.strip_prefix('+').unwrap_or(text).trim_start()),
    }
}

/// Reads two integers, each possibly signed, as a fraction.
fn ratio(numerator: &str, denominator: &str) -> Option<Ratio<i128>> {
    let numerator = signed(numerator.trim(), integer)?;
    let denominator = signed(denominator.trim(), integer)?;
    (denominator != 0).then(|| Ratio::new(numerator, denominator))
}

/// The two parts of `\frac{a}{b}`.
fn fraction_parts(text: &str) -> Option<(&str, &str)> {
    ["\\frac{", "\\dfrac{", "\\tfrac{"]
        .iter()
        .find_map(|open| text.strip_prefix(open))?
        .strip_suffix('}')?
        .split_once("}{")
}

/// Reads `12`, `1,234.5` or `.5`.
fn decimal(text: &str) -> Option<Ratio<i128>> {
    let (whole, places) = match text.split_once('.') {
        Some((whole, places)) if !places.is_empty() => (whole, places.trim_end_matches('0')),
        Some(_) => return None,
        None => (text, ""),
    };
    let whole = if whole.is_empty() && text.starts_with('.') { 0 } else { integer(whole)? };
    let scale = 10_i128.checked_pow(u32::try_from(places.len()).ok()?)?;
    let places = if places.is_empty() { 0 } else { digits(places)? };
    let scaled = whole.checked_mul(scale)?.checked_add(places)?;
    Some(Ratio::new(scaled, scale))
}

/// Reads digits, either without separators or in comma-separated groups of three.
fn integer(text: &str) -> Option<i128> {
    if !text.contains(',') {
        return digits(text);
    }
    let mut groups = text.split(',');
    let first = groups.next()?;
    let well_grouped = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    well_grouped.then(|| digits(&text.replace(',', "")))?
}

/// Reads ASCII digits and nothing else.
fn digits(text: &str) -> Option<i128> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::answers_match;

    #[test]
    fn same_values_match_in_any_writing() {
        let classes: [&[&str]; 7] = [
            &["1000", "1,000", "+1000", "1000.0", "1,000.00", "$1000$", " 01000 "],
            &[
                "1/2",
                "0.5",
                ".5",
                "0.5000000000000000000000000000000000000000",
                "2/4",
                "\\frac{1}{2}",
                "\\dfrac{-1}{-2}",
                "$\\tfrac{ 3 }{6}$",
                "1 / 2",
            ],
            &["-3", "- 3", "-3.0", "-6/2", "6/-2", "-\\frac{6}{2}"],
            &["0", "-0", "+0.0", "0/5", "-.0"],
            &["red", "Red", "RED", "\\text{red}", "$\\text{ Red }$"],
            &["x^2 + 1", "$x^2 + 1$"],
            &["dark blue", "Dark Blue"],
        ];
        for (at, class) in classes.iter().enumerate() {
            for given in *class {
                for truth in *class {
                    assert!(answers_match(given, truth), "{given} is {truth}");
                }
                for other in classes[at + 1..].iter().copied().flatten() {
                    assert!(!answers_match(given, other), "{given} is not {other}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_matches_by_text_only() {
        for (given, truth) in [
            ("0.333", "1/3"),
            ("0.3333333333", "1/3"),
            ("50%", "0.5"),
            ("50%", "50"),
            ("1,00", "100"),
            (",100", "100"),
            ("1.", "1"),
            (".", "0"),
            ("+-1", "-1"),
            ("--1", "1"),
            ("--1/2", "1/2"),
            ("1/0", "2/0"),
            ("1/2/3", "1/6"),
            ("X", "x+0"),
            ("A.", "A"),
            ("٣", "3"),
            ("$a$ or $b$", "a$ or $b"),
            ("\\text{a} or \\text{b}", "a} or \\text{b"),
            ("340282366920938463463374607431768211456", "0340282366920938463463374607431768211456"),
        ] {
            assert!(!answers_match(given, truth), "{given} is not {truth}");
            assert!(answers_match(given, given), "{given} is {given}");
        }
    }

    #[test]
    fn an_empty_answer_matches_nothing() {
        for empty in ["", " ", "$$", "$ $", "\\text{}", "$\\text{ }$"] {
            for truth in ["", " ", "5", "$$"] {
                assert!(!answers_match(empty, truth), "{empty:?} is not {truth:?}");
            }
        }
    }
}
