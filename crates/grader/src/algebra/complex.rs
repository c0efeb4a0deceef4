//! Complex numbers of some hundred bits.

use astro_float::{BigFloat, RoundingMode, Sign};
use num_bigint::{BigInt, Sign as IntegerSign};
use num_rational::BigRational;

use crate::fuel::{Failure, Fuel};

/// Digits are cut off, never rounded; whoever compares leaves room for that.
const CUT: RoundingMode = RoundingMode::None;

/// Largest exponent of two of an argument of a sine or an exponential.
const LARGEST_ARGUMENT: i32 = 14;

/// A complex number; a real one has an imaginary part of exactly 0.
#[derive(Clone, Debug)]
pub(super) struct Complex {
    pub(super) real: BigFloat,
    pub(super) imaginary: BigFloat,
}

/// Computes with a given number of bits.
pub(super) struct Arithmetic<'a> {
    pub(super) bits: usize,
    fuel: &'a Fuel,
}

impl<'a> Arithmetic<'a> {
    pub(super) fn new(bits: usize, fuel: &'a Fuel) -> Self {
        Self { bits, fuel }
    }

    /// Pays for `count` multiplications.
    fn pay(&self, count: u64) -> Result<(), Failure> {
        let words = self.bits as u64 / 64;
        self.fuel.spend(1 + count * words * words / 256)
    }

    pub(super) fn real(&self, real: BigFloat) -> Complex {
        Complex { real, imaginary: BigFloat::new(self.bits) }
    }

    pub(super) fn imaginary_unit(&self) -> Complex {
        Complex { real: BigFloat::new(self.bits), imaginary: BigFloat::from_word(1, self.bits) }
    }

    pub(super) fn pi(&self) -> Result<Complex, Failure> {
        self.pay(20)?;
        let pi = self.fuel.with_constants(|constants| constants.pi(self.bits, CUT))?;
        Ok(self.real(pi))
    }

    pub(super) fn rational(&self, value: &BigRational) -> Result<Complex, Failure> {
        self.pay(4)?;
        let quotient = self.integer(value.numer()).div(&self.integer(value.denom()), self.bits, CUT);
        Ok(self.real(quotient))
    }

    fn integer(&self, value: &BigInt) -> BigFloat {
        let (sign, words) = value.to_u64_digits();
        if words.is_empty() {
            return BigFloat::new(self.bits);
        }
        let exponent = i32::try_from(words.len() * 64).unwrap_or(i32::MAX);
        let sign = if sign == IntegerSign::Minus { Sign::Neg } else { Sign::Pos };
        BigFloat::from_words(&words, sign, exponent)
    }

    pub(super) fn add(&self, a: &Complex, b: &Complex) -> Result<Complex, Failure> {
        self.pay(1)?;
        let sum = |a: &BigFloat, b| a.add(b, self.bits, CUT);
        checked(Complex { real: sum(&a.real, &b.real), imaginary: sum(&a.imaginary, &b.imaginary) })
    }

    pub(super) fn negated(a: &Complex) -> Complex {
        Complex { real: a.real.neg(), imaginary: a.imaginary.neg() }
    }

    pub(super) fn multiply(&self, a: &Complex, b: &Complex) -> Result<Complex, Failure> {
        self.pay(4)?;
        let product = |a: &BigFloat, b| a.mul(b, self.bits, CUT);
        if a.is_real() && b.is_real() {
            return checked(self.real(product(&a.real, &b.real)));
        }
        let real = product(&a.real, &b.real).sub(&product(&a.imaginary, &b.imaginary), self.bits, CUT);
        let imaginary = product(&a.real, &b.imaginary).add(&product(&a.imaginary, &b.real), self.bits, CUT);
        checked(Complex { real, imaginary })
    }

    pub(super) fn reciprocal(&self, a: &Complex) -> Result<Complex, Failure> {
        self.pay(8)?;
        if self.is_noise(a) {
            return Err(Failure::Undefined);
        }
        let square = |part: &BigFloat| part.mul(part, self.bits, CUT);
        let norm = square(&a.real).add(&square(&a.imaginary), self.bits, CUT);
        let part = |part: &BigFloat| part.div(&norm, self.bits, CUT);
        let imaginary = if a.is_real() { BigFloat::new(self.bits) } else { part(&a.imaginary).neg() };
        checked(Complex { real: part(&a.real), imaginary })
    }

    /// Whether a value may well be zero: nothing of it stands above the digits that rounding touches.
    pub(super) fn is_noise(&self, a: &Complex) -> bool {
        let floor = -i64::try_from(self.bits / 2).unwrap_or(i64::MAX);
        [&a.real, &a.imaginary].iter().all(|part| part.is_zero() || magnitude(part) < floor)
    }

