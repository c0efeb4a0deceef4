//! From text to tokens.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::literal;
use super::symbol;
use super::token::{Kind, Token};
use crate::fuel::{DEEPEST_NEST, Failure};

/// How a comma between digits is read where both are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    /// `1,000` is one thousand.
    Thousands,
    /// `100,200` is a hundred and two hundred.
    Separate,
}

/// Whether some comma could either group digits or part numbers.
pub(super) fn has_ambiguous_comma(text: &str) -> bool {
    text.as_bytes().windows(3).any(|w| w[0].is_ascii_digit() && w[1] == b',' && w[2].is_ascii_digit())
}

/// Cuts a text into tokens.
///
/// # Errors
/// [`Failure::Unread`] for a command that is not known or braces that never close, [`Failure::Refused`] for too deep a nest or a
/// number that is too long.
pub(super) fn tokens(text: &str, grouping: Grouping) -> Result<Vec<Token>, Failure> {
    let is_price = text.matches('$').count() - text.matches("\\$").count() == 1;
    let spread_commas = text.contains(", ");
    let chars: Vec<char> = text.chars().map(symbol::folded).collect();
    let mut lexer = Lexer { tokens: Vec::new(), grouping, is_price, spread_commas, spaced: false, brackets: 0 };
    lexer.text(&chars, false, 0)?;
    Ok(lexer.tokens)
}

struct Lexer {
    tokens: Vec<Token>,
    grouping: Grouping,
    /// Whether the only dollar sign is one of money.
    is_price: bool,
    /// Whether commas are followed by blanks, so that one without groups digits even in brackets.
    spread_commas: bool,
    spaced: bool,
    brackets: usize,
}

