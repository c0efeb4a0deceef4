//! Laws of the perception gate.

use advantage::{AtLeastOne, Fraction, NonNegative, PerceptionGate, Threshold};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{Batch, Padding, Response, assert_close, batch, ones, padding, responses, shaped, widened};
use crate::token_filter::shuffled_tokens;

const EPSILON: f64 = 1e-8;

fn threshold() -> impl Strategy<Value = Threshold> {
    let share = select(&[0.0, 0.2, 0.4, 0.6, 1.0][..]).prop_map(|share| Fraction::new(share).expect("a share"));
    prop_oneof![share.clone().prop_map(Threshold::Range), share.prop_map(Threshold::Quantile)]
}

fn gate() -> impl Strategy<Value = PerceptionGate> {
    let boost = select(&[0.0, 1.0, 2.0][..]).prop_map(|boost| NonNegative::new(boost).expect("not negative"));
    let floor = select(&[0.0, 0.0, 0.1, 1.0][..]).prop_map(|floor| Fraction::new(floor).expect("a share"));
    let cap = select(&[1.0, 1.5, 2.0, 5.0, 1e300][..]).prop_map(|cap| AtLeastOne::new(cap).expect("at least 1"));
    (threshold(), boost, floor, any::<bool>(), prop::option::of(cap)).prop_map(
        |(threshold, boost, floor, conserve_mass, cap)| PerceptionGate { threshold, boost, floor, conserve_mass, cap },
    )
}

fn weights(gate: PerceptionGate, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    shaped(&gate, batch, padding).0
}

/// Rescaled scores of a response and the threshold they are held against.
fn places(gate: PerceptionGate, response: &Response) -> (Vec<f64>, f64) {
    let scores: Vec<f64> = response.scores.iter().map(|&score| f64::from(score).ln_1p()).collect();
    let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let range = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) - lowest;
    match gate.threshold {
        Threshold::Range(share) => {
            (scores.iter().map(|score| (score - lowest) / (range + EPSILON)).collect(), share.value())
        }
        Threshold::Quantile(share) => {
            let unit = if range > EPSILON { range } else { 1.0 };
            let places: Vec<f64> = scores.iter().map(|score| (score - lowest) / unit).collect();
            let mut sorted = places.clone();
            sorted.sort_by(f64::total_cmp);
            let rank = (share.value() * places.len() as f64 + 1e-9).floor() as usize;
            let threshold = sorted.get(rank).or(sorted.last()).copied().unwrap_or(0.0);
            (places, threshold)
        }
    }
}

/// Weights cut at the cap one after the other, the rest always scaled to make up the length.
fn filled(weights: &[f64], cap: f64) -> Vec<f64> {
    let length = weights.len() as f64;
    let mut capped = vec![false; weights.len()];
    loop {
        let free: f64 = weights.iter().zip(&capped).filter(|(_, capped)| !**capped).map(|(weight, _)| weight).sum();
        let at_the_cap = capped.iter().filter(|&&capped| capped).count() as f64;
        let scale = (length - cap * at_the_cap) / free;
        let scaled: Vec<f64> = weights
            .iter()
            .zip(&capped)
            .map(|(&weight, &capped)| {
                if capped {
                    cap
                } else if weight > 0.0 {
                    weight * scale
                } else {
                    0.0
                }
            })
            .collect();
        if scaled.iter().all(|&weight| weight <= cap) {
            return scaled;
        }
        // What is above the cap with this scale stays there with a larger one.
        capped.iter_mut().zip(&scaled).for_each(|(capped, &weight)| *capped |= weight > cap);
        if weights.iter().zip(&capped).all(|(&weight, &capped)| capped || weight <= 0.0) {
            return weights.iter().map(|&weight| if weight > 0.0 { cap } else { 0.0 }).collect();
        }
    }
}

/// The weights of one response, written down as in the paper, its snapshot and our documentation.
fn naive(gate: PerceptionGate, response: &Response) -> Vec<f64> {
    let length = response.scores.len() as f64;
    if !response.visual {
        return vec![1.0; response.scores.len()];
    }
    let (places, threshold) = places(gate, response);
    let weight = |&place: &f64| {
        if place < threshold {
            (place / (threshold + EPSILON)).max(gate.floor.value())
        } else {
            1.0 + gate.boost.value() * (place - threshold) / (1.0 - threshold + EPSILON)
        }
    };
    let weights: Vec<f64> = places.iter().map(weight).collect();
    let cap = gate.cap.map_or(f64::INFINITY, AtLeastOne::value);
    if !gate.conserve_mass {
        return weights.iter().map(|weight| weight.min(cap)).collect();
    }
    let mass: f64 = weights.iter().sum();
    if mass <= 1e-8 {
        return vec![1.0; weights.len()];
    }
    let conserved: Vec<f64> = weights.iter().map(|weight| weight * length / mass).collect();
    if cap.is_finite() { filled(&conserved, cap) } else { conserved }
}

