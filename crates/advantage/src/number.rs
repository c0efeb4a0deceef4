//! Numbers that are checked when they are made or read, so that a component that exists can run.

use serde::{Deserialize, Serialize};

use crate::CreditError;

macro_rules! checked_number {
    ($(#[$documentation:meta])* $name:ident, $range:literal, |$value:ident| $accepts:expr) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            const fn accepts($value: f64) -> bool {
                $accepts
            }

            /// Takes `value` if it lies in the range of this type.
            ///
            /// # Errors
            /// [`CreditError::OutOfRange`] if it does not, or is not a number.
            pub const fn new(value: f64) -> Result<Self, CreditError> {
                if Self::accepts(value) {
                    Ok(Self(value))
                } else {
                    Err(CreditError::OutOfRange { value, range: $range })
                }
            }

            /// Takes a number written in the source; in a `const` a wrong one does not compile.
            ///
            /// # Panics
            /// If `value` does not lie in the range of this type.
            pub const fn literal(value: f64) -> Self {
                assert!(Self::accepts(value), concat!("the number must lie in ", $range));
                Self(value)
            }

            /// The number itself.
            pub const fn value(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = CreditError;

            fn try_from(value: f64) -> Result<Self, CreditError> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(number: $name) -> Self {
                number.0
            }
        }
    };
}

checked_number! {
    /// A share of a whole, in `0..=1`.
    Fraction, "0..=1", |value| value >= 0.0 && value <= 1.0
}

checked_number! {
    /// A finite number that is at least 0.
    NonNegative, "0..infinity", |value| value >= 0.0 && value < f64::INFINITY
}

checked_number! {
    /// A finite number above 0.
    Positive, "0..infinity without 0", |value| value > 0.0 && value < f64::INFINITY
}

checked_number! {
    /// A finite number that is at least 1.
    AtLeastOne, "1..infinity", |value| value >= 1.0 && value < f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_at_their_ends() {
        assert!(Fraction::new(0.0).is_ok() && Fraction::new(1.0).is_ok());
        assert!(NonNegative::new(0.0).is_ok() && Positive::new(0.0).is_err());
        assert!(AtLeastOne::new(1.0).is_ok() && AtLeastOne::new(0.999).is_err());
        for value in [-0.1, f64::NAN, f64::INFINITY] {
            let error = Fraction::new(value).expect_err("no share").to_string();
            assert!(error.contains(&value.to_string()) && error.contains("0..=1"), "{error}");
            assert!(NonNegative::new(value).is_err());
            assert!(Positive::new(value).is_err());
            assert!(AtLeastOne::new(value).is_err());
        }
    }

    #[test]
    fn reading_checks_too() {
        assert_eq!(serde_json::from_str::<Fraction>("0.4").expect("a share").value(), 0.4);
        assert_eq!(serde_json::from_str::<AtLeastOne>("2").expect("above 1").value(), 2.0);
        assert!(serde_json::from_str::<Fraction>("1.5").is_err());
        assert_eq!(serde_json::to_string(&Fraction::literal(0.4)).expect("a number"), "0.4");
    }
}
