//! Expressions as sympy's parser reads them, with implicit multiplication.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, ToPrimitive};

use crate::algebra::{Constant, Expression, Function, exact_root};
use crate::fuel::{DEEPEST_NEST, Failure, MOST_DIGITS};

/// Whether the released code hands the difference of two texts to sympy at all: not with three letters, not with some powers.
pub(super) fn may_evaluate(truth: &str, given: &str) -> bool {
    let difference = format!("({truth})-({given})");
    let known = difference.replace("sqrt", "").replace("frac", "");
    let letters: BTreeSet<char> = known.chars().filter(|c| c.is_alphabetic()).collect();
    if letters.len() > 2 || difference.contains("^{") || difference.contains("^(") {
        return false;
    }
    difference.match_indices('^').all(|(at, _)| {
        let power = &difference[at + 1..];
        let digits = power.len() - power.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        digits < 2 && !(digits == 1 && power[1..].starts_with('^'))
    })
}

/// Reads a normal form as an expression.
///
/// # Errors
/// [`Failure::Unread`] for what Python cannot parse or sympy cannot subtract.
pub(super) fn expression(text: &str) -> Result<Expression, Failure> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let expression = parser.sum()?;
    if parser.at == tokens.len() { Ok(expression) } else { Err(Failure::Unread) }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(BigRational),
    /// A number with a period or an exponent, which sympy computes with in 15 digits.
    Float(BigRational),
    Name(String),
    Power,
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token>, Failure> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let is_number = c.is_ascii_digit() || (c == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit));
        if is_number {
            let (value, length) = number(&chars[at..])?;
            let is_float = chars[at..at + length].iter().any(|c| matches!(c, '.' | 'e'));
            tokens.push(if is_float { Token::Float(value) } else { Token::Number(value) });
            at += length;
        } else if c.is_alphabetic() || c == '_' {
            let is_part = |c: &&char| c.is_alphanumeric() || **c == '_';
            let name: String = chars[at..].iter().take_while(is_part).collect();
            at += name.chars().count();
            named(&name, &mut tokens)?;
        } else {
            let doubled = c == '*' && chars.get(at + 1) == Some(&'*');
            tokens.push(match c {
                '^' => Token::Power,
                '*' if doubled => Token::Power,
                '+' | '-' | '*' | '/' | '(' | ')' | '!' => Token::Sign(c),
                _ => return Err(Failure::Unread),
            });
            at += 1 + usize::from(doubled);
        }
    }
    Ok(tokens)
}

/// A name that sympy knows, or single letters and numbers.
fn named(name: &str, tokens: &mut Vec<Token>) -> Result<(), Failure> {
    const UNSUPPORTED: [&str; 12] = ["re", "im", "ff", "rf", "jn", "yn", "oo", "zoo", "nan", "or", "is", "if"];
    if UNSUPPORTED.contains(&name) {
        return Err(Failure::Unread);
    }
    if matches!(name, "pi" | "sqrt" | "ln") || name.contains('_') {
        tokens.push(Token::Name(name.to_owned()));
        return Ok(());
    }
    let chars: Vec<char> = name.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if chars[at].is_numeric() && !chars[at].is_ascii_digit() {
            return Err(Failure::Unread);
        }
        if chars[at].is_ascii_digit() {
            let digits: String = chars[at..].iter().take_while(|c| c.is_ascii_digit()).collect();
            let value: BigInt = digits.parse().map_err(|_| Failure::Unread)?;
            tokens.push(Token::Number(BigRational::from_integer(value)));
            at += digits.len();
        } else {
            tokens.push(Token::Name(chars[at].to_string()));
            at += 1;
        }
    }
    Ok(())
}

/// A Python number and its length. A whole number that starts with a zero is nought times what follows.
fn number(text: &[char]) -> Result<(BigRational, usize), Failure> {
    let run = |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|c| c.is_ascii_digit()).count();
    let whole = run(0);
    let mut at = whole;
    let mut places = 0;
    if text.get(at) == Some(&'.') {
        places = run(at + 1);
        at += 1 + places;
    }
    if at > MOST_DIGITS {
        return Err(Failure::Refused);
    }
    let digits: String = text[..at].iter().filter(|c| c.is_ascii_digit()).collect();
    let value: BigInt = digits.parse().map_err(|_| Failure::Unread)?;
    let ten = BigInt::from(10);
    let mut value = BigRational::new(value, ten.clone().pow(places));
    if text.get(at) == Some(&'e') {
        let sign = usize::from(matches!(text.get(at + 1), Some('+' | '-')));
        let length = run(at + 1 + sign);
        if length > 0 {
            let exponent: String = text[at + 1 + sign..at + 1 + sign + length].iter().collect();
            let exponent: i32 = exponent.parse().ok().filter(|exponent| *exponent <= 400).ok_or(Failure::Refused)?;
            let negative = text.get(at + 1) == Some(&'-');
            value *= BigRational::from_integer(ten).pow(if negative { -exponent } else { exponent });
            at += 1 + sign + length;
        }
    }
    if at == whole && whole > 1 && text[0] == '0' {
        value = BigRational::from_integer(BigInt::ZERO);
    }
    Ok((value, at))
}

