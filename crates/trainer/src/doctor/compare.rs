//! How far two lists of values are apart.

use std::fmt::{self, Display, Formatter};

/// How far a value may be from the expected one, `e`: by `absolute + relative |e| + of_largest max |e|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In units of the value.
    pub absolute: f64,
    /// As a share of the expected value.
    pub relative: f64,
    /// As a share of the largest expected value of the list.
    pub of_largest: f64,
    /// Why not less, and why not more.
    pub reason: &'static str,
}

impl Tolerance {
    /// Not at all.
    pub(super) const fn exact(reason: &'static str) -> Self {
        Self { absolute: 0.0, relative: 0.0, of_largest: 0.0, reason }
    }
}

impl Display for Tolerance {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let parts = [(self.absolute, ""), (self.relative, "·|x|"), (self.of_largest, "·max|x|")];
        let parts: Vec<String> =
            parts.iter().filter(|(part, _)| *part > 0.0).map(|(part, of)| format!("{part:.0e}{of}")).collect();
        formatter.write_str(&if parts.is_empty() { "0".to_owned() } else { parts.join(" + ") })
    }
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// Largest difference; infinite if one side alone is not a number or infinite.
    pub(super) absolute: f64,
    /// Largest difference as a share of the expected value, over values other than 0.
    pub(super) relative: f64,
    /// The value that is furthest beyond the tolerance, in words, if any is.
    pub(super) worst: Option<String>,
}

/// Compares element by element. Numbers that are none and infinities of one sign are equal to themselves.
pub(super) fn compare(found: &[f32], expected: &[f32], tolerance: &Tolerance) -> Difference {
    if found.len() != expected.len() {
        let worst = Some(format!("{} values, expected {}", found.len(), expected.len()));
        return Difference { absolute: f64::INFINITY, relative: f64::INFINITY, worst };
    }
    let finite = expected.iter().map(|value| f64::from(value.abs())).filter(|size| size.is_finite());
    let largest = finite.fold(0.0, f64::max);
    let mut difference = Difference { absolute: 0.0, relative: 0.0, worst: None };
    let mut furthest = 0.0;
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        if found == expected || (found.is_nan() && expected.is_nan()) {
            continue;
        }
        let (is, size) = (f64::from(found) - f64::from(expected), f64::from(expected.abs()));
        // One of them is not a number, or infinite.
        let is = if is.is_finite() { is.abs() } else { f64::INFINITY };
        difference.absolute = difference.absolute.max(is);
        if expected != 0.0 {
            let share = is / size;
            difference.relative = difference.relative.max(if share.is_nan() { f64::INFINITY } else { share });
        }
        let beyond = is - (tolerance.absolute + tolerance.relative * size + tolerance.of_largest * largest);
        // An infinite expected value makes the bound infinite too.
        let beyond = if beyond.is_nan() { f64::INFINITY } else { beyond };
        if beyond > furthest {
            furthest = beyond;
            difference.worst = Some(format!("value {index} is {found:e}, expected {expected:e}"));
        }
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance { absolute: 0.5, relative: 0.125, of_largest: 0.25, reason: "" };

    #[test]
    fn a_value_at_its_bound_is_within() {
        // 0.5 + 0.125 * 4 + 0.25 * 8 = 3
        let at = compare(&[7.0, 8.0], &[4.0, 8.0], &TOLERANCE);
        assert_eq!(at, Difference { absolute: 3.0, relative: 0.75, worst: None });
        let beyond = compare(&[7.001, 8.0], &[4.0, 8.0], &TOLERANCE);
        assert_eq!(beyond.worst.as_deref(), Some("value 0 is 7.001e0, expected 4e0"));
        assert!(compare(&[-1.001, -8.0], &[-4.0, -8.0], &Tolerance { absolute: 0.4, ..TOLERANCE }).worst.is_some());
    }

    #[test]
    fn numbers_that_are_none_equal_only_themselves() {
        let is_within = |found: f32, expected: f32| compare(&[found], &[expected], &TOLERANCE).worst.is_none();
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(is_within(value, value) && !is_within(value, 1.0) && !is_within(1.0, value), "{value}");
            assert!(value.is_nan() || !is_within(value, -value));
        }
        assert!(!is_within(f32::NAN, f32::INFINITY) && !is_within(f32::INFINITY, f32::NAN));
        assert_eq!(compare(&[f32::NAN], &[1.0], &TOLERANCE).absolute, f64::INFINITY);
        assert!(is_within(0.0, -0.0));
    }

    #[test]
    fn lists_of_other_lengths_differ() {
        assert!(compare(&[1.0], &[1.0, 2.0], &TOLERANCE).worst.is_some());
        assert_eq!(compare(&[], &[], &TOLERANCE).worst, None);
    }

    #[test]
    fn tolerances_are_written_as_what_they_are() {
        assert_eq!(Tolerance::exact("").to_string(), "0");
        assert_eq!(Tolerance { of_largest: 0.0, absolute: 1e-5, ..TOLERANCE }.to_string(), "1e-5 + 1e-1·|x|");
    }
}
