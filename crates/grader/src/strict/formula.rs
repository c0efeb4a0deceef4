//! From tokens to a formula.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed};

use super::symbol;
use super::token::{Kind, Token, closing};
use crate::algebra::{Constant, Expression, Function};
use crate::fuel::{DEEPEST_NEST, Failure};

/// Reads all of `tokens` as one formula.
///
/// Multiplication without a sign binds as tightly as with one, and both like division, from left to right.
///
/// # Errors
/// [`Failure::Unread`] if it is none, [`Failure::Refused`] if it nests too deeply.
pub(super) fn read(tokens: &[Token]) -> Result<Expression, Failure> {
    let mut parser = Parser { tokens, at: 0, depth: 0, in_bars: 0 };
    let formula = parser.sum()?;
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
                base = base.to_the(exponent);
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
        let exponent = if self.eat('^') { base.to_the(self.deeper(Self::exponent)?) } else { base };
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
        let inner = self.sum();
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

    fn word(&mut self, word: &str) -> Result<Expression, Failure> {
        if symbol::is_function(word) {
            return self.function(word);
        }
        match word {
            "pi" | "Pi" | "PI" => return Ok(Expression::Constant(Constant::Pi)),
            "e" => return Ok(Expression::Constant(Constant::Euler)),
            "i" => return Ok(Expression::Constant(Constant::Imaginary)),
            "infinity" | "inf" | "oo" => return Ok(Expression::Constant(Constant::Infinity)),
            "alpha" | "beta" | "gamma" | "theta" | "phi" | "lambda" | "omega" | "sigma" | "mu" | "rho" | "delta" => {
                return Ok(Expression::Variable(word.to_owned()));
            }
            _ => {}
        }
        let is_prose = self.tokens[self.at - 1].prose;
        let opens = self.peek().is_some_and(|next| next.is('(') && !next.spaced);
        if word.chars().count() == 1 {
            let names_function = matches!(word, "f" | "g" | "h" | "F" | "G" | "P" | "p" | "E" | "Q" | "R" | "S" | "T");
            if opens && names_function {
                return self.application(word);
            }
            return Ok(Expression::Variable(word.to_owned()));
        }
        if opens {
            return Err(Failure::Unread);
        }
        if word.chars().all(|c| c.is_ascii_uppercase()) && word.len() <= 4 {
            return Ok(Expression::Variable(word.to_owned()));
        }
        if let Some(head) = ["sin", "cos", "tan", "ln", "log"].into_iter().find(|head| word.starts_with(head))
            && word.len() == head.len() + 1
        {
            let argument = Expression::Variable(word[head.len()..].to_owned());
            return call(head, argument, None);
        }
        if is_prose || is_word(word) {
            return Err(Failure::Unread);
        }
        let letters = word.chars().map(|letter| match letter {
            'e' => Expression::Constant(Constant::Euler),
            'i' => Expression::Constant(Constant::Imaginary),
            letter => Expression::Variable(letter.to_string()),
        });
        // A power belongs to the last letter alone.
        let mut letters: Vec<_> = letters.collect();
        let last = letters.pop().ok_or(Failure::Unread)?;
        letters.push(self.raised(last)?);
        Ok(Expression::Product(letters))
    }

    /// `f(x)`, which is a value of its own and no product.
    fn application(&mut self, name: &str) -> Result<Expression, Failure> {
        let close = closing(self.tokens, self.at).ok_or(Failure::Unread)?;
        let argument = format!("{:?}", self.tokens[self.at + 1..close].iter().map(|t| &t.kind).collect::<Vec<_>>());
        self.at = close + 1;
        Ok(Expression::Variable(format!("{name}({argument})")))
    }

    fn function(&mut self, name: &str) -> Result<Expression, Failure> {
        if name == "sqrt" || name == "cbrt" {
            let degree = Expression::integer(if name == "sqrt" { 2 } else { 3 });
            return Ok(self.argument()?.root(degree));
        }
        let mut exponent = None;
        let mut base = None;
        loop {
            if self.eat('^') {
                exponent = Some(self.deeper(Self::exponent)?);
            } else if name == "log" && self.eat('_') {
                base = Some(self.argument()?);
            } else {
                break;
            }
        }
        let argument = self.deeper(Self::function_argument)?;
        let inverse = exponent == Some(Expression::integer(-1));
        let name = match name {
            "sin" if inverse => "arcsin",
            "cos" if inverse => "arccos",
            "tan" if inverse => "arctan",
            name => name,
        };
        let value = call(name, argument, base)?;
        Ok(match exponent {
            Some(exponent) if !inverse || !name.starts_with("arc") => value.to_the(exponent),
            _ => value,
        })
    }

    /// What a function is of: a bracket, or all factors up to the next function or operator.
    fn function_argument(&mut self) -> Result<Expression, Failure> {
        if self.peek().is_some_and(|token| token.is_any("({[")) {
            return self.primary();
        }
        let negative = self.eat('-');
        let mut factors = vec![self.factor()?];
        while self.starts_factor()
            && !self.peek().is_some_and(|next| next.is_any("([|") || next.word().is_some_and(symbol::is_function))
        {
            factors.push(self.factor()?);
        }
        // \sin x/2 could be half of a sine or the sine of a half.
        if self.peek().is_some_and(|next| next.is('/')) {
            return Err(Failure::Unread);
        }
        let argument = Expression::product(factors);
        Ok(if negative { argument.negated() } else { argument })
    }
}

fn call(name: &str, argument: Expression, base: Option<Expression>) -> Result<Expression, Failure> {
    let of = |function, argument| Expression::Call(function, vec![argument]);
    Ok(match name {
        "sin" => of(Function::Sine, argument),
        "cos" => of(Function::Cosine, argument),
        "tan" => of(Function::Tangent, argument),
        "cot" => of(Function::Cosine, argument.clone()).over(of(Function::Sine, argument)),
        "sec" => of(Function::Cosine, argument).reciprocal(),
        "csc" => of(Function::Sine, argument).reciprocal(),
        "arcsin" | "asin" => of(Function::ArcSine, argument),
        "arccos" | "acos" => of(Function::ArcCosine, argument),
        "arctan" | "atan" => of(Function::ArcTangent, argument),
        "sinh" => of(Function::HyperbolicSine, argument),
        "cosh" => of(Function::HyperbolicCosine, argument),
        "tanh" => of(Function::HyperbolicTangent, argument),
        "exp" => Expression::Constant(Constant::Euler).to_the(argument),
        "abs" => of(Function::Absolute, argument),
        "ln" => of(Function::Logarithm, argument),
        "lg" => of(Function::Logarithm, argument).over(of(Function::Logarithm, Expression::integer(10))),
        // Which base a bare \log has is not said, only that it is always the same.
        "log" => match base {
            Some(base) => of(Function::Logarithm, argument).over(of(Function::Logarithm, base)),
            None => of(Function::Logarithm, argument).over(Expression::Variable("base of log".to_owned())),
        },
        _ => return Err(Failure::Unread),
    })
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
