//! Sums over the outcomes of one row.

use crate::host::exp;

/// Numbers summed side by side.
const LANES: usize = 16;
/// Numbers summed in f32 before their sum is added in f64, so that rounding does not grow with the number of outcomes.
const BLOCK: usize = 2048;

/// What normalizes a row of logits.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The largest logit.
    pub(super) highest: f32,
    /// Logarithm of the sum of exponentials, each taken of the distance from the largest.
    pub(super) log_total: f32,
    /// Entropy of the distribution, nats.
    pub(super) entropy: f32,
}

impl Row {
    #[inline(always)]
    pub(super) fn of(logits: &[f32]) -> Self {
        let highest = highest(logits);
        let [total, weighted] = sums(logits, logits, |logit, _| {
            let below = logit - highest;
            let share = exp(below);
            [share, if share == 0.0 { 0.0 } else { share * below }]
        });
        let log_total = total.ln();
        Self { highest, log_total: log_total as f32, entropy: (log_total - weighted / total) as f32 }
    }

    /// Log-probability of the outcome with this logit.
    #[inline(always)]
    pub(super) fn log_prob(&self, logit: f32) -> f32 {
        (logit - self.highest) - self.log_total
    }
}

/// The divergence of the first row's distribution from the second's, nats.
///
/// It is summed over distances from the largest logits, and the normalizers are taken off once, so that equal rows are 0
/// apart to the last bit.
#[inline(always)]
pub(super) fn forward_kl(logits: &[f32], of: &Row, others: &[f32], other: &Row) -> f32 {
    let [total, weighted] = sums(logits, others, |logit, another| {
        let below = logit - of.highest;
        let share = exp(below);
        let difference = below - (another - other.highest);
        [share, if share == 0.0 { 0.0 } else { share * difference }]
    });
    let divergence = weighted / total - f64::from(of.log_total) + f64::from(other.log_total);
    // Rounding may leave a little below 0; not-a-number stays.
    if divergence < 0.0 { 0.0 } else { divergence as f32 }
}

/// The Jensen-Shannon divergence of two rows' distributions, nats.
#[inline(always)]
pub(super) fn jensen_shannon(logits: &[f32], of: &Row, others: &[f32], other: &Row) -> f32 {
    let [from_first, from_second] = sums(logits, others, |logit, another| {
        let (first, second) = (of.log_prob(logit), other.log_prob(another));
        let difference = first - second;
        let rest = ln_1p(exp(-difference.abs()));
        let term = |log_prob: f32, difference: f32| {
            let share = exp(log_prob);
            let surprise = if difference < 0.0 { difference } else { 0.0 } - rest + std::f32::consts::LN_2;
            if share == 0.0 { 0.0 } else { share * surprise }
        };
        [term(first, difference), term(second, -difference)]
    });
    let divergence = 0.5 * (from_first + from_second);
    if divergence < 0.0 { 0.0 } else { divergence as f32 }
}

/// `ln(1 + x)` for `x` from 0 to 1, within a few units in the last place.
///
/// `2 artanh(x / (2 + x))`, whose series has terms of a ninth of one another at most.
#[inline(always)]
fn ln_1p(x: f32) -> f32 {
    let ratio = x / (2.0 + x);
    let square = ratio * ratio;
    let series = [13.0, 11.0, 9.0, 7.0, 5.0, 3.0].iter().fold(1.0 / 15.0, |sum, odd| square.mul_add(sum, 1.0 / odd));
    2.0 * ratio * square.mul_add(series, 1.0)
}

/// The largest number, −∞ of none; not-a-number is passed over.
#[inline(always)]
fn highest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let parts = row.chunks_exact(LANES);
    let rest = parts.remainder();
    for part in parts {
        for lane in 0..LANES {
            lanes[lane] = if part[lane] > lanes[lane] { part[lane] } else { lanes[lane] };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Sums of what `f` makes of the pairs, in an order that depends on their number alone.
#[inline(always)]
fn sums(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> [f32; 2]) -> [f64; 2] {
    let mut totals = [0.0_f64; 2];
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let (mut first, mut second) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (a_parts, b_parts) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest = a_parts.remainder().iter().zip(b_parts.remainder());
        for (lane, (&a, &b)) in rest.enumerate() {
            [first[lane], second[lane]] = f(a, b);
        }
        for (a, b) in a_parts.zip(b_parts) {
            for lane in 0..LANES {
                let [one, two] = f(a[lane], b[lane]);
                first[lane] += one;
                second[lane] += two;
            }
        }
        for lane in 0..LANES {
            totals[0] += f64::from(first[lane]);
            totals[1] += f64::from(second[lane]);
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_accurate() {
        for i in 0..=1000 {
            let x = i as f32 / 1000.0;
            let expected = f64::from(x).ln_1p();
            let error = (f64::from(ln_1p(x)) - expected).abs();
            assert!(error <= 3e-7 * expected, "{x}: {error:e}");
        }
    }

    #[test]
    fn sums_of_any_length() {
        for length in [0, 1, 15, 16, 17, BLOCK, BLOCK + 3, 3 * BLOCK - 1] {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected = (length * length.saturating_sub(1) / 2) as f64;
            assert_eq!(sums(&values, &values, |a, b| [a, -b]), [expected, -expected], "{length}");
            assert_eq!(highest(&values), if length == 0 { f32::NEG_INFINITY } else { (length - 1) as f32 });
        }
    }
}
