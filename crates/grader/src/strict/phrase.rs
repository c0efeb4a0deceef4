//! English around and instead of mathematics.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::token::{Kind, Token, closing};
use super::{formula, unit};

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// How many a word of number makes of the number before it.
fn multiplier(word: &str) -> Option<i64> {
    Some(match word {
        "hundred" => 100,
        "thousand" => 1000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        "dozen" => 12,
        _ => return None,
    })
}

/// The denominator that a word names.
pub(super) fn part(word: &str) -> Option<i64> {
    Some(match word {
        "half" | "halves" => 2,
        "third" | "thirds" => 3,
        "quarter" | "quarters" | "fourth" | "fourths" => 4,
        "fifth" | "fifths" => 5,
        "sixth" | "sixths" => 6,
        "seventh" | "sevenths" => 7,
        "eighth" | "eighths" => 8,
        "ninth" | "ninths" => 9,
        "tenth" | "tenths" => 10,
        _ => return None,
    })
}

fn small(word: &str) -> Option<i64> {
    let index = |words: &[&str]| words.iter().position(|own| *own == word).and_then(|at| i64::try_from(at).ok());
    index(&SMALL).or_else(|| index(&TENS).map(|at| 20 + 10 * at))
}

fn lower(token: &Token) -> Option<String> {
    token.word().filter(|word| word.len() > 2).map(str::to_lowercase)
}

/// The tokens with numbers in words, `forty-two` or `5 million`, as numbers.
pub(super) fn with_numbers(tokens: &[Token]) -> Vec<Token> {
    let mut read = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (value, used) = number(&tokens[at..]);
        match value {
            Some(value) => {
                read.push(Token { kind: Kind::Number(value), ..tokens[at].clone() });
                at += used;
            }
            None => {
                read.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    read
}

/// The number in words at the start, or in digits with words behind it, and its length.
fn number(tokens: &[Token]) -> (Option<BigRational>, usize) {
    let whole = |value: i64| BigRational::from_integer(BigInt::from(value));
    let first = lower(&tokens[0]);
    let (mut value, mut at) = match (&tokens[0].kind, first.as_deref().and_then(small)) {
        (Kind::Number(value), _) => (value.clone(), 1),
        (_, Some(value)) => (whole(value), 1),
        _ if first.as_deref() == Some("half") && tokens.len() == 1 => return (Some(whole(1) / whole(2)), 1),
        _ => return (None, 0),
    };
    let is_spelled = first.is_some();
    let mut total = whole(0);
    while let Some(token) = tokens.get(at) {
        // Hyphens and an "and" go between words of one number.
        let hyphen = usize::from(is_spelled && token.is('-'));
        let and = usize::from(is_spelled && token.reads("and") && tokens[at - 1].reads("hundred"));
        let Some(word) = tokens.get(at + hyphen + and).and_then(lower) else { break };
        if let Some(times) = multiplier(&word).filter(|_| hyphen + and == 0) {
            value *= whole(times);
            if times >= 1000 {
                total += value;
                value = whole(0);
            }
        } else if let Some(more) = small(&word).filter(|_| is_spelled) {
            let last = (&value % whole(100)).to_integer();
            let after_tens = more < 10 && last >= BigInt::from(20) && last.clone() % 10 == BigInt::ZERO;
            let after_hundreds = last == BigInt::ZERO;
            if !after_tens && !after_hundreds {
                break;
            }
            value += whole(more);
        } else if let Some(parts) = part(&word).filter(|_| is_spelled && and == 0) {
            value /= whole(parts);
            at += 1 + hyphen;
            break;
        } else {
            break;
        }
        at += 1 + hyphen + and;
    }
    let total = total + value;
    // "two and a half"
    if let [and, one, piece, ..] = tokens.get(at..).unwrap_or_default()
        && is_spelled
        && and.reads("and")
        && (one.reads("a") || one.reads("one"))
        && let Some(parts) = lower(piece).as_deref().and_then(part)
    {
        return (Some(total + whole(1) / whole(parts)), at + 3);
    }
    (Some(total), at)
}

/// The answer without a lead-in such as `The answer is` or `Answer:`, and without an "about" sign.
pub(super) fn without_lead(mut tokens: &[Token]) -> &[Token] {
    const BEFORE: [&str; 11] =
        ["the", "final", "correct", "right", "best", "my", "our", "so", "therefore", "thus", "hence"];
    let reads = |token: &Token, words: &[&str]| words.iter().any(|word| token.reads(word));
    const THEREFORE: [&str; 4] = ["so", "therefore", "thus", "hence"];
    let before = tokens.iter().take_while(|token| reads(token, &BEFORE) || token.is(',')).count();
    if let Some([noun, verb, rest @ ..]) = tokens.get(before..)
        && reads(noun, &["answer", "ans", "option", "choice", "答案"])
        && (verb.is_any(":=") || reads(verb, &["is", "是", "为"]))
        && !rest.is_empty()
    {
        tokens = rest;
    }
    if let [word, comma, rest @ ..] = tokens
        && reads(word, &THEREFORE)
        && comma.is(',')
        && !rest.is_empty()
    {
        tokens = rest;
    }
    const ABOUT: [&str; 9] =
        ["only", "about", "approximately", "approx", "roughly", "around", "exactly", "is", "equals"];
    let is_value = |token: &Token| !matches!(token.kind, Kind::Word(_) | Kind::Symbol(_));
    if let [first, rest @ ..] = tokens
        && (first.reads("either") || first.reads("both"))
        && rest.iter().any(|token| token.reads(if first.reads("either") { "or" } else { "and" }))
        && rest.first().is_some_and(is_value)
    {
        tokens = rest;
    }
    loop {
        match tokens {
            [first, rest @ ..] if first.is_any("≈=:∴→") => tokens = rest,
            [first, rest @ ..] if first.is_any("∼≅") && rest.first().is_some_and(is_value) => tokens = rest,
            [first, rest @ ..] if reads(first, &ABOUT) && rest.first().is_some_and(is_value) => tokens = rest,
            _ => return tokens,
        }
    }
}

/// The answer without a remark in brackets behind it, as in `2.45 (approx.)`, or with its unit out of them, as in `12 (cm)`.
pub(super) fn without_remark(tokens: &[Token]) -> Option<Vec<Token>> {
    const REMARKS: [&str; 7] = ["approximately", "approx", "exact", "exactly", "rounded", "estimated", "total"];
    let open = tokens.iter().rposition(|token| token.is('(')).filter(|at| *at > 0 && tokens[*at].spaced)?;
    let (value, [_, inner @ .., _]) = tokens.split_at(open) else { return None };
    if !tokens.last()?.is(')') || closing(tokens, open)? + 1 < tokens.len() {
        return None;
    }
    if let [remark, rest @ ..] = inner
        && REMARKS.iter().any(|word| remark.reads(word))
        && rest.iter().all(|token| token.is('.'))
    {
        return Some(value.to_vec());
    }
    let is_unit = matches!(value.last()?.kind, Kind::Number(_))
        && inner.first()?.word().is_some_and(|word| word.chars().count() > 1)
        && unit::read(inner).is_some();
    is_unit.then(|| [value, inner].concat())
}

/// Whether a word is the end of an ordinal number, as in `3rd`.
fn is_ordinal(number: &Token, word: &str) -> bool {
    matches!(number.kind, Kind::Number(_)) && matches!(&*word.to_lowercase(), "st" | "nd" | "rd" | "th")
}

/// Whether an answer is a place in an order, which is no number.
pub(super) fn is_rank(tokens: &[Token]) -> bool {
    matches!(tokens, [number, end] if end.word().is_some_and(|end| is_ordinal(number, end)))
}

/// An ordinal number that is written out, in the form `3th`.
fn spelled_ordinal(word: &str) -> Option<String> {
    const ORDINALS: [&str; 12] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
        "twelfth",
    ];
    let at = ORDINALS.iter().position(|own| word.eq_ignore_ascii_case(own))?;
    Some(format!("{}th", at + 1))
}

/// The answer as plain lower-case words.
pub(super) fn text(mut tokens: &[Token]) -> String {
    if let [open, inner @ .., close] = tokens
        && (open.is('(') && close.is(')') || open.is('[') && close.is(']'))
        && closing(tokens, 0) == Some(tokens.len() - 1)
    {
        tokens = inner;
    }
    let are_words = tokens.iter().all(|token| token.word().is_some() || token.is_any("-'\".,!?_"));
    let mut words = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Word(word) if at > 0 && is_ordinal(&tokens[at - 1], word) => {}
            Kind::Word(word) if spelled_ordinal(word).is_some() => words.extend(spelled_ordinal(word)),
            Kind::Word(word) if word.chars().count() == 1 && !are_words => words.push(word.clone()),
            Kind::Word(word) => {
                let word = word.to_lowercase();
                let is_article = word == "the" || ((word == "a" || word == "an") && at == 0 && tokens.len() > 1);
                if !(are_words && is_article) {
                    words.push(word);
                }
            }
            Kind::Symbol(name) => words.push(name.clone()),
            Kind::Number(value) => {
                let next = tokens.get(at + 1).and_then(Token::word);
                let end = if next.is_some_and(|word| is_ordinal(token, word)) { "th" } else { "" };
                words.push(format!("{value}{end}"));
            }
            Kind::Sign('-') if are_words && at > 0 && at + 1 < tokens.len() => words.push("-".to_owned()),
            Kind::Sign('-' | '"' | '\'' | '.' | '?' | '_') if are_words => {}
            Kind::Sign('!') if at + 1 == tokens.len() && are_words => {}
            Kind::Sign('{' | '}') => {}
            Kind::Sign(sign) => words.push(sign.to_string()),
            other => words.push(format!("{other:?}")),
        }
    }
    words.join(" ")
}

