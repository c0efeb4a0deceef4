//! Laws of the perception gate.

use advantage::{Fraction, NonNegative, PerceptionGate};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{Batch, Padding, Response, assert_close, batch, ones, padding, responses, shaped, widened};
use crate::token_filter::shuffled_tokens;

/// The logarithm of a score carries an error of 1e-7 of its size, and scores of one response may lie within a hundredth of
/// their size; the weights magnify the quotient up to fivefold.
const TOLERANCE: f64 = 2e-4;

fn gate() -> impl Strategy<Value = PerceptionGate> {
    let threshold = select(&[0.0, 0.2, 0.4, 0.6, 1.0][..]);
    (threshold, select(&[0.0, 1.0, 2.0][..])).prop_map(|(threshold, boost)| PerceptionGate {
        threshold: Fraction::new(threshold).expect("a share"),
        boost: NonNegative::new(boost).expect("not negative"),
    })
}

fn weights(gate: PerceptionGate, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    shaped(&gate, batch, padding).0
}

/// The weights of one response, written down as in the paper.
fn naive(gate: PerceptionGate, response: &Response) -> Vec<f64> {
    const EPSILON: f64 = 1e-8;
    if !response.visual {
        return vec![1.0; response.scores.len()];
    }
    let scores: Vec<f64> = response.scores.iter().map(|&score| f64::from(score).ln_1p()).collect();
    let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (threshold, boost) = (gate.threshold.value(), gate.boost.value());
    let weight = |score: &f64| {
        let place = (score - lowest) / (highest - lowest + EPSILON);
        if place < threshold {
            place / (threshold + EPSILON)
        } else {
            1.0 + boost * (place - threshold) / (1.0 - threshold + EPSILON)
        }
    };
    let weights: Vec<f64> = scores.iter().map(weight).collect();
    let mass: f64 = weights.iter().sum();
    if mass <= 1e-8 {
        return vec![1.0; scores.len()];
    }
    weights.iter().map(|weight| weight * scores.len() as f64 / mass).collect()
}

proptest! {
    /// The weights that the paper writes down; gates stay.
    #[test]
    fn equals_the_naive_loop(batch in batch(), padding in padding(), gate in gate()) {
        let (advantage, gates) = shaped(&gate, &batch, padding);
        let expected: Vec<Vec<f64>> = responses(&batch).into_iter().map(|response| naive(gate, response)).collect();
        assert_close(&advantage, &expected, TOLERANCE)?;
        prop_assert_eq!(gates, ones(&batch));
    }

    /// Advantage is moved, not made: weights are at least 0 and average 1 over every response.
    #[test]
    fn conserves_mass_and_signs(batch in batch(), padding in padding(), gate in gate()) {
        for row in weights(gate, &batch, padding) {
            prop_assert!(row.iter().all(|&weight| weight >= 0.0), "{:?}", row);
            let mass: f64 = row.iter().copied().map(f64::from).sum();
            prop_assert!((mass - row.len() as f64).abs() <= 1e-5 * row.len() as f64, "{:?}", row);
        }
    }

    /// A more dependent token never weighs less.
    #[test]
    fn follows_the_dependency(batch in batch(), padding in padding(), gate in gate()) {
        let rows = weights(gate, &batch, padding);
        for (response, weights) in responses(&batch).into_iter().zip(rows).filter(|(response, _)| response.visual) {
            let mut pairs: Vec<(f32, f32)> = response.scores.iter().copied().zip(weights).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            prop_assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1 * (1.0 + 1e-6)), "{:?}", pairs);
        }
    }

    /// Shuffled tokens carry their weights with them.
    #[test]
    fn commutes_with_token_permutations((batch, shuffled) in shuffled_tokens(), padding in padding(), gate in gate()) {
        let story = |batch: &Batch| -> Vec<Vec<f32>> {
            let rows = responses(batch).into_iter().zip(weights(gate, batch, padding));
            rows.map(|(response, weights)| {
                let mut pairs: Vec<(f32, f32)> = response.scores.iter().copied().zip(weights).collect();
                pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
                pairs.into_iter().map(|(_, weight)| weight).collect()
            })
            .collect()
        };
        assert_close(&story(&shuffled), &widened(&story(&batch)), 2e-5)?;
    }

    /// An unknown dependency makes its whole response unknown, and no other.
    #[test]
    fn an_unknown_dependency_shows(
        mut batch in batch(), padding in padding(), gate in gate(), unknown in select(&[f32::NAN, f32::INFINITY][..]),
    ) {
        let untouched = weights(gate, &batch, padding);
        batch[0][0].visual = true;
        batch[0][0].scores = vec![0.5, unknown, 0.25];
        let rows = weights(gate, &batch, padding);
        prop_assert!(rows[0].iter().all(|weight| weight.is_nan()), "{:?}", rows[0]);
        prop_assert_eq!(&rows[1..], &untouched[1..]);
    }
}

#[test]
fn three_tokens_by_hand() {
    // log(1 + s) = 0, 1, 2 times log 2: rescaled 0, 1/2, 1. Weights 0, 4/3 and 3 (threshold 0.4, boost 2) sum to 13/3.
    let response = |scores, visual| Response { reward: 0.0, visual, scores };
    let batch = vec![vec![
        response(vec![0.0, 1.0, 3.0], true),
        response(vec![0.0, 1.0, 3.0], false),
        response(vec![0.7], true),
    ]];
    let found = weights(PerceptionGate::default(), &batch, Padding { before: 1, after: 1, garbage: f32::NAN });
    let expected = [vec![0.0, 12.0 / 13.0, 27.0 / 13.0], vec![1.0; 3], vec![1.0]];
    assert_close(&found, &expected, 1e-6).expect("the paper's weights");
}
