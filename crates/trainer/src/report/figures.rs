//! Figures over a list of values. Of nothing there is none: not a number.

/// Mean and extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    pub(super) max: f64,
    pub(super) min: f64,
}

impl Spread {
    pub(super) fn of(values: &[f64]) -> Self {
        // NaN stays NaN, which `f64::max` would pass over.
        let extreme = |better: fn(f64, f64) -> f64| {
            values.iter().copied().reduce(|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { better(a, b) })
        };
        Self {
            mean: mean(values),
            max: extreme(f64::max).unwrap_or(f64::NAN),
            min: extreme(f64::min).unwrap_or(f64::NAN),
        }
    }
}

/// A sum over a count.
pub(super) fn ratio(sum: f64, count: f64) -> f64 {
    if count > 0.0 { sum / count } else { f64::NAN }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    ratio(values.iter().sum(), values.len() as f64)
}

/// Share of the flags that are set.
pub(super) fn share(flags: impl Iterator<Item = bool>) -> f64 {
    let (set, count) = flags.fold((0_usize, 0_usize), |(set, count), flag| (set + usize::from(flag), count + 1));
    ratio(set as f64, count as f64)
}

/// Sample standard deviation, over one less than the count, as `torch.std`; of fewer than two values there is none.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    ratio(values.iter().map(|value| (value - mean).powi(2)).sum(), values.len() as f64 - 1.0).sqrt()
}

/// Pearson's correlation; there is none if either list has a single value throughout.
pub(super) fn correlation(ours: &[f64], theirs: &[f64]) -> f64 {
    let (of_ours, of_theirs) = (mean(ours), mean(theirs));
    let [mut both, mut first, mut second] = [0.0; 3];
    for (a, b) in ours.iter().zip(theirs) {
        let (a, b) = (a - of_ours, b - of_theirs);
        both += a * b;
        first += a * a;
        second += b * b;
    }
    ratio(both, (first * second).sqrt())
}

/// The smallest of ascending values that at least this percentage of them do not exceed.
pub(super) fn percentile(ascending: &[f64], percent: usize) -> f64 {
    let rank = (ascending.len() * percent).div_ceil(100).max(1);
    ascending.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_figures() {
        let values = [2.0, 4.0, 4.0, 10.0];
        assert_eq!(Spread::of(&values), Spread { mean: 5.0, max: 10.0, min: 2.0 });
        assert!((deviation(&values) - 12.0_f64.sqrt()).abs() < 1e-12, "a variance of 36 / 3");
        assert_eq!(share([true, false, false, true, true].into_iter()), 0.6);
        let ascending: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!([10, 50, 90, 99, 100].map(|percent| percentile(&ascending, percent)), [2.0, 10.0, 18.0, 20.0, 20.0]);
        assert_eq!(percentile(&ascending[..1], 10), 1.0);
        assert!((correlation(&[1.0, 2.0, 3.0], &[5.0, 7.0, 9.0]) - 1.0).abs() < 1e-12);
        assert!((correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        // Sums of products 3, of squares 2 and 6.
        assert!((correlation(&[1.0, 2.0, 3.0], &[1.0, 1.0, 4.0]) - 3.0 / 12.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn nothing_has_no_figures() {
        let Spread { mean, max, min } = Spread::of(&[]);
        let single = [deviation(&[1.0]), correlation(&[1.0, 1.0], &[1.0, 2.0]), ratio(1.0, 0.0)];
        let nothing = [mean, max, min, share(std::iter::empty()), percentile(&[], 50), deviation(&[])];
        assert!(nothing.iter().chain(&single).all(|figure| figure.is_nan()), "{nothing:?} {single:?}");
        let spoilt = Spread::of(&[1.0, f64::NAN, 2.0]);
        assert!(spoilt.mean.is_nan() && spoilt.max.is_nan() && spoilt.min.is_nan(), "{spoilt:?}");
    }
}