/// Whether a power of two numbers is rational.
fn is_exact_power(base: &Expression, exponent: &Expression) -> bool {
    let (Expression::Number(base), Expression::Number(exponent)) = (base, exponent) else { return false };
    let degree = exponent.denom().to_u32();
    exponent.is_integer() || degree.is_some_and(|degree| exact_root(base, degree).is_some())
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, sign: char) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn sum(&mut self) -> Result<Expression, Failure> {
        let mut terms = vec![self.product()?];
        loop {
            if self.eat('+') {
                terms.push(self.product()?);
            } else if self.eat('-') {
                terms.push(self.product()?.negated());
            } else {
                return Ok(Expression::sum(terms));
            }
        }
    }

    fn product(&mut self) -> Result<Expression, Failure> {
        let mut factors = vec![self.signed()?];
        loop {
            if self.eat('*') {
                factors.push(self.signed()?);
            } else if self.eat('/') {
                factors.push(self.signed()?.reciprocal());
            } else {
                match self.tokens.get(self.at) {
                    Some(Token::Number(_) | Token::Float(_) | Token::Name(_) | Token::Sign('(')) => {
                        factors.push(self.power()?);
                    }
                    _ => return Ok(Expression::product(factors)),
                }
            }
        }
    }

    fn signed(&mut self) -> Result<Expression, Failure> {
        let mut negative = false;
        loop {
            if self.eat('-') {
                negative = !negative;
            } else if !self.eat('+') {
                break;
            }
        }
        let value = self.power()?;
        Ok(if negative { value.negated() } else { value })
    }

    fn power(&mut self) -> Result<Expression, Failure> {
        if self.depth >= DEEPEST_NEST {
            return Err(Failure::Refused);
        }
        self.depth += 1;
        let mut base = self.primary()?;
        if self.eat('!') {
            base = Expression::Call(Function::Factorial, vec![base]);
        }
        if self.tokens.get(self.at) == Some(&Token::Power) {
            self.at += 1;
            let start = self.at;
            let exponent = self.signed()?;
            // A power with a float in its exponent stays one that equals no other, or has 15 digits.
            if self.has_float(start) && !is_exact_power(&base, &exponent) {
                return Err(Failure::Unread);
            }
            base = base.raised_to(exponent);
        }
        self.depth -= 1;
        Ok(base)
    }

    fn primary(&mut self) -> Result<Expression, Failure> {
        let token = self.tokens.get(self.at).ok_or(Failure::Unread)?;
        self.at += 1;
        match token {
            Token::Number(value) | Token::Float(value) => Ok(Expression::Number(value.clone())),
            Token::Name(name) => match &**name {
                "pi" => Ok(Expression::Constant(Constant::Pi)),
                "sqrt" => {
                    let start = self.at;
                    let argument = self.argument()?;
                    // The root of a float has 15 digits, and equals nothing.
                    if self.has_float(start) { Err(Failure::Unread) } else { Ok(argument.root(Expression::integer(2))) }
                }
                "ln" => Ok(Expression::Call(Function::Logarithm, vec![self.argument()?])),
                name => Ok(Expression::Variable(name.to_owned())),
            },
            Token::Sign('(') => self.bracketed(),
            Token::Sign(_) | Token::Power => Err(Failure::Unread),
        }
    }

    fn has_float(&self, start: usize) -> bool {
        self.tokens[start..self.at].iter().any(|token| matches!(token, Token::Float(_)))
    }

    fn argument(&mut self) -> Result<Expression, Failure> {
        if self.eat('(') { self.bracketed() } else { Err(Failure::Unread) }
    }

    fn bracketed(&mut self) -> Result<Expression, Failure> {
        let inner = self.sum()?;
        if self.eat(')') { Ok(inner) } else { Err(Failure::Unread) }
    }
}
