//! Laws of the soft token filter.

use advantage::{Fraction, SoftTokenFilter};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{Batch, Padding, Response, assert_close, batch, ones, padding, responses, shaped, widened};
use crate::token_filter::shuffled_tokens;

/// Scores of a few standard deviations, and sums of a few gates, in f32; the bisection ends within 1e-6 of its root.
const TOLERANCE: f64 = 5e-6;

fn share() -> impl Strategy<Value = Fraction> {
    let edge = select(&[0.0, 1e-12, 0.4, 1.0][..]);
    prop_oneof![1 => edge, 2 => 0.01..=0.99f64].prop_map(|share| Fraction::new(share).expect("a share"))
}

fn gates(keep: Fraction, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    shaped(&SoftTokenFilter { keep }, batch, padding).1
}

fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

/// The gates of one response: far-away ends, and two hundred halvings between them.
fn naive(keep: f64, response: &Response) -> Vec<f64> {
    if !response.visual {
        return vec![1.0; response.scores.len()];
    }
    let scores: Vec<f64> = response.scores.iter().copied().map(f64::from).collect();
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scores: Vec<f64> = scores.iter().map(|score| (score - mean) / (deviation + 1e-8)).collect();
    let gates = |offset: f64| scores.iter().map(|score| sigmoid(score - offset)).collect::<Vec<f64>>();
    let (mut low, mut high) = (-100.0, 100.0);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if gates(middle).iter().sum::<f64>() / count > keep { low = middle } else { high = middle }
    }
    gates(high)
}

proptest! {
    /// The gates of the naive loop; advantages stay.
    #[test]
    fn equals_the_naive_loop(batch in batch(), padding in padding(), keep in share()) {
        let (advantage, gate) = shaped(&SoftTokenFilter { keep }, &batch, padding);
        let expected: Vec<Vec<f64>> =
            responses(&batch).into_iter().map(|response| naive(keep.value(), response)).collect();
        assert_close(&gate, &expected, TOLERANCE)?;
        prop_assert_eq!(advantage, ones(&batch));
    }

    /// The gates of every response with tokens average the share, and none leaves `0..=1`.
    #[test]
    fn averages_the_share(batch in batch(), padding in padding(), keep in share()) {
        let rows = gates(keep, &batch, padding);
        for (response, row) in responses(&batch).into_iter().zip(rows).filter(|(response, _)| response.visual) {
            prop_assert!(row.iter().all(|gate| (0.0..=1.0).contains(gate)), "{:?}", row);
            let total: f64 = row.iter().copied().map(f64::from).sum();
            let count = response.scores.len() as f64;
            prop_assert!((total - keep.value() * count).abs() <= 2e-6 * count, "{:?}", row);
        }
    }

    /// A more dependent token speaks at least as loudly.
    #[test]
    fn follows_the_dependency(batch in batch(), padding in padding(), keep in share()) {
        let rows = gates(keep, &batch, padding);
        for (response, row) in responses(&batch).into_iter().zip(rows).filter(|(response, _)| response.visual) {
            let mut pairs: Vec<(f32, f32)> = response.scores.iter().copied().zip(row).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            prop_assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 1e-6), "{:?}", pairs);
        }
    }

    /// Equal scores, however large, have equal gates: the share.
    #[test]
    fn equal_scores_get_the_share(
        score in select(&[0.0f32, 0.1, 0.7, 1e-30, 3e30][..]), length in 1..=9usize, padding in padding(), keep in 0.01..=0.99f64,
    ) {
        let batch = vec![vec![Response { reward: 0.0, visual: true, scores: vec![score; length] }]];
        let gates = gates(Fraction::new(keep).expect("a share"), &batch, padding);
        assert_close(&gates, &[vec![keep; length]], 1e-6)?;
    }

    /// Shuffled tokens carry their gates with them.
    #[test]
    fn commutes_with_token_permutations((batch, shuffled) in shuffled_tokens(), padding in padding(), keep in share()) {
        let story = |batch: &Batch| -> Vec<Vec<f32>> {
            let rows = responses(batch).into_iter().zip(gates(keep, batch, padding));
            rows.map(|(response, gates)| {
                let mut pairs: Vec<(f32, f32)> = response.scores.iter().copied().zip(gates).collect();
                pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
                pairs.into_iter().map(|(_, gate)| gate).collect()
            })
            .collect()
        };
        assert_close(&story(&shuffled), &widened(&story(&batch)), TOLERANCE)?;
    }

    /// An unknown dependency makes the gates of its whole response unknown, and of no other.
    #[test]
    fn an_unknown_dependency_shows(
        mut batch in batch(), padding in padding(), keep in share(),
        unknown in select(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY][..]),
    ) {
        let untouched = gates(keep, &batch, padding);
        batch[0][0].visual = true;
        batch[0][0].scores = vec![0.5, unknown, 0.25];
        let rows = gates(keep, &batch, padding);
        prop_assert!(rows[0].iter().all(|gate| gate.is_nan()), "{:?}", rows[0]);
        // The table may have another width now, and a device adds in another order.
        assert_close(&rows[1..], &widened(&untouched[1..]), TOLERANCE)?;
    }
}

#[test]
fn two_tokens_by_hand() {
    // Standardized scores -1 and 1: an offset of 1 leaves -2 and 0.
    let low = sigmoid(-2.0);
    let batch = vec![vec![Response { reward: 0.0, visual: true, scores: vec![3.0, 7.0] }]];
    let keep = Fraction::new((low + 0.5) / 2.0).expect("a share");
    let found = gates(keep, &batch, Padding { before: 1, after: 1, garbage: f32::NAN });
    assert_close(&found, &[vec![low, 0.5]], 1e-6).expect("the sigmoid of the standardized scores");
}

/// The extremes are those of all and of none, on responses whose scores pull them apart as far as they can.
#[test]
fn nothing_or_everything_is_kept_of_a_lopsided_response() {
    let scores: Vec<f32> = (0..2048).map(|token| if token == 7 { 10.0 } else { 0.0 }).collect();
    let batch = vec![vec![Response { reward: 0.0, visual: true, scores }]];
    let padding = Padding { before: 0, after: 1, garbage: f32::NAN };
    let all = gates(Fraction::literal(1.0), &batch, padding).concat();
    assert!(all.iter().all(|&gate| gate == 1.0));
    let none = gates(Fraction::literal(0.0), &batch, padding).concat();
    assert!(none.iter().all(|&gate| gate < 1e-20), "{none:?}");
    let half = gates(Fraction::literal(0.5), &batch, padding).concat();
    let mean = half.iter().copied().map(f64::from).sum::<f64>() / 2048.0;
    // The offset is near 45, where f32 resolves 4e-6 and a gate moves by a quarter of it; the exponential has its own error.
    assert!((mean - 0.5).abs() < 4e-6 && half[7] == 1.0, "{mean}");
}
