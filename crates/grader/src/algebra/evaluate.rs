//! The value of a formula: exact as long as it stays rational, to hundreds of bits otherwise.

use num_bigint::BigInt;
use num_integer::binomial;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::complex::{Arithmetic, Complex, checked};
use super::expression::{Constant, Expression, Function, exact_root};
use crate::fuel::{Failure, Fuel, MOST_BITS};

/// Largest whole exponent of an irrational base, and largest degree of a root.
const LARGEST_EXPONENT: u32 = 1024;

/// Largest argument of a factorial or a binomial.
const LARGEST_FACTORIAL: u32 = 500;

/// A rational number, or digits of an irrational one.
pub(super) enum Value {
    Exact(BigRational),
    Approximate(Complex),
}

/// Finds values at one point: every variable has a value that follows from its name and the point's number.
pub(super) struct Evaluator<'a> {
    arithmetic: Arithmetic<'a>,
    fuel: &'a Fuel,
    point: Point,
    /// Largest distance of a magnitude from one that was met, in bits.
    pub(super) spread: u64,
}

/// The value of a formula without variables, if rational arithmetic alone finds it.
pub(crate) fn exact_value(expression: &Expression, fuel: &Fuel) -> Option<BigRational> {
    if !expression.variables().is_empty() {
        return None;
    }
    match Evaluator::new(256, Point::Near(0), fuel).value(expression) {
        Ok(Value::Exact(value)) => Some(value),
        Ok(Value::Approximate(_)) | Err(_) => None,
    }
}

/// Where formulas are compared, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// At fractions within 3 of zero, where most functions have values; all above zero at the first three points.
    Near(u64),
    /// At whole numbers up to 60000, where polynomials have values without denominators.
    Whole(u64),
}

