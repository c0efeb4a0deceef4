//! Names in a formula: constants, variables and functions.

use super::{BASE_OF_LOG, Parser, is_word};
use crate::algebra::{Constant, Expression, Function};
use crate::fuel::Failure;
use crate::strict::symbol;
use crate::strict::token::closing;

impl Parser<'_> {
    pub(super) fn word(&mut self, word: &str) -> Result<Expression, Failure> {
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
            Some(exponent) if !inverse || !name.starts_with("arc") => value.raised_to(exponent),
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
        "exp" => Expression::Constant(Constant::Euler).raised_to(argument),
        "abs" => of(Function::Absolute, argument),
        "ln" => of(Function::Logarithm, argument),
        "lg" => of(Function::Logarithm, argument).over(of(Function::Logarithm, Expression::integer(10))),
        // Which base a bare \log has is not said, only that it is always the same.
        "log" => match base {
            Some(base) => of(Function::Logarithm, argument).over(of(Function::Logarithm, base)),
            None => of(Function::Logarithm, argument).over(Expression::Variable(BASE_OF_LOG.to_owned())),
        },
        _ => return Err(Failure::Unread),
    })
}
