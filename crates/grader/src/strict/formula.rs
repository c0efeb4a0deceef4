//! From tokens to a formula.

mod function;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed};

use super::token::{Kind, Token};
use crate::algebra::{Constant, Expression, Function};
use crate::fuel::{DEEPEST_NEST, Failure};

/// The variable that stands for the logarithm of the base of a `\log` without one.
pub(super) const BASE_OF_LOG: &str = "base of log";

/// Reads all of `tokens` as one formula.
///
/// Multiplication without a sign binds as tightly as with one, and both like division, from left to right.
///
/// # Errors
/// [`Failure::Unread`] if it is none, [`Failure::Refused`] if it nests too deeply.
pub(super) fn read(tokens: &[Token]) -> Result<Expression, Failure> {
    let mut parser = Parser { tokens, at: 0, depth: 0, in_bars: 0 };
    let formula = parser.whole()?;
    if parser.at == tokens.len() { Ok(formula) } else { Err(Failure::Unread) }
}

/// Whether a run of letters is English rather than a product of variables.
pub(super) fn is_word(run: &str) -> bool {
    const SHORT: &str =
        " no on up so or of to do go by my am an as at be he if in is it me us we yes cm mm km kg ml ft mi hr ";
    run.chars().count() > 3 || run.chars().any(|c| !c.is_ascii_lowercase()) || SHORT.contains(&format!(" {run} "))
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    in_bars: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.peek().is_some_and(|token| token.is(sign));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), Failure> {
        if self.eat(sign) { Ok(()) } else { Err(Failure::Unread) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.depth >= DEEPEST_NEST {
            return Err(Failure::Refused);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Everything up to a bracket that closes; `a \over b` parts it in two.
    fn whole(&mut self) -> Result<Expression, Failure> {
        let numerator = self.sum()?;
        if self.eat('⁄') { Ok(numerator.over(self.sum()?)) } else { Ok(numerator) }
    }

    fn sum(&mut self) -> Result<Expression, Failure> {
        let mut terms = Vec::new();
        loop {
            let mut negative = false;
            if self.eat('-') {
                negative = true;
            } else if !self.eat('+') && !terms.is_empty() {
                break;
            }
            let term = self.deeper(Self::product)?;
            terms.push(if negative { term.negated() } else { term });
        }
        Ok(Expression::sum(terms))
    }

    fn product(&mut self) -> Result<Expression, Failure> {
        let mut factors = vec![self.factor()?];
        loop {
            let divides = self.peek().is_some_and(|token| token.is_any("/÷"));
            if divides || self.peek().is_some_and(|token| token.is('*')) {
                self.at += 1;
                let negative = self.eat('-');
                let factor = self.factor()?;
                let factor = if negative { factor.negated() } else { factor };
                factors.push(if divides { factor.reciprocal() } else { factor });
            } else if self.starts_factor() {
                factors.push(self.factor()?);
            } else {
                return Ok(Expression::product(factors));
            }
        }
    }

    /// Whether the next token multiplies what stands before it without a sign.
    fn starts_factor(&self) -> bool {
        self.peek().is_some_and(|token| match &token.kind {
            Kind::Word(_) | Kind::Symbol(_) | Kind::Fraction | Kind::Root | Kind::Binomial => true,
            Kind::Sign(sign) => "([{∠△⌊⌈∞".contains(*sign) || (*sign == '|' && self.in_bars == 0),
            Kind::Number(_) | Kind::Begin(_) | Kind::End(_) => false,
        })
    }

    fn factor(&mut self) -> Result<Expression, Failure> {
        if let Some(mixed) = self.mixed_number() {
            return Ok(mixed);
        }
        let base = self.deeper(Self::primary)?;
        self.raised(base)
    }

    /// What `^`, `!` and `°` make of `base`.
    fn raised(&mut self, mut base: Expression) -> Result<Expression, Failure> {
        loop {
            if self.eat('!') {
                base = Expression::Call(Function::Factorial, vec![base]);
            } else if self.eat('°') {
                base = base.degrees();
            } else if self.eat('^') {
                let exponent = self.deeper(Self::exponent)?;
                base = base.raised_to(exponent);
            } else {
                return Ok(base);
            }
        }
    }

    fn exponent(&mut self) -> Result<Expression, Failure> {
        let negative = self.eat('-');
        if let Some(Kind::Word(word)) = self.peek().map(|token| &token.kind)
            && word.chars().count() > 1
            && word != "pi"
        {
            return Err(Failure::Unread);
        }
        let base = self.primary()?;
        let exponent = if self.eat('^') { base.raised_to(self.deeper(Self::exponent)?) } else { base };
        Ok(if negative { exponent.negated() } else { exponent })
    }

    /// `3 1/2` and `3\frac{1}{2}`: a whole number and a proper fraction of whole numbers.
    fn mixed_number(&mut self) -> Option<Expression> {
        let rest = &self.tokens[self.at..];
        let whole = |token: &Token| match &token.kind {
            Kind::Number(value) if value.is_integer() => Some(value.clone()),
            _ => None,
        };
        let base = whole(rest.first()?)?;
        let (numerator, denominator, used) = match rest.get(1)? {
            next if next.kind == Kind::Fraction => match rest.get(2..)? {
                [a, c, b, d, e, f, ..] if a.is('{') && b.is('}') && d.is('{') && f.is('}') => (whole(c)?, whole(e)?, 8),
                [a, b, ..] => (whole(a)?, whole(b)?, 4),
                _ => return None,
            },
            next if next.spaced => match rest.get(1..)? {
                [a, slash, b, ..] if slash.is('/') => (whole(a)?, whole(b)?, 4),
                _ => return None,
            },
            _ => return None,
        };
        if numerator >= denominator || rest.get(used).is_some_and(|next| next.is_any("^!")) {
            return None;
        }
        self.at += used;
        Some(Expression::Number(base + numerator / denominator))
    }

    fn primary(&mut self) -> Result<Expression, Failure> {
        let token = self.peek().cloned().ok_or(Failure::Unread)?;
        self.at += 1;
        match token.kind {
            Kind::Number(value) => {
                // A number before a fraction of numbers that is no mixed number: \(2\frac{5}{3}\) could be read in two ways.
                let fraction = self.peek().is_some_and(|next| next.kind == Kind::Fraction);
                if fraction && value.is_integer() && self.numeric_fraction_follows() {
                    return Err(Failure::Unread);
                }
                Ok(Expression::Number(value))
            }
            Kind::Word(word) => self.word(&word),
            Kind::Symbol(name) => Ok(Expression::Variable(name)),
            Kind::Fraction => {
                let numerator = self.argument()?;
                Ok(numerator.over(self.argument()?))
            }
            Kind::Root => {
                let degree = if self.eat('[') {
                    let degree = self.sum()?;
                    self.expect(']')?;
                    degree
                } else {
                    Expression::integer(2)
                };
                Ok(self.argument()?.root(degree))
            }
            Kind::Binomial => {
                let from = self.argument()?;
                Ok(Expression::Call(Function::Binomial, vec![from, self.argument()?]))
            }
            Kind::Sign(sign) => self.bracketed(sign),
            Kind::Begin(_) | Kind::End(_) => Err(Failure::Unread),
        }
    }

    fn numeric_fraction_follows(&self) -> bool {
        let digits = |token: Option<&Token>| token.is_some_and(|token| matches!(token.kind, Kind::Number(_)));
        let rest = &self.tokens[self.at..];
        let inner = if rest.get(1).is_some_and(|token| token.is('{')) { rest.get(2) } else { rest.get(1) };
        digits(inner) && rest.last().is_some_and(|last| last.is('}') || digits(Some(last)))
    }

    fn bracketed(&mut self, sign: char) -> Result<Expression, Failure> {
        let close = match sign {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            '⌊' => '⌋',
            '⌈' => '⌉',
            '|' => {
                self.in_bars += 1;
                let inner = self.sum();
                self.in_bars -= 1;
                self.expect('|')?;
                return Ok(Expression::Call(Function::Absolute, vec![inner?]));
            }
            '∞' => return Ok(Expression::Constant(Constant::Infinity)),
            '∠' | '△' => {
                let next = self.peek().cloned().ok_or(Failure::Unread)?;
                self.at += 1;
                return match next.kind {
                    Kind::Word(name) | Kind::Symbol(name) => Ok(Expression::Variable(format!("{sign}{name}"))),
                    Kind::Number(value) => Ok(Expression::Variable(format!("{sign}{value}"))),
                    _ => Err(Failure::Unread),
                };
            }
            _ => return Err(Failure::Unread),
        };
        let bars = std::mem::take(&mut self.in_bars);
        let inner = self.whole();
        self.in_bars = bars;
        self.expect(close)?;
        let inner = inner?;
        Ok(match sign {
            '⌊' => Expression::Call(Function::Floor, vec![inner]),
            '⌈' => Expression::Call(Function::Ceiling, vec![inner]),
            _ => inner,
        })
    }

    /// The argument of `\frac` or `\sqrt`: a group, or one number or letter.
    fn argument(&mut self) -> Result<Expression, Failure> {
        let token = self.peek().ok_or(Failure::Unread)?;
        match &token.kind {
            Kind::Word(word) if word.chars().count() > 1 && !matches!(&**word, "pi") => Err(Failure::Unread),
            _ => self.deeper(Self::primary),
        }
    }
}

/// Whether a formula is a number as it stands, without anything to compute.
pub(super) fn literal(formula: &Expression) -> Option<BigRational> {
    match formula {
        Expression::Number(value) => Some(value.clone()),
        Expression::Product(factors) => match &factors[..] {
            [Expression::Number(sign), Expression::Number(value)] if sign.abs().is_one() && sign.is_negative() => {
                Some(-value.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// A whole number as a formula.
pub(super) fn whole(value: u64) -> Expression {
    Expression::Number(BigRational::from_integer(BigInt::from(value)))
}