impl Lexer {
    fn push(&mut self, kind: Kind, prose: bool) {
        match kind {
            Kind::Sign('(' | '[' | '{' | '⦃' | '⟨') => self.brackets += 1,
            Kind::Sign(')' | ']' | '}' | '⦄' | '⟩') => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.tokens.push(Token { kind, spaced: self.spaced, prose, padded: false });
        self.spaced = false;
    }

    fn text(&mut self, text: &[char], prose: bool, depth: usize) -> Result<(), Failure> {
        if depth > DEEPEST_NEST {
            return Err(Failure::Refused);
        }
        let mut at = 0;
        while let Some(&c) = text.get(at) {
            at += match c {
                ' ' | '~' => {
                    self.spaced = true;
                    1
                }
                '\\' => self.command(&text[at..], prose, depth)?,
                '$' => {
                    if self.is_price {
                        self.push(Kind::Sign('$'), prose);
                    }
                    1
                }
                '0'..='9' => self.digits(&text[at..], prose)?,
                '.' if text.get(at + 1).is_some_and(char::is_ascii_digit) && !self.follows_option() => {
                    self.digits(&text[at..], prose)?
                }
                '^' => self.caret(&text[at..], prose),
                '*' if text.get(at + 1) == Some(&'*') => {
                    self.push(Kind::Sign('^'), prose);
                    2
                }
                '√' => {
                    self.push(Kind::Root, prose);
                    1
                }
                '∛' => {
                    [Kind::Root, Kind::Sign('['), Kind::Number(integer(3)), Kind::Sign(']')]
                        .into_iter()
                        .for_each(|kind| self.push(kind, prose));
                    1
                }
                '÷' => {
                    self.push(Kind::Sign('÷'), prose);
                    1
                }
                _ => self.other(c, &text[at..], prose, depth)?,
            };
        }
        Ok(())
    }

    fn other(&mut self, c: char, text: &[char], prose: bool, depth: usize) -> Result<usize, Failure> {
        if symbol::raised(c).is_some() {
            let raised: String = text.iter().map_while(|c| symbol::raised(*c)).collect();
            let length = raised.chars().count();
            self.push(Kind::Sign('^'), prose);
            self.push(Kind::Sign('{'), prose);
            self.text(&raised.chars().collect::<Vec<_>>(), prose, depth + 1)?;
            self.push(Kind::Sign('}'), prose);
            return Ok(length);
        }
        if let Some((numerator, denominator)) = symbol::vulgar(c) {
            let number = |value| Kind::Number(integer(value));
            self.push(Kind::Fraction, prose);
            for kind in [number(numerator), number(denominator)] {
                self.push(kind, prose);
            }
            return Ok(1);
        }
        if let Some(name) = symbol::letter_like(c) {
            return Ok(1 + self.name(name, &text[1..], prose));
        }
        if c.is_alphabetic() {
            let is_letter = |other: &char| {
                other.is_alphabetic()
                    && symbol::letter_like(*other).is_none()
                    && symbol::is_latin(*other) == symbol::is_latin(c)
            };
            let word: String = text.iter().take_while(|c| is_letter(c)).collect();
            let length = word.chars().count();
            let (name, tail) = tail(&word, &text[length..]);
            let kind = if tail == 0 { Kind::Word(word) } else { Kind::Symbol(name) };
            self.push(kind, prose);
            return Ok(length + tail);
        }
        if let Some((sign, length)) = self.compound(text) {
            self.push(Kind::Sign(sign), prose);
            return Ok(length);
        }
        if matches!(c, '℃' | '℉') {
            self.push(Kind::Sign('°'), prose);
            self.push(Kind::Word(if c == '℃' { "C" } else { "F" }.to_owned()), prose);
            return Ok(1);
        }
        const SIGNS: &str = "+-*/=<>≤≥≠≈±∓∞∪∩∈∖°%!|,;:()[]{}⟨⟩.?&'\"∠△∥⊥∼≅≡→∨∧∅∴£€¥¢_…⌊⌋⌈⌉#@";
        if !SIGNS.contains(c) {
            return Err(Failure::Unread);
        }
        self.push(Kind::Sign(c), prose);
        Ok(1)
    }

    /// Whether a capital stands right before, as in `A.35`.
    fn follows_option(&self) -> bool {
        let letter = self.tokens.last().and_then(Token::word);
        !self.spaced && letter.is_some_and(|word| matches!(word.as_bytes(), [b'A'..=b'J']))
    }

    /// A sign that is typed as several, and its length.
    fn compound(&self, text: &[char]) -> Option<(char, usize)> {
        const COMPOUNDS: [(&str, char); 7] =
            [("...", '…'), ("<=", '≤'), (">=", '≥'), ("==", '='), ("+/-", '±'), ("/=", '≠'), ("&&", '∧')];
        // `1+-5` is a sum; only at the start is a plus before a minus both signs.
        let starts = self.tokens.last().is_none_or(|last| last.is('='));
        let both = starts.then_some(("+-", '±'));
        let is_ahead = |writing: &str| writing.chars().eq(text.iter().copied().take(writing.len()));
        both.iter()
            .chain(&COMPOUNDS)
            .find(|(writing, _)| is_ahead(writing))
            .map(|(writing, sign)| (*sign, writing.len()))
    }

    /// A name that is one symbol, with its index.
    fn name(&mut self, name: &str, rest: &[char], prose: bool) -> usize {
        let (whole, length) = tail(name, rest);
        let is_constant = matches!(name, "pi") && length == 0;
        self.push(if is_constant { Kind::Word(whole) } else { Kind::Symbol(whole) }, prose);
        length
    }

    fn digits(&mut self, text: &[char], prose: bool) -> Result<usize, Failure> {
        // The arguments of \frac12 are single digits; \frac123 could be read in two ways.
        let braceless = match &self.tokens[..] {
            [.., head] if head.kind == Kind::Fraction => 2,
            [.., head, Token { kind: Kind::Number(_), .. }] if head.kind == Kind::Fraction => 1,
            [.., head, _, _, close] if head.kind == Kind::Fraction && close.is('}') => 1,
            _ => 0,
        };
        if braceless > 0 {
            let count = text.iter().take_while(|c| c.is_ascii_digit()).count();
            if count > braceless || text.get(count) == Some(&'.') {
                return Err(Failure::Unread);
            }
            for digit in &text[..count] {
                self.push(Kind::Number(integer(i64::from(digit.to_digit(10).unwrap_or(0)))), prose);
            }
            return Ok(count);
        }
        let follows_comma = self.tokens.last().is_some_and(|token| token.is(',')) && !self.spaced;
        let has_leading_zero = text[0] == '0' && text.get(1).is_some_and(char::is_ascii_digit);
        if follows_comma && has_leading_zero {
            return Err(Failure::Unread);
        }
        let may_group = (self.brackets == 0 || self.spread_commas) && !follows_comma;
        let (value, length) = literal::number(text, self.grouping, may_group)?;
        self.push(Kind::Number(value), prose);
        if let Some(last) = self.tokens.last_mut() {
            last.padded = has_leading_zero;
        }
        Ok(length)
    }

    /// A `^`, which may be that of a degree.
    fn caret(&mut self, text: &[char], prose: bool) -> usize {
        let compact: Vec<(usize, char)> =
            text.iter().copied().enumerate().filter(|(_, c)| *c != ' ').take(10).collect();
        let written: String = compact.iter().map(|(_, c)| c).collect();
        let follows_number = matches!(self.tokens.last(), Some(Token { kind: Kind::Number(_), .. }));
        for degree in ["^{\\circ}", "^\\circ", "^{°}", "^°", "^{\\degree}", "^\\degree", "^{o}", "^o"] {
            let Some(rest) = written.strip_prefix(degree) else { continue };
            let is_letter = matches!(degree, "^{o}" | "^o");
            if !is_letter || (follows_number && !rest.starts_with(char::is_alphanumeric)) {
                self.push(Kind::Sign('°'), prose);
                return compact[degree.chars().count() - 1].0 + 1;
            }
        }
        self.push(Kind::Sign('^'), prose);
        1
    }

    fn command(&mut self, text: &[char], prose: bool, depth: usize) -> Result<usize, Failure> {
        let letters: String = text[1..].iter().take_while(|c| c.is_ascii_alphabetic()).collect();
        let name = if letters.is_empty() { text.get(1).map(char::to_string).unwrap_or_default() } else { letters };
        let length = 1 + name.chars().count();
        let rest = &text[length..];
        if symbol::is_blank(&name) || name.is_empty() {
            self.spaced = true;
        } else if matches!(&*name, "color" | "hspace" | "textcolor" | "phantom") {
            let (_, used) = argument(rest).ok_or(Failure::Unread)?;
            return Ok(length + used);
        } else if symbol::is_setting(&name) {
            let closes_nothing = matches!(&*name, "left" | "right") && rest.first() == Some(&'.');
            return Ok(length + usize::from(closes_nothing));
        } else if symbol::is_prose(&name) {
            let (inner, used) = argument(rest).ok_or(Failure::Unread)?;
            self.text(inner, true, depth + 1)?;
            return Ok(length + used);
        } else if matches!(&*name, "frac" | "dfrac" | "tfrac" | "cfrac" | "nicefrac" | "sfrac") {
            self.push(Kind::Fraction, prose);
        } else if name == "sqrt" || name == "surd" {
            let digits = rest.iter().skip_while(|c| **c == ' ').take_while(|c| c.is_ascii_digit()).count();
            if digits > 1 {
                return Err(Failure::Unread);
            }
            self.push(Kind::Root, prose);
        } else if matches!(&*name, "binom" | "dbinom" | "tbinom") {
            self.push(Kind::Binomial, prose);
        } else if matches!(&*name, "begin" | "end") {
            let (inner, used) = argument(rest).ok_or(Failure::Unread)?;
            let environment: String = inner.iter().filter(|c| **c != '*').collect();
            self.push(if name == "begin" { Kind::Begin(environment) } else { Kind::End(environment) }, prose);
            return Ok(length + used);
        } else if name == "pmod" {
            let (inner, used) = argument(rest).ok_or(Failure::Unread)?;
            self.push(Kind::Sign('('), prose);
            self.push(Kind::Word("mod".to_owned()), prose);
            self.text(inner, prose, depth + 1)?;
            self.push(Kind::Sign(')'), prose);
            return Ok(length + used);
        } else if matches!(&*name, "bmod" | "mod") {
            self.push(Kind::Word("mod".to_owned()), prose);
        } else if matches!(&*name, "triangle" | "angle") && rest.first() == Some(&'{') {
            let (inner, used) = argument(rest).ok_or(Failure::Unread)?;
            self.push(Kind::Sign(if name == "angle" { '∠' } else { '△' }), prose);
            self.text(inner, prose, depth + 1)?;
            return Ok(length + used);
        } else if name == "\\" {
            self.push(Kind::Sign('⏎'), prose);
        } else if symbol::is_accent(&name) {
            let (inner, used) = argument(rest).ok_or(Failure::Unread)?;
            let accent = match &*name {
                "overrightarrow" => "vec",
                "bar" => "overline",
                name => name,
            };
            let over = format!("{accent}({})", flat(inner));
            return Ok(length + used + self.name(&over, &rest[used..], prose));
        } else if symbol::is_function(&name) {
            self.push(Kind::Word(name), prose);
        } else if name == "pi" || symbol::is_letter_command(&name) {
            let plain = name.strip_prefix("var").unwrap_or(&name).to_owned();
            return Ok(length + self.name(&plain, rest, prose));
        } else {
            let sign = symbol::sign_of_command(&name).ok_or(Failure::Unread)?;
            self.push(Kind::Sign(sign), prose);
        }
        Ok(length)
    }
}

fn integer(value: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(value))
}

