//! Laws of token-level gradient filtering.

use advantage::{Fraction, Signal, TokenFilter};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{Batch, Padding, Response, batch, ones, padding, responses, shaped};

fn signal() -> impl Strategy<Value = Signal> {
    select(&[Signal::Dependency, Signal::Entropy, Signal::Either][..])
}

fn share() -> impl Strategy<Value = Fraction> {
    let percent = select(&[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 1.0][..]);
    prop_oneof![percent, 0.0..=1.0f64].prop_map(|share| Fraction::new(share).expect("a share"))
}

/// Batches in which some scores are not finite.
fn wild() -> impl Strategy<Value = Batch> {
    let replacement = select(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY][..]);
    (batch(), prop::collection::vec((any::<prop::sample::Index>(), replacement), 0..4)).prop_map(
        |(mut batch, spoilt)| {
            for (place, value) in spoilt {
                let mut scores: Vec<&mut f32> =
                    batch.iter_mut().flatten().flat_map(|response| &mut response.scores).collect();
                if !scores.is_empty() {
                    let place = place.index(scores.len());
                    *scores[place] = value;
                }
            }
            batch
        },
    )
}

/// A filter by dependency.
fn filter(keep: Fraction) -> TokenFilter {
    TokenFilter { keep, by: Signal::Dependency }
}

fn gates(filter: TokenFilter, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    shaped(&filter, batch, padding).1
}

/// Below every number, so is not-a-number.
fn rank(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score }
}

/// 1 for the tokens that a stable sort of the numbers puts first, 0 for the others.
fn first_ranks(keep: Fraction, numbers: &[f32]) -> Vec<f32> {
    let count = (numbers.len() as f64 * keep.value() - 1e-9).ceil().max(0.0) as usize;
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| rank(numbers[b]).total_cmp(&rank(numbers[a])));
    let mut gate = vec![0.0; numbers.len()];
    order.iter().take(count).for_each(|&token| gate[token] = 1.0);
    gate
}

/// The gates of one response.
fn naive(filter: TokenFilter, response: &Response) -> Vec<f32> {
    let by_dependency = || match response.visual {
        true => first_ranks(filter.keep, &response.scores),
        false => vec![1.0; response.scores.len()],
    };
    let by_entropy = || first_ranks(filter.keep, &response.entropies());
    match filter.by {
        Signal::Dependency => by_dependency(),
        Signal::Entropy => by_entropy(),
        Signal::Either => by_dependency().into_iter().zip(by_entropy()).map(|(one, other)| one.max(other)).collect(),
    }
}

proptest! {
    /// The same tokens as a stable sort of each response keeps; advantages stay.
    #[test]
    fn equals_the_naive_loop(batch in wild(), padding in padding(), keep in share(), by in signal()) {
        let filter = TokenFilter { keep, by };
        let expected: Vec<Vec<f32>> = responses(&batch).into_iter().map(|response| naive(filter, response)).collect();
        let (advantage, gate) = shaped(&filter, &batch, padding);
        prop_assert_eq!(gate, expected);
        prop_assert_eq!(advantage, ones(&batch));
    }

    /// The promised number of tokens speaks, and no silent token outranks one that speaks.
    #[test]
    fn keeps_the_promised_number_and_the_best(batch in wild(), padding in padding(), keep in share()) {
        let gates = gates(filter(keep), &batch, padding);
        for (response, gate) in responses(&batch).into_iter().zip(gates).filter(|(response, _)| response.visual) {
            let promised = (response.scores.len() as f64 * keep.value() - 1e-9).ceil().max(0.0);
            prop_assert_eq!(f64::from(gate.iter().sum::<f32>()), promised);
            let of = |wanted: f32| response.scores.iter().zip(&gate).filter(move |(_, gate)| **gate == wanted).map(|(&score, _)| rank(score));
            let worst_kept = of(1.0).fold(f32::INFINITY, f32::min);
            let best_dropped = of(0.0).fold(f32::NEG_INFINITY, f32::max);
            prop_assert!(best_dropped <= worst_kept);
        }
    }

    /// Shuffling the tokens of a response keeps the same scores, whatever the ties.
    #[test]
    fn keeps_the_same_scores_in_any_order((batch, shuffled) in shuffled_tokens(), padding in padding(), keep in share()) {
        let kept = |batch: &Batch| {
            let gates = gates(filter(keep), batch, padding);
            let rows = responses(batch).into_iter().zip(gates).filter(|(response, _)| response.visual);
            rows.map(|(response, gate)| {
                let mut kept: Vec<u32> =
                    response.scores.iter().zip(gate).filter(|(_, gate)| *gate == 1.0).map(|(score, _)| score.to_bits()).collect();
                kept.sort_unstable();
                kept
            })
            .collect::<Vec<_>>()
        };
        prop_assert_eq!(kept(&shuffled), kept(&batch));
    }

    /// What a response keeps does not depend on the others.
    #[test]
    fn treats_responses_alone(batch in wild(), padding in padding(), keep in share(), by in signal()) {
        let filter = TokenFilter { keep, by };
        let together = gates(filter, &batch, padding);
        for (response, gate) in responses(&batch).into_iter().zip(together) {
            let alone = vec![vec![response.clone()]];
            prop_assert_eq!(&gates(filter, &alone, padding)[0], &gate);
        }
    }
}

