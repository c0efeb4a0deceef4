//! What a formula says, without how it was written.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

/// A number with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// The ratio of a circle's circumference to its diameter.
    Pi,
    /// Euler's number.
    Euler,
    /// The square root of minus one.
    Imaginary,
    /// Greater than every number; it is an end of an interval or an answer of its own, and has no value.
    Infinity,
}

/// A function of one or two arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Sine,
    Cosine,
    Tangent,
    ArcSine,
    ArcCosine,
    ArcTangent,
    HyperbolicSine,
    HyperbolicCosine,
    HyperbolicTangent,
    Logarithm,
    Absolute,
    Floor,
    Ceiling,
    Factorial,
    Binomial,
}

/// A formula.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Number(BigRational),
    Constant(Constant),
    Variable(String),
    Sum(Vec<Self>),
    Product(Vec<Self>),
    Power(Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
}

impl Expression {
    pub(crate) fn integer(value: i64) -> Self {
        Self::Number(BigRational::from_integer(BigInt::from(value)))
    }

    /// The sum of all terms, or the only one.
    pub(crate) fn sum(mut terms: Vec<Self>) -> Self {
        if terms.len() == 1 { terms.remove(0) } else { Self::Sum(terms) }
    }

    /// The product of all factors, or the only one.
    pub(crate) fn product(mut factors: Vec<Self>) -> Self {
        if factors.len() == 1 { factors.remove(0) } else { Self::Product(factors) }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Number(value) => Self::Number(-value),
            other => Self::Product(vec![Self::integer(-1), other]),
        }
    }

    pub(crate) fn reciprocal(self) -> Self {
        Self::Power(Box::new(self), Box::new(Self::integer(-1)))
    }

    pub(crate) fn over(self, denominator: Self) -> Self {
        Self::Product(vec![self, denominator.reciprocal()])
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self::Sum(vec![self, other.negated()])
    }

    pub(crate) fn raised_to(self, exponent: Self) -> Self {
        Self::Power(Box::new(self), Box::new(exponent))
    }

    /// The `degree`-th root.
    pub(crate) fn root(self, degree: Self) -> Self {
        self.raised_to(degree.reciprocal())
    }

    /// An angle of that many degrees, in radians.
    pub(crate) fn degrees(self) -> Self {
        let right = BigRational::new(BigInt::one(), BigInt::from(180));
        Self::Product(vec![self, Self::Number(right), Self::Constant(Constant::Pi)])
    }

    /// The formula with `value` for a variable.
    pub(crate) fn with(&self, variable: &str, value: &Self) -> Self {
        self.replaced(&|name| (name == variable).then(|| value.clone()))
    }

    /// The formula with some variables replaced.
    pub(crate) fn replaced(&self, value: &impl Fn(&str) -> Option<Self>) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.replaced(value)).collect();
        match self {
            Self::Variable(name) => value(name).unwrap_or_else(|| self.clone()),
            Self::Number(_) | Self::Constant(_) => self.clone(),
            Self::Sum(terms) => Self::Sum(all(terms)),
            Self::Product(factors) => Self::Product(all(factors)),
            Self::Power(base, exponent) => base.replaced(value).raised_to(exponent.replaced(value)),
            Self::Call(function, arguments) => Self::Call(*function, all(arguments)),
        }
    }

    /// The names of the variables.
    pub(crate) fn variables(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.visit(&mut |node| {
            if let Self::Variable(name) = node {
                names.insert(name.as_str());
            }
        });
        names
    }

    /// Whether `constant` occurs.
    pub(crate) fn has(&self, constant: Constant) -> bool {
        let mut found = false;
        self.visit(&mut |node| found |= *node == Self::Constant(constant));
        found
    }

    /// Whether `function` is called.
    pub(crate) fn calls(&self, function: Function) -> bool {
        let mut found = false;
        self.visit(&mut |node| found |= matches!(node, Self::Call(own, _) if *own == function));
        found
    }

    /// Whether this is a quotient of polynomials with rational coefficients, by the look of it.
    pub(crate) fn is_rational(&self) -> bool {
        match self {
            Self::Number(_) | Self::Variable(_) => true,
            Self::Sum(parts) | Self::Product(parts) => parts.iter().all(Self::is_rational),
            Self::Power(base, exponent) => {
                base.is_rational() && matches!(&**exponent, Self::Number(exponent) if exponent.is_integer())
            }
            Self::Constant(_) | Self::Call(..) => false,
        }
    }

    /// 1 or -1 if this is plus or minus infinity.
    pub(crate) fn infinite_sign(&self) -> Option<i8> {
        match self {
            Self::Constant(Constant::Infinity) => Some(1),
            Self::Product(factors) => match &factors[..] {
                [Self::Number(sign), Self::Constant(Constant::Infinity)] if *sign == -BigRational::one() => Some(-1),
                _ => None,
            },
            _ => None,
        }
    }

    fn visit<'a>(&'a self, look: &mut impl FnMut(&'a Self)) {
        look(self);
        match self {
            Self::Number(_) | Self::Constant(_) | Self::Variable(_) => {}
            Self::Sum(parts) | Self::Product(parts) | Self::Call(_, parts) => {
                parts.iter().for_each(|part| part.visit(look));
            }
            Self::Power(base, exponent) => {
                base.visit(look);
                exponent.visit(look);
            }
        }
    }
}

/// The `degree`-th root of `value`, if it is rational.
pub(crate) fn exact_root(value: &BigRational, degree: u32) -> Option<BigRational> {
    if degree.is_multiple_of(2) && *value < BigRational::zero() {
        return None;
    }
    let root = |part: &BigInt| {
        let root = part.nth_root(degree);
        (root.pow(degree) == *part).then_some(root)
    };
    Some(BigRational::new_raw(root(value.numer())?, root(value.denom())?))
}