/// The argument of a command: a group or one character; and how much of the text it took.
fn argument(text: &[char]) -> Option<(&[char], usize)> {
    let start = text.iter().position(|c| *c != ' ')?;
    if text[start] != '{' {
        let is_plain = text[start].is_alphanumeric();
        return is_plain.then(|| (&text[start..=start], start + 1));
    }
    let mut depth = 0_usize;
    for (at, c) in text.iter().enumerate().skip(start) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[start + 1..at], at + 1));
        }
    }
    None
}

/// The letters, digits and signs of a name, without how they are set.
fn flat(text: &[char]) -> String {
    let text: String = text.iter().collect();
    let text = text.replace("\\text", "").replace("\\mathrm", "");
    text.chars().filter(|c| !matches!(c, ' ' | '{' | '}' | '\\')).collect()
}

/// How many primes an exponent consists of, if it consists of some, and its length.
fn primes(text: &[char]) -> Option<(usize, usize)> {
    const PRIME: &str = "\\prime";
    let is_group = text.first() == Some(&'{');
    let mut at = usize::from(is_group);
    let mut count = 0;
    while PRIME.chars().eq(text.get(at..)?.iter().copied().take(PRIME.len())) {
        at += PRIME.len();
        count += 1;
    }
    if is_group && text.get(at) != Some(&'}') {
        return None;
    }
    (count > 0).then_some((count, at + usize::from(is_group)))
}

