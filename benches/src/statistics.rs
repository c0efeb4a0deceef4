//! Medians with their spread.

/// The middle of some measurements, and how far they reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Median.
    pub(crate) median: f64,
    /// Smallest.
    pub(crate) least: f64,
    /// Largest.
    pub(crate) most: f64,
}

impl Spread {
    /// Of some numbers; `None` without any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, least, most })
    }

    /// As `median (least–most)`, each written by `format`.
    pub(crate) fn written(&self, format: impl Fn(f64) -> String) -> String {
        format!("{} ({}–{})", format(self.median), format(self.least), format(self.most))
    }
}

/// A number with three significant digits.
pub(crate) fn three_digits(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { 2 - value.abs().log10().floor() as i32 };
    format!("{value:.*}", usize::try_from(digits.clamp(0, 6)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied()).map(|s| [s.median, s.least, s.most]);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some([2.0, 1.0, 3.0]));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some([2.5, 1.0, 4.0]));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn numbers_keep_three_digits() {
        let written: Vec<String> = [0.0, 0.012_345, 1.0, 12.345, 123.45, 1234.5].map(three_digits).into();
        assert_eq!(written, ["0", "0.0123", "1.00", "12.3", "123", "1234"]);
    }
}