/// How far f32 may lead a weight away from the naive one.
///
/// The logarithm of a score carries an error of an ulp, as its range does, which grows in the quotient when the scores of a
/// response lie close together, and again by the slope of the weight; sharing out the mass multiplies it by at most the length.
fn tolerance(gate: PerceptionGate, response: &Response) -> f64 {
    let logs = || response.scores.iter().map(|&score| f64::from(score).ln_1p());
    let (lowest, highest) = (logs().fold(f64::INFINITY, f64::min), logs().fold(f64::NEG_INFINITY, f64::max));
    let (_, threshold) = places(gate, response);
    let below = if threshold > 0.0 { 1.0 / threshold } else { 0.0 };
    let above = if threshold < 1.0 { gate.boost.value() / (1.0 - threshold) } else { 0.0 };
    let length = response.scores.len() as f64;
    1e-5 + 2e-7 * highest / (highest - lowest + EPSILON) * f64::max(below, above) * length
}

/// Number of weights above 0, none of which is so small that rounding could make it 0.
fn positive(row: &[f32]) -> f64 {
    row.iter().filter(|&&weight| weight > 0.0).count() as f64
}

proptest! {
    /// The weights that the paper writes down; gates stay.
    #[test]
    fn equals_the_naive_loop(batch in batch(), padding in padding(), gate in gate()) {
        let (advantage, gates) = shaped(&gate, &batch, padding);
        for (response, row) in responses(&batch).into_iter().zip(advantage) {
            assert_close(&[row], &[naive(gate, response)], tolerance(gate, response))?;
        }
        prop_assert_eq!(gates, ones(&batch));
    }

    /// Advantage is moved, not made: weights average 1 over every response, or less where a cap leaves no room.
    #[test]
    fn conserves_mass(batch in batch(), padding in padding(), gate in gate()) {
        let gate = PerceptionGate { conserve_mass: true, ..gate };
        let cap = gate.cap.map_or(f64::INFINITY, AtLeastOne::value);
        for row in weights(gate, &batch, padding).into_iter().filter(|row| !row.is_empty()) {
            let length = row.len() as f64;
            let promised = length.min(positive(&row) * cap);
            let mass: f64 = row.iter().copied().map(f64::from).sum();
            prop_assert!((mass - promised).abs() <= 1e-5 * length, "{:?}", row);
        }
    }

    /// No weight is negative or above the cap, and without scaling none is below the floor.
    #[test]
    fn caps_and_floors_hold(batch in batch(), padding in padding(), gate in gate()) {
        let cap = gate.cap.map_or(f64::INFINITY, AtLeastOne::value);
        let floor = if gate.conserve_mass { 0.0 } else { gate.floor.value() };
        for weight in weights(gate, &batch, padding).concat() {
            // The floor and the cap are rounded to f32.
            let weight = f64::from(weight);
            prop_assert!(weight >= floor * (1.0 - 1e-7) && weight <= cap * (1.0 + 1e-7), "{}", weight);
        }
    }

    /// A cap that no weight reaches changes nothing.
    #[test]
    fn a_high_cap_changes_nothing(batch in batch(), padding in padding(), gate in gate()) {
        let without = weights(PerceptionGate { cap: None, ..gate }, &batch, padding);
        let cap = Some(AtLeastOne::literal(1e6));
        // Filling up goes through logarithms and ends within the rounding of a sum.
        assert_close(&weights(PerceptionGate { cap, ..gate }, &batch, padding), &widened(&without), 5e-6)?;
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
        mut batch in batch(), padding in padding(), gate in gate(),
        unknown in select(&[f32::NAN, f32::INFINITY, -1.0, -2.0][..]),
    ) {
        let untouched = weights(gate, &batch, padding);
        batch[0][0].visual = true;
        batch[0][0].scores = vec![0.5, unknown, 0.25];
        let rows = weights(gate, &batch, padding);
        prop_assert!(rows[0].iter().all(|weight| weight.is_nan()), "{:?}", rows[0]);
        // The table may be wider or narrower now, so that a device adds in another order: a few ulps.
        assert_close(&rows[1..], &widened(&untouched[1..]), 1e-6)?;
    }
}

fn one_response(scores: &[f32]) -> Batch {
    vec![vec![Response { reward: 0.0, visual: true, scores: scores.to_vec() }]]
}

fn of_one_response(gate: PerceptionGate, scores: &[f32]) -> Vec<Vec<f32>> {
    weights(gate, &one_response(scores), Padding { before: 1, after: 1, garbage: f32::NAN })
}

