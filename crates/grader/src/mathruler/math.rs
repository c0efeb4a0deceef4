//! The normal form of the MATH data set.

use std::borrow::Cow;

/// The normal form; where the released code stumbles over a text, the text itself.
pub(super) fn normalized(answer: &str) -> Cow<'_, str> {
    let answer = answer.trim();
    let answer = super::normal::unwrapped(answer).map_or(answer, str::trim);
    stripped(answer).map_or(Cow::Borrowed(answer), Cow::Owned)
}

fn stripped(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for (from, to) in [
        ("\n", ""),
        ("\\!", ""),
        ("\\\\", "\\"),
        ("tfrac", "frac"),
        ("dfrac", "frac"),
        ("\\left", ""),
        ("\\right", ""),
        ("^{\\circ}", ""),
        ("^\\circ", ""),
        ("\\$", ""),
    ] {
        text = text.replace(from, to);
    }
    // Units on the right.
    let parts: Vec<&str> = text.split("\\text{ ").collect();
    text = match parts[..] {
        [only] => only.to_owned(),
        [value, _] => value.to_owned(),
        _ => return None,
    };
    for (from, to) in [("\\%", ""), ("%", ""), (" .", " 0."), ("{.", "{0.")] {
        text = text.replace(from, to);
    }
    if text.is_empty() {
        return Some(text);
    }
    if text.starts_with('.') {
        text.insert(0, '0');
    }
    let sides: Vec<&str> = text.split('=').collect();
    if let [name, value] = sides[..]
        && name.chars().count() <= 2
    {
        text = value.to_owned();
    }
    text = with_braced_roots(&text)?;
    text = text.replace(' ', "");
    text = with_braced_fractions(&text)?;
    if text == "0.5" {
        text = "\\frac{1}{2}".to_owned();
    }
    Some(with_latex_fraction(text))
}

/// `\sqrt3` as `\sqrt{3}`.
fn with_braced_roots(text: &str) -> Option<String> {
    let mut parts = text.split("\\sqrt");
    let mut read = parts.next()?.to_owned();
    for part in parts {
        let first = part.chars().next()?;
        if first == '{' {
            read.push_str("\\sqrt");
            read.push_str(part);
        } else {
            read.push_str(&format!("\\sqrt{{{first}}}{}", &part[first.len_utf8()..]));
        }
    }
    Some(read)
}

/// `\frac12` as `\frac{1}{2}`.
fn with_braced_fractions(text: &str) -> Option<String> {
    let mut parts = text.split("\\frac");
    let mut read = parts.next()?.to_owned();
    for part in parts {
        read.push_str("\\frac");
        let mut chars = part.chars();
        let numerator = chars.next()?;
        if numerator == '{' {
            read.push_str(part);
            continue;
        }
        let Some(denominator) = chars.next() else { return Some(text.to_owned()) };
        let rest = chars.as_str();
        if denominator == '{' {
            read.push_str(&format!("{{{numerator}}}{{{rest}"));
        } else {
            read.push_str(&format!("{{{numerator}}}{{{denominator}}}{rest}"));
        }
    }
    Some(read)
}

/// `a/b` of two whole numbers as `\frac{a}{b}`.
fn with_latex_fraction(text: String) -> String {
    let is_whole = |part: &str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        let starts_well = !digits.starts_with('0') || part == "0";
        !digits.is_empty() && starts_well && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.split('/').collect::<Vec<_>>()[..] {
        [a, b] if is_whole(a) && is_whole(b) => format!("\\frac{{{a}}}{{{b}}}"),
        _ => text,
    }
}