/// Whether two texts are the same, with or without hyphens in their words.
pub(super) fn same(a: &str, b: &str) -> bool {
    let joined = |text: &str| text.replace(['-', ' '], "");
    let is_missing = |text: &str| matches!(text, "dne" | "does not exist");
    a == b || (is_missing(a) && is_missing(b)) || ((a.contains('-') || b.contains('-')) && joined(a) == joined(b))
}

/// Whether both are one word, whatever its case. Two letters may be variables, so they count only as English words.
pub(super) fn same_word(a: &[Token], b: &[Token]) -> bool {
    let ([a], [b]) = (a, b) else { return false };
    let (Some(a), Some(b)) = (a.word(), b.word()) else { return false };
    let lower = a.to_lowercase();
    lower == b.to_lowercase() && (lower.chars().count() > 2 || formula::is_word(&lower))
}

/// Whether the words say that there is nothing.
pub(super) fn is_nothing(text: &str) -> bool {
    matches!(
        text,
        "no solution" | "no solutions" | "no real solution" | "no real solutions" | "no solution exists" | "empty set"
    ) || matches!(text, "no roots" | "no real roots" | "there is no solution" | "there are no solutions")
}

/// Whether the words say that it may be any number.
pub(super) fn is_everything(text: &str) -> bool {
    matches!(text, "all real numbers" | "all reals" | "any real number" | "all real x" | "all real values")
}