    /// The distance from zero.
    pub(super) fn absolute(&self, a: &Complex) -> Result<Complex, Failure> {
        self.pay(12)?;
        if a.is_real() {
            return Ok(self.real(a.real.abs()));
        }
        let square = |part: &BigFloat| part.mul(part, self.bits, CUT);
        let norm = square(&a.real).add(&square(&a.imaginary), self.bits, CUT);
        checked(self.real(norm.sqrt(self.bits, CUT)))
    }

    pub(super) fn exponential(&self, a: &Complex) -> Result<Complex, Failure> {
        self.pay(400)?;
        small(&a.real)?;
        let radius = self.fuel.with_constants(|constants| a.real.exp(self.bits, CUT, constants))?;
        if a.is_real() {
            return checked(self.real(radius));
        }
        let (cosine, sine) = (self.cosine(&a.imaginary)?, self.sine(&a.imaginary)?);
        let part = |turn: &BigFloat| turn.mul(&radius, self.bits, CUT);
        checked(Complex { real: part(&cosine), imaginary: part(&sine) })
    }

    /// The principal logarithm.
    pub(super) fn logarithm(&self, a: &Complex) -> Result<Complex, Failure> {
        self.pay(400)?;
        if self.is_noise(a) {
            return Err(Failure::Undefined);
        }
        let radius = self.absolute(a)?.real;
        let real = self.fuel.with_constants(|constants| radius.ln(self.bits, CUT, constants))?;
        let imaginary = self.angle(a)?;
        checked(Complex { real, imaginary })
    }

    /// The principal argument, above -π and at most π.
    fn angle(&self, a: &Complex) -> Result<BigFloat, Failure> {
        let is_left = a.real.is_negative() && !a.real.is_zero();
        if a.is_real() {
            return Ok(if is_left { self.pi()?.real } else { BigFloat::new(self.bits) });
        }
        self.pay(400)?;
        let pi = self.pi()?.real;
        let up = !a.imaginary.is_negative();
        if a.real.is_zero() {
            let half = pi.div(&BigFloat::from_word(2, self.bits), self.bits, CUT);
            return Ok(if up { half } else { half.neg() });
        }
        let slope = a.imaginary.div(&a.real, self.bits, CUT);
        let angle = self.fuel.with_constants(|constants| slope.atan(self.bits, CUT, constants))?;
        Ok(match (is_left, up) {
            (false, _) => angle,
            (true, true) => angle.add(&pi, self.bits, CUT),
            (true, false) => angle.sub(&pi, self.bits, CUT),
        })
    }

    pub(super) fn square_root(&self, a: &BigFloat) -> Result<BigFloat, Failure> {
        self.pay(10)?;
        Ok(a.sqrt(self.bits, CUT))
    }

    pub(super) fn sine(&self, a: &BigFloat) -> Result<BigFloat, Failure> {
        self.pay(400)?;
        small(a)?;
        self.fuel.with_constants(|constants| a.sin(self.bits, CUT, constants))
    }

    pub(super) fn cosine(&self, a: &BigFloat) -> Result<BigFloat, Failure> {
        self.pay(400)?;
        small(a)?;
        self.fuel.with_constants(|constants| a.cos(self.bits, CUT, constants))
    }

    /// The arc sine of a number between -1 and 1.
    pub(super) fn arc_sine(&self, a: &BigFloat) -> Result<BigFloat, Failure> {
        self.pay(800)?;
        let one = BigFloat::from_word(1, self.bits);
        if a.abs_cmp(&one).is_none_or(|order| order > 0) {
            return Err(Failure::Undefined);
        }
        self.fuel.with_constants(|constants| a.asin(self.bits, CUT, constants))
    }

    pub(super) fn arc_tangent(&self, a: &BigFloat) -> Result<BigFloat, Failure> {
        self.pay(400)?;
        self.fuel.with_constants(|constants| a.atan(self.bits, CUT, constants))
    }
}

impl Complex {
    pub(super) fn is_real(&self) -> bool {
        self.imaginary.is_zero()
    }

    /// The exponent of two of the larger part; `None` for zero.
    pub(super) fn magnitude(&self) -> Option<i64> {
        [&self.real, &self.imaginary].iter().filter(|part| !part.is_zero()).map(|part| magnitude(part)).max()
    }
}

fn magnitude(part: &BigFloat) -> i64 {
    part.exponent().map_or(i64::MAX, i64::from)
}

/// Refuses an argument whose function would take long, or overflow.
fn small(argument: &BigFloat) -> Result<(), Failure> {
    let fits = argument.is_zero() || argument.exponent().is_some_and(|exponent| exponent <= LARGEST_ARGUMENT);
    if fits { Ok(()) } else { Err(Failure::Refused) }
}

/// Refuses what is no number.
pub(super) fn checked(value: Complex) -> Result<Complex, Failure> {
    let finite = |part: &BigFloat| !part.is_nan() && !part.is_inf();
    if finite(&value.real) && finite(&value.imaginary) { Ok(value) } else { Err(Failure::Refused) }
}