/// The development snapshot.
fn snapshot(share: f64) -> PerceptionGate {
    PerceptionGate {
        threshold: Threshold::Quantile(Fraction::new(share).expect("a share")),
        floor: Fraction::literal(0.1),
        conserve_mass: false,
        ..PerceptionGate::default()
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

/// The same three tokens, with a cap that cuts the last: it leaves 3/2 to the other that has any weight.
#[test]
fn three_tokens_under_a_cap_by_hand() {
    let of = |conserve_mass, cap| {
        let cap = Some(AtLeastOne::new(cap).expect("at least 1"));
        of_one_response(PerceptionGate { conserve_mass, cap, ..PerceptionGate::default() }, &[0.0, 1.0, 3.0])
    };
    let close = |found: Vec<Vec<f32>>, expected: [f64; 3]| {
        assert_close(&found, &[expected.to_vec()], 1e-6).expect("the weights by hand");
    };
    close(of(true, 1.75), [0.0, 1.25, 1.75]);
    close(of(true, 1.5), [0.0, 1.5, 1.5]);
    close(of(true, 1.25), [0.0, 1.25, 1.25]);
    close(of(false, 1.75), [0.0, 4.0 / 3.0, 1.75]);
    close(of(false, 1.25), [0.0, 1.25, 1.25]);
}

/// Weights next to nothing are still weights: they fill up when the others are cut.
#[test]
fn weights_of_very_different_size_fill_up() {
    let gate = PerceptionGate { cap: Some(AtLeastOne::literal(1.0)), ..PerceptionGate::default() };
    let found = of_one_response(gate, &[0.0, 1e-30, 1e-12, 3.0]);
    assert_close(&found, &[vec![0.0, 1.0, 1.0, 1.0]], 1e-5).expect("all that can speak speak alike");
}

/// The same three tokens and a fourth in the middle: two fifths of four are one token and a half, so that one ranks below.
#[test]
fn four_tokens_by_rank_by_hand() {
    let found = of_one_response(snapshot(0.4), &[0.0, 1.0, 3.0, 1.0]);
    assert_close(&found, &[vec![0.1, 1.0, 3.0, 1.0]], 1e-6).expect("the snapshot's weights");
    // With a threshold at the top the others get their share of it; all tokens rank below it only in name.
    let found = of_one_response(snapshot(1.0), &[0.0, 1.0, 3.0, 1.0]);
    assert_close(&found, &[vec![0.1, 0.5, 1.0, 0.5]], 1e-6).expect("the snapshot's weights");
    let floored = PerceptionGate { floor: Fraction::literal(0.6), ..snapshot(1.0) };
    let found = of_one_response(floored, &[0.0, 1.0, 3.0, 1.0]);
    assert_close(&found, &[vec![0.6, 0.6, 1.0, 0.6]], 1e-6).expect("the floor");
}

/// Denominators are 1e-8 larger than they should be, which shows where the threshold is hardly above the lowest score.
#[test]
fn a_threshold_of_nothing_has_a_denominator() {
    // The logarithms 0, 5e-9, 1e-8 and log 2 are rescaled by log 2.
    let found = of_one_response(snapshot(0.5), &[0.0, 5e-9, 1e-8, 1.0]);
    let unit = std::f64::consts::LN_2;
    let low = (5e-9 / unit) / (1e-8 / unit + 1e-8);
    assert_close(&found, &[vec![0.1, low, 1.0, 3.0]], 1e-6).expect("the snapshot's weights");
}

/// In f64 0.29 * 100 is a little less than 29.
#[test]
fn rounding_errors_rank_no_token_lower() {
    let scores: Vec<f32> = (0..100).map(|token| token as f32).collect();
    let found = of_one_response(snapshot(0.29), &scores).concat();
    assert!(found[28] < 1.0 && found[29] == 1.0 && found[30] > 1.0, "{:?}", &found[27..32]);
}

/// A range of 1e-8 is none in the snapshot.
#[test]
fn dependencies_closer_than_can_be_ranked_are_equal() {
    let found = of_one_response(snapshot(0.4), &[0.0, 0.9e-8]);
    assert_close(&found, &[vec![1.0, 1.0]], 1e-6).expect("equal");
    let found = of_one_response(snapshot(0.4), &[0.0, 1.1e-8]);
    assert_close(&found, &[vec![1.0, 3.0]], 1e-6).expect("ranked");
}

/// A mass of 1e-8 is none: with a threshold of 1, that of a range of 1e-16.
#[test]
fn a_mass_of_nothing_is_shared_alike() {
    let threshold = Threshold::Range(Fraction::literal(1.0));
    let gate = PerceptionGate { threshold, ..PerceptionGate::default() };
    assert_eq!(of_one_response(gate, &[0.0, 0.9e-16]), [[1.0, 1.0]]);
    assert_close(&of_one_response(gate, &[0.0, 1.1e-16]), &[vec![0.0, 2.0]], 1e-6).expect("one token has it all");
}

/// Without scaling the paper's weights of equal dependencies are those of a response's least dependent token.
#[test]
fn equal_dependencies_without_conservation_get_the_floor() {
    let bare = PerceptionGate { conserve_mass: false, ..PerceptionGate::default() };
    assert_eq!(of_one_response(bare, &[0.5, 0.5]), [[0.0, 0.0]]);
    let floored = PerceptionGate { floor: Fraction::literal(0.25), ..bare };
    assert_eq!(of_one_response(floored, &[0.5, 0.5]), [[0.25, 0.25]]);
    let threshold = Threshold::Range(Fraction::literal(0.0));
    assert_eq!(of_one_response(PerceptionGate { threshold, ..bare }, &[0.5, 0.5]), [[1.0, 1.0]]);
}