/// A batch, and the same with the tokens of every response shuffled.
pub(crate) fn shuffled_tokens() -> impl Strategy<Value = (Batch, Batch)> {
    batch().prop_flat_map(|batch| {
        let scores: Vec<_> =
            batch.iter().flatten().map(|response| Just(response.scores.clone()).prop_shuffle()).collect();
        (Just(batch), scores).prop_map(|(batch, scores)| {
            let mut shuffled = batch.clone();
            shuffled.iter_mut().flatten().zip(scores).for_each(|(response, scores)| response.scores = scores);
            (batch, shuffled)
        })
    })
}

#[test]
fn two_of_five_tokens_by_hand() {
    let scores = vec![0.1, 0.7, f32::NAN, 0.7, 0.2];
    let batch = vec![vec![Response { reward: 0.0, visual: true, scores }]];
    let keep = |share| {
        gates(filter(Fraction::literal(share)), &batch, Padding { before: 1, after: 2, garbage: f32::INFINITY })
            .concat()
    };
    assert_eq!(keep(0.2), [0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(keep(0.4), [0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(keep(0.8), [1.0, 1.0, 0.0, 1.0, 1.0]);
    assert_eq!(keep(1.0), [1.0; 5]);
}

/// In f64 0.55 * 20 is a little more than 11, and 0.3 * 50 in f32 a little more than 15.
#[test]
fn rounding_errors_keep_no_token_more() {
    for (share, length, count) in [(0.55, 20, 11.0), (0.3, 50, 15.0), (0.07, 100, 7.0)] {
        let response = Response { reward: 0.0, visual: true, scores: vec![0.5; length] };
        let gates = gates(
            filter(Fraction::literal(share)),
            &vec![vec![response]],
            Padding { before: 0, after: 0, garbage: 0.0 },
        );
        assert_eq!(gates.concat().iter().sum::<f32>(), count);
    }
}

/// Entropies are the scores in reverse, with and without an image.
#[test]
fn five_tokens_by_either_signal_by_hand() {
    let scores = vec![0.9, 0.7, 0.1, 0.2, 0.3];
    let response = |visual| Response { reward: 0.0, visual, scores: scores.clone() };
    let batch = vec![vec![response(true), response(false)]];
    let by = |by| {
        let filter = TokenFilter { keep: Fraction::literal(0.4), by };
        gates(filter, &batch, Padding { before: 1, after: 2, garbage: f32::INFINITY })
    };
    assert_eq!(by(Signal::Dependency), [[1.0, 1.0, 0.0, 0.0, 0.0], [1.0; 5]]);
    assert_eq!(by(Signal::Entropy), [[0.0, 0.0, 0.0, 1.0, 1.0]; 2]);
    assert_eq!(by(Signal::Either), [[1.0, 1.0, 0.0, 1.0, 1.0], [1.0; 5]]);
}
