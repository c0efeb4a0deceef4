//! The share that one of two scores has in their mean.

use serde::{Deserialize, Serialize};

use crate::RewardError;

/// A share in `0..=1`, checked when it is made or read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Weight(f32);

impl Weight {
    /// No share at all.
    pub const ZERO: Self = Self(0.0);

    /// Takes `value` if it is a share.
    ///
    /// # Errors
    /// [`RewardError::WeightOutOfRange`] if `value` is below 0, above 1 or not a number.
    pub fn new(value: f32) -> Result<Self, RewardError> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(RewardError::WeightOutOfRange { value }) }
    }

    /// The share itself, in `0..=1`.
    pub fn value(self) -> f32 {
        self.0
    }

    /// The weighted mean `(1 − w)·rest + w·part`, with `w` this weight.
    pub fn blend(self, rest: f32, part: f32) -> f32 {
        (1.0 - self.0) * rest + self.0 * part
    }
}

impl TryFrom<f32> for Weight {
    type Error = RewardError;

    fn try_from(value: f32) -> Result<Self, RewardError> {
        Self::new(value)
    }
}

impl From<Weight> for f32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

#[cfg(test)]
mod tests {
    use super::Weight;

    #[test]
    fn refuses_what_is_no_share() {
        for value in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            let error = Weight::new(value).expect_err("not a share").to_string();
            assert!(error.contains(&value.to_string()), "{error}");
        }
    }

    #[test]
    fn blends_by_its_share() {
        let quarter = Weight::new(0.25).expect("a share");
        assert_eq!(quarter.blend(4.0, 8.0), 5.0);
    }
}
