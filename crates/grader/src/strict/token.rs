//! The pieces an answer is written in.

use num_rational::BigRational;
use num_traits::ToPrimitive;

use crate::fuel::DEEPEST_NEST;

/// One piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A number without a sign.
    Number(BigRational),
    /// A run of letters as they were typed, or the name of a function or a constant.
    Word(String),
    /// A name that is one symbol: a Greek letter, a letter with an index, a segment under a bar.
    Symbol(String),
    /// An operator, a bracket, a mark. Groups are `{` and `}`, braces that were meant to be seen are `⦃` and `⦄`.
    Sign(char),
    /// The head of `\frac{…}{…}`.
    Fraction,
    /// The head of `\sqrt[…]{…}`.
    Root,
    /// The head of `\binom{…}{…}`.
    Binomial,
    /// `\begin{…}`.
    Begin(String),
    /// `\end{…}`.
    End(String),
}

/// A piece and how it stood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Whether a blank stood before it.
    pub(super) spaced: bool,
    /// Whether it stood in `\text{…}` or its like.
    pub(super) prose: bool,
    /// Whether it is digits that start with a needless zero, as in `10:05`.
    pub(super) padded: bool,
}

impl Token {
    pub(super) fn sign(sign: char) -> Self {
        Self { kind: Kind::Sign(sign), spaced: false, prose: false, padded: false }
    }

    /// The number, if it is a whole one.
    pub(super) fn whole(&self) -> Option<u32> {
        match &self.kind {
            Kind::Number(value) if value.is_integer() => value.numer().to_u32(),
            _ => None,
        }
    }

    pub(super) fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    pub(super) fn is_any(&self, signs: &str) -> bool {
        matches!(&self.kind, Kind::Sign(sign) if signs.contains(*sign))
    }

    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether it is a letter run that reads as `word`, whatever its case.
    pub(super) fn reads(&self, word: &str) -> bool {
        self.word().is_some_and(|own| own.eq_ignore_ascii_case(word))
    }
}

/// Whether two answers are written in the same pieces, however they were spaced or set.
pub(super) fn same(a: &[Token], b: &[Token]) -> bool {
    let kinds = |tokens: &[Token]| tokens.iter().map(|token| token.kind.clone()).collect::<Vec<_>>();
    kinds(trimmed(a)) == kinds(trimmed(b))
}

/// Without the period that ends a sentence, and without a group around the whole.
pub(super) fn trimmed(mut tokens: &[Token]) -> &[Token] {
    for _ in 0..DEEPEST_NEST {
        match tokens {
            [rest @ .., last] if last.is_any(".,;:⏎") => tokens = rest,
            [first, inner @ .., last] if first.is('"') && last.is('"') && !inner.iter().any(|token| token.is('"')) => {
                tokens = inner;
            }
            [first, .., last] if first.is('{') && last.is('}') && closing(tokens, 0) == Some(tokens.len() - 1) => {
                let mut inner = &tokens[1..tokens.len() - 1];
                while let [rest @ .., last] = inner
                    && last.is_any(".,;⏎")
                {
                    inner = rest;
                }
                if has_top_level(inner, ",;") {
                    return tokens;
                }
                tokens = inner;
            }
            _ => return tokens,
        }
    }
    tokens
}

const OPENING: &str = "([{⦃⟨";
const CLOSING: &str = ")]}⦄⟩";

/// Where the bracket at `open` closes. Round and square ones may close each other, as intervals do.
pub(super) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match &token.kind {
            Kind::Sign(sign) if OPENING.contains(*sign) => depth += 1,
            Kind::Begin(_) => depth += 1,
            Kind::Sign(sign) if CLOSING.contains(*sign) => depth = depth.checked_sub(1)?,
            Kind::End(_) => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The places outside of all brackets where `found` holds.
pub(super) fn top_level(tokens: &[Token], found: impl Fn(&Token) -> bool) -> Vec<usize> {
    let mut depth = 0_isize;
    let mut places = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Sign(sign) if OPENING.contains(*sign) => depth += 1,
            Kind::Begin(_) => depth += 1,
            Kind::Sign(sign) if CLOSING.contains(*sign) => depth -= 1,
            Kind::End(_) => depth -= 1,
            _ if depth == 0 && found(token) => places.push(at),
            _ => {}
        }
    }
    places
}

/// Whether one of `signs` stands outside of all brackets.
pub(super) fn has_top_level(tokens: &[Token], signs: &str) -> bool {
    !top_level(tokens, |token| token.is_any(signs)).is_empty()
}

/// The parts between the places where `found` holds, outside of all brackets.
pub(super) fn split(tokens: &[Token], found: impl Fn(&Token) -> bool) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let mut start = 0;
    for at in top_level(tokens, found) {
        parts.push(&tokens[start..at]);
        start = at + 1;
    }
    parts.push(&tokens[start..]);
    parts
}