impl Point {
    /// What the variable `name` stands for here.
    pub(super) fn of(self, name: &str) -> BigRational {
        let (Self::Near(number) | Self::Whole(number)) = self;
        let seed = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..3 {
            mixed ^= mixed >> 31;
            mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        let numerator = BigInt::from(1 + (mixed >> 20) % 60_000);
        let denominator = if matches!(self, Self::Near(_)) { 20_011 } else { 1 };
        let value = BigRational::new(numerator, BigInt::from(denominator));
        if number >= 3 && mixed >> 63 == 1 { -value } else { value }
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(bits: usize, point: Point, fuel: &'a Fuel) -> Self {
        Self { arithmetic: Arithmetic::new(bits, fuel), fuel, point, spread: 0 }
    }

    pub(super) fn value(&mut self, expression: &Expression) -> Result<Value, Failure> {
        match expression {
            Expression::Number(value) => self.exact(value.clone()),
            Expression::Constant(constant) => self.constant(*constant),
            Expression::Variable(name) => self.exact(self.point.of(name)),
            Expression::Sum(terms) => {
                let zero = Value::Exact(BigRational::zero());
                terms.iter().try_fold(zero, |sum, term| {
                    let term = self.value(term)?;
                    self.add(sum, term)
                })
            }
            Expression::Product(factors) => {
                let one = Value::Exact(BigRational::one());
                factors.iter().try_fold(one, |product, factor| {
                    let factor = self.value(factor)?;
                    self.multiply(product, factor)
                })
            }
            Expression::Power(base, exponent) => {
                if **base == Expression::Constant(Constant::Euler) {
                    let exponent = self.value(exponent)?;
                    let exponent = self.approximate(&exponent)?;
                    let power = self.arithmetic.exponential(&exponent)?;
                    return self.noted(power);
                }
                let (base, exponent) = (self.value(base)?, self.value(exponent)?);
                self.power(base, &exponent)
            }
            Expression::Call(function, arguments) => {
                let arguments: Result<Vec<_>, _> = arguments.iter().map(|argument| self.value(argument)).collect();
                self.call(*function, arguments?)
            }
        }
    }

    pub(super) fn approximate(&self, value: &Value) -> Result<Complex, Failure> {
        match value {
            Value::Exact(value) => self.arithmetic.rational(value),
            Value::Approximate(value) => Ok(value.clone()),
        }
    }

    /// Whether two values are one, as far as `bits / 2` bits tell.
    pub(super) fn same(&self, a: &Value, b: &Value) -> Result<bool, Failure> {
        if let (Value::Exact(a), Value::Exact(b)) = (a, b) {
            return Ok(a == b);
        }
        let (a, b) = (self.approximate(a)?, self.approximate(b)?);
        let distance = self.arithmetic.add(&a, &Arithmetic::negated(&b))?;
        let size = [a.magnitude(), b.magnitude()].into_iter().flatten().max().unwrap_or(0).max(0);
        let bits = i64::try_from(self.arithmetic.bits).map_err(|_| Failure::Refused)?;
        Ok(distance.magnitude().is_none_or(|magnitude| magnitude <= size - bits / 2))
    }

    fn exact(&mut self, value: BigRational) -> Result<Value, Failure> {
        let bits = value.numer().bits().max(value.denom().bits());
        self.fuel.spend(1)?;
        if bits > MOST_BITS {
            return Err(Failure::Refused);
        }
        self.spread = self.spread.max(bits);
        Ok(Value::Exact(value))
    }

    /// Pays for an operation on two exact values, and says whether both are whole, so that nothing has to be reduced.
    fn pay(&self, a: &BigRational, b: &BigRational) -> Result<bool, Failure> {
        let bits = [a.numer(), a.denom(), b.numer(), b.denom()].iter().map(|part| part.bits()).sum::<u64>();
        let are_whole = a.denom().is_one() && b.denom().is_one();
        self.fuel.spend(if are_whole { bits / 200 } else { bits * bits / 20_000 })?;
        Ok(are_whole)
    }

    /// A value that cancelled to nothing but rounding says nothing about the sizes that were met.
    fn noted_unless_noise(&mut self, value: Complex) -> Result<Value, Failure> {
        let value = checked(value)?;
        if self.arithmetic.is_noise(&value) { Ok(Value::Approximate(value)) } else { self.noted(value) }
    }

    /// Takes note of how far a value is from one.
    fn noted(&mut self, value: Complex) -> Result<Value, Failure> {
        let value = checked(value)?;
        self.spread = self.spread.max(value.magnitude().unwrap_or(0).unsigned_abs());
        Ok(Value::Approximate(value))
    }

    fn constant(&mut self, constant: Constant) -> Result<Value, Failure> {
        match constant {
            Constant::Pi => Ok(Value::Approximate(self.arithmetic.pi()?)),
            Constant::Imaginary => Ok(Value::Approximate(self.arithmetic.imaginary_unit())),
            Constant::Infinity => Err(Failure::Undefined),
            Constant::Euler => {
                let one = self.arithmetic.rational(&BigRational::one())?;
                Ok(Value::Approximate(self.arithmetic.exponential(&one)?))
            }
        }
    }

    fn add(&mut self, a: Value, b: Value) -> Result<Value, Failure> {
        match (a, b) {
            (Value::Exact(a), Value::Exact(b)) => {
                let are_whole = self.pay(&a, &b)?;
                self.exact(if are_whole { BigRational::from_integer(a.numer() + b.numer()) } else { a + b })
            }
            (a, b) => {
                let (a, b) = (self.approximate(&a)?, self.approximate(&b)?);
                Ok(Value::Approximate(self.arithmetic.add(&a, &b)?))
            }
        }
    }

    fn multiply(&mut self, a: Value, b: Value) -> Result<Value, Failure> {
        match (a, b) {
            (Value::Exact(a), Value::Exact(b)) => {
                let are_whole = self.pay(&a, &b)?;
                self.exact(if are_whole { BigRational::from_integer(a.numer() * b.numer()) } else { a * b })
            }
            (Value::Exact(zero), _) | (_, Value::Exact(zero)) if zero.is_zero() => self.exact(zero),
            (a, b) => {
                let (a, b) = (self.approximate(&a)?, self.approximate(&b)?);
                let product = self.arithmetic.multiply(&a, &b)?;
                let has_noise = self.arithmetic.is_noise(&a) || self.arithmetic.is_noise(&b);
                if has_noise { self.noted_unless_noise(product) } else { self.noted(product) }
            }
        }
    }

    fn power(&mut self, base: Value, exponent: &Value) -> Result<Value, Failure> {
        let Value::Exact(exponent) = exponent else {
            return self.general_power(&base, exponent);
        };
        if exponent.is_integer() {
            return self.whole_power(base, exponent.numer());
        }
        let Some(degree) = exponent.denom().to_u32().filter(|degree| *degree <= LARGEST_EXPONENT) else {
            return self.general_power(&base, &Value::Exact(exponent.clone()));
        };
        if let Value::Exact(base) = &base {
            self.exact(base.clone())?;
            if let Some(root) = exact_root(base, degree) {
                return self.whole_power(Value::Exact(root), exponent.numer());
            }
        }
        let base = self.approximate(&base)?;
        let is_negative = base.is_real() && base.real.is_negative() && !base.real.is_zero();
        if degree == 2 && base.is_real() {
            let root = self.arithmetic.square_root(&base.real.abs())?;
            let root = self.arithmetic.real(root);
            let root =
                if is_negative { self.arithmetic.multiply(&root, &self.arithmetic.imaginary_unit())? } else { root };
            let root = self.noted(root)?;
            return self.whole_power(root, exponent.numer());
        }
        let exponent = Value::Exact(exponent.clone());
        if is_negative && degree % 2 == 1 {
            let Value::Exact(whole) = &exponent else { return Err(Failure::Refused) };
            let flips = (whole.numer() % 2_i32).abs().is_one();
            let power = self.general_power(&Value::Approximate(Arithmetic::negated(&base)), &exponent)?;
            let sign = Value::Exact(BigRational::from_integer(BigInt::from(if flips { -1 } else { 1 })));
            return self.multiply(sign, power);
        }
        self.general_power(&Value::Approximate(base), &exponent)
    }

    fn general_power(&mut self, base: &Value, exponent: &Value) -> Result<Value, Failure> {
        let (base, exponent) = (self.approximate(base)?, self.approximate(exponent)?);
        let logarithm = self.arithmetic.logarithm(&base)?;
        let product = self.arithmetic.multiply(&logarithm, &exponent)?;
        let power = self.arithmetic.exponential(&product)?;
        self.noted(power)
    }

    fn whole_power(&mut self, base: Value, exponent: &BigInt) -> Result<Value, Failure> {
        let times = exponent.magnitude().to_u64().ok_or(Failure::Refused);
        match base {
            Value::Exact(base) if base.is_zero() => {
                let exists = exponent.is_positive();
                if exists { self.exact(base) } else { Err(Failure::Undefined) }
            }
            Value::Exact(base) if base.abs().is_one() => {
                let flips = base.is_negative() && exponent.bit(0);
                let one = BigRational::one();
                self.exact(if flips { -one } else { one })
            }
            Value::Exact(base) => {
                let times = times?;
                let bits = base.numer().bits().max(base.denom().bits());
                if bits.checked_mul(times).is_none_or(|bits| bits > 2 * MOST_BITS) {
                    return Err(Failure::Refused);
                }
                let times = i32::try_from(times).map_err(|_| Failure::Refused)?;
                self.fuel.spend(1 + bits * u64::from(times.unsigned_abs()) / 100)?;
                self.exact(base.pow(if exponent.is_negative() { -times } else { times }))
            }
            Value::Approximate(base) => {
                let times = times?;
                if times > u64::from(LARGEST_EXPONENT) {
                    return Err(Failure::Refused);
                }
                let mut power = self.arithmetic.rational(&BigRational::one())?;
                for bit in (0..u64::BITS - times.leading_zeros()).rev() {
                    power = self.arithmetic.multiply(&power, &power)?;
                    if times >> bit & 1 == 1 {
                        power = self.arithmetic.multiply(&power, &base)?;
                    }
                }
                let power = if exponent.is_negative() { self.arithmetic.reciprocal(&power)? } else { power };
                self.noted(power)
            }
        }
    }

    fn call(&mut self, function: Function, arguments: Vec<Value>) -> Result<Value, Failure> {
        let mut arguments = arguments.into_iter();
        let argument = arguments.next().ok_or(Failure::Unread)?;
        if let Value::Exact(argument) = &argument {
            match function {
                Function::Absolute => return self.exact(argument.abs()),
                Function::Floor => return self.exact(argument.floor()),
                Function::Ceiling => return self.exact(argument.ceil()),
                Function::Factorial => return self.factorial(argument),
                Function::Binomial => {
                    let Some(Value::Exact(chosen)) = arguments.next() else { return Err(Failure::Refused) };
                    return self.binomial(argument, &chosen);
                }
                Function::Logarithm if argument.is_one() => return self.exact(BigRational::zero()),
                _ => {}
            }
        }
        let argument = self.approximate(&argument)?;
        let value = match function {
            Function::Absolute => self.arithmetic.absolute(&argument)?,
            Function::Logarithm => self.arithmetic.logarithm(&argument)?,
            Function::HyperbolicSine | Function::HyperbolicCosine | Function::HyperbolicTangent => {
                self.hyperbolic(function, &argument)?
            }
            _ if argument.is_real() => self.circular(function, &argument)?,
            _ => return Err(Failure::Refused),
        };
        // The zeros of a sine and the like are rounding, the tiny values of an exponential are not.
        self.noted_unless_noise(value)
    }

    fn circular(&mut self, function: Function, argument: &Complex) -> Result<Complex, Failure> {
        let real = &argument.real;
        Ok(match function {
            Function::Sine => {
                let sine = self.arithmetic.sine(real)?;
                self.arithmetic.real(sine)
            }
            Function::Cosine => {
                let cosine = self.arithmetic.cosine(real)?;
                self.arithmetic.real(cosine)
            }
            Function::Tangent => {
                let (sine, cosine) = (self.arithmetic.sine(real)?, self.arithmetic.cosine(real)?);
                let cosine = self.arithmetic.reciprocal(&self.arithmetic.real(cosine))?;
                self.arithmetic.multiply(&self.arithmetic.real(sine), &cosine)?
            }
            Function::ArcSine | Function::ArcCosine => {
                let arc = self.arithmetic.arc_sine(real)?;
                let arc = self.arithmetic.real(arc);
                if function == Function::ArcSine {
                    return Ok(arc);
                }
                let half = self.arithmetic.rational(&BigRational::new(BigInt::one(), BigInt::from(2)))?;
                let pi = self.arithmetic.pi()?;
                let right = self.arithmetic.multiply(&pi, &half)?;
                self.arithmetic.add(&right, &Arithmetic::negated(&arc))?
            }
            Function::ArcTangent => {
                let arc = self.arithmetic.arc_tangent(real)?;
                self.arithmetic.real(arc)
            }
            _ => return Err(Failure::Refused),
        })
    }

    fn hyperbolic(&mut self, function: Function, argument: &Complex) -> Result<Complex, Failure> {
        let up = self.arithmetic.exponential(argument)?;
        let down = Arithmetic::negated(&self.arithmetic.exponential(&Arithmetic::negated(argument))?);
        let half = self.arithmetic.rational(&BigRational::new(BigInt::one(), BigInt::from(2)))?;
        let sine = self.arithmetic.add(&up, &down)?;
        let cosine = self.arithmetic.add(&up, &Arithmetic::negated(&down))?;
        match function {
            Function::HyperbolicSine => self.arithmetic.multiply(&sine, &half),
            Function::HyperbolicCosine => self.arithmetic.multiply(&cosine, &half),
            _ => self.arithmetic.multiply(&sine, &self.arithmetic.reciprocal(&cosine)?),
        }
    }

    fn factorial(&mut self, argument: &BigRational) -> Result<Value, Failure> {
        let last = small_whole(argument)?;
        self.fuel.spend(u64::from(last))?;
        let product = (1..=last).fold(BigInt::one(), |product, factor| product * factor);
        self.exact(BigRational::from_integer(product))
    }

    fn binomial(&mut self, from: &BigRational, chosen: &BigRational) -> Result<Value, Failure> {
        let (from, chosen) = (small_whole(from)?, small_whole(chosen)?);
        self.fuel.spend(u64::from(from))?;
        let count = if chosen > from { BigInt::zero() } else { binomial(BigInt::from(from), BigInt::from(chosen)) };
        self.exact(BigRational::from_integer(count))
    }
}

/// A natural number that is small enough for a factorial.
fn small_whole(value: &BigRational) -> Result<u32, Failure> {
    let whole = value.is_integer().then(|| value.numer().to_u32()).flatten();
    whole.filter(|whole| *whole <= LARGEST_FACTORIAL).ok_or(Failure::Refused)
}