/// The index and the primes behind a name, as part of the name; and their length.
fn tail(name: &str, text: &[char]) -> (String, usize) {
    let mut whole = name.to_owned();
    let mut at = 0;
    let is_long = |name: &str| name.chars().count() > 2 && name.chars().any(char::is_lowercase);
    if symbol::is_function(name) {
        return (whole, 0);
    }
    while let Some(c) = text.get(at) {
        match c {
            // Between words it is a blank.
            '_' if is_long(name) && text[at + 1..].iter().take_while(|c| c.is_alphabetic()).count() > 2 => break,
            '_' => {
                let Some((index, used)) = argument(&text[at + 1..]) else { break };
                whole.push('_');
                whole.push_str(&flat(index));
                at += 1 + used;
            }
            // The mark in "it's" is no prime.
            '\'' if name.chars().count() > 1 && text.get(at + 1).is_some_and(|next| next.is_alphabetic()) => break,
            '\'' => {
                whole.push('\'');
                at += 1;
            }
            '^' => {
                let Some((count, used)) = primes(&text[at + 1..]) else { break };
                whole.push_str(&"'".repeat(count));
                at += 1 + used;
            }
            c => {
                let Some(digit) = symbol::lowered(*c) else { break };
                if !whole.contains('_') {
                    whole.push('_');
                }
                whole.push(digit);
                at += 1;
            }
        }
    }
    (whole, at)
}
