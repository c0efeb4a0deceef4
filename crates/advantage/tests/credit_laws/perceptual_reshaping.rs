//! Laws of perceptual advantage reshaping, which is a reconstruction.

use advantage::{
    Credit, CreditShaper, Evidence, Fraction, NonNegative, PerceptualReshaping, Positive, ReshapingRule, Schedule,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{
    Batch, Padding, Response, assert_close, batch, evidence, ones, padding, ragged, responses, shaped, widened,
};
use crate::token_filter::shuffled_tokens;

/// The logarithm of a score carries an error of 1e-7 of its size, and scores of one response may lie within a hundredth of
/// their size; a gain magnifies the quotient up to tenfold.
const TOLERANCE: f64 = 5e-4;

fn rule() -> impl Strategy<Value = ReshapingRule> {
    let share = || select(&[0.0, 0.2, 0.4, 0.6, 0.8, 1.0][..]).prop_map(|share| Fraction::new(share).expect("a share"));
    let boost = select(&[0.0, 1.0, 2.0][..]).prop_map(|boost| NonNegative::new(boost).expect("not negative"));
    let temperature = select(&[0.1, 1.0][..]).prop_map(|value| Positive::new(value).expect("above 0"));
    prop_oneof![
        (share(), boost.clone()).prop_map(|(threshold, boost)| ReshapingRule::Boost { threshold, boost }),
        (share(), boost.clone()).prop_map(|(threshold, boost)| ReshapingRule::BoostMass { threshold, boost }),
        (share(), boost.clone()).prop_map(|(share, boost)| ReshapingRule::TopK { share, boost }),
        (share(), temperature, boost).prop_map(|(threshold, temperature, boost)| ReshapingRule::Sigmoid {
            threshold,
            temperature,
            boost
        }),
    ]
}

fn constant(rule: ReshapingRule) -> PerceptualReshaping {
    PerceptualReshaping { rule, schedule: Schedule::Constant }
}

fn weights(rule: ReshapingRule, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    shaped(&constant(rule), batch, padding).0
}

/// The weights of one response, one token after the other.
fn naive(rule: ReshapingRule, response: &Response) -> Vec<f64> {
    const EPSILON: f64 = 1e-8;
    let logs: Vec<f64> = response.scores.iter().map(|&score| f64::from(score).ln_1p()).collect();
    let lowest = logs.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let places: Vec<f64> = logs.iter().map(|log| (log - lowest) / (highest - lowest + EPSILON)).collect();
    let told_apart = places.iter().any(|&place| place > 1e-6);
    if !response.visual || !told_apart {
        return vec![1.0; logs.len()];
    }
    let boosted = |threshold: Fraction, boost: NonNegative| -> Vec<f64> {
        let gain = |place: &f64| (place - threshold.value()).max(0.0) / (1.0 - threshold.value() + EPSILON);
        places.iter().map(|place| 1.0 + boost.value() * gain(place)).collect()
    };
    match rule {
        ReshapingRule::Boost { threshold, boost } => boosted(threshold, boost),
        ReshapingRule::BoostMass { threshold, boost } => {
            let weights = boosted(threshold, boost);
            let mass: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight * weights.len() as f64 / mass).collect()
        }
        ReshapingRule::TopK { share, boost } => {
            let count = (logs.len() as f64 * share.value() - 1e-9).ceil().max(0.0) as usize;
            let mut order: Vec<usize> = (0..logs.len()).collect();
            order.sort_by(|&a, &b| response.scores[b].total_cmp(&response.scores[a]));
            let mut weights = vec![1.0; logs.len()];
            order.iter().take(count).for_each(|&token| weights[token] += boost.value());
            weights
        }
        ReshapingRule::Sigmoid { threshold, temperature, boost } => {
            let gain = |place: &f64| 1.0 / (1.0 + (-(place - threshold.value()) / temperature.value()).exp());
            places.iter().map(|place| 1.0 + boost.value() * gain(place)).collect()
        }
    }
}

proptest! {
    /// The weights that the documentation writes down; gates stay.
    #[test]
    fn equals_the_naive_loop(batch in batch(), padding in padding(), rule in rule()) {
        let (advantage, gates) = shaped(&constant(rule), &batch, padding);
        let expected: Vec<Vec<f64>> = responses(&batch).into_iter().map(|response| naive(rule, response)).collect();
        assert_close(&advantage, &expected, TOLERANCE)?;
        prop_assert_eq!(gates, ones(&batch));
    }

    /// Nobody is told less than before, except where mass is conserved: there the weights average 1.
    #[test]
    fn never_quiets_a_token_unless_mass_is_conserved(batch in batch(), padding in padding(), rule in rule()) {
        for row in weights(rule, &batch, padding) {
            if matches!(rule, ReshapingRule::BoostMass { .. }) {
                prop_assert!(row.iter().all(|&weight| weight > 0.0), "{:?}", row);
                let mass: f64 = row.iter().copied().map(f64::from).sum();
                prop_assert!((mass - row.len() as f64).abs() <= 1e-5 * row.len() as f64, "{:?}", row);
            } else {
                prop_assert!(row.iter().all(|&weight| weight >= 1.0), "{:?}", row);
            }
        }
    }

    /// A more dependent token never weighs less.
    #[test]
    fn follows_the_dependency(batch in batch(), padding in padding(), rule in rule()) {
        let rows = weights(rule, &batch, padding);
        for (response, weights) in responses(&batch).into_iter().zip(rows).filter(|(response, _)| response.visual) {
            let mut pairs: Vec<(f32, f32)> = response.scores.iter().copied().zip(weights).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            prop_assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1 * (1.0 + 1e-6)), "{:?}", pairs);
        }
    }

    /// Shuffled tokens carry their weights with them.
    #[test]
    fn commutes_with_token_permutations((batch, shuffled) in shuffled_tokens(), padding in padding(), rule in rule()) {
        let story = |batch: &Batch| -> Vec<Vec<f32>> {
            let rows = responses(batch).into_iter().zip(weights(rule, batch, padding));
            rows.map(|(response, weights)| {
                let mut pairs: Vec<(f32, f32)> = response.scores.iter().copied().zip(weights).collect();
                pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
                pairs.into_iter().map(|(_, weight)| weight).collect()
            })
            .collect()
        };
        assert_close(&story(&shuffled), &widened(&story(&batch)), 2e-5)?;
    }

    /// A response with an unknown dependency is left alone, and so are its neighbours.
    #[test]
    fn an_unknown_dependency_changes_nothing(
        mut batch in batch(), padding in padding(), rule in rule(),
        unknown in select(&[f32::NAN, f32::INFINITY, -1.0, -2.0][..]),
    ) {
        let untouched = weights(rule, &batch, padding);
        batch[0][0].visual = true;
        batch[0][0].scores = vec![0.5, unknown, 0.25];
        let rows = weights(rule, &batch, padding);
        prop_assert_eq!(&rows[0], &vec![1.0; 3]);
        // The table may have another width now, and a device adds in another order.
        assert_close(&rows[1..], &widened(&untouched[1..]), 1e-6)?;
    }

    /// While training the weights go from 1 in a straight line to what a constant schedule gives.
    #[test]
    fn rises_with_training(batch in batch(), padding in padding(), rule in rule(), progress in 0.0..=1.0f64) {
        let evidence = evidence(&batch, padding);
        let at = |schedule, progress| {
            let evidence: Evidence = evidence.clone().with_progress(Fraction::new(progress).expect("a share"));
            let ones = evidence.response().clone().float();
            let shaper = PerceptualReshaping { rule, schedule };
            let credit = shaper.shape(&evidence, Credit { advantage: ones.clone(), gate: ones }).expect("scored");
            ragged(credit.advantage, &batch, padding)
        };
        let full = widened(&at(Schedule::Constant, progress));
        let expected: Vec<Vec<f64>> =
            full.iter().map(|row| row.iter().map(|weight| 1.0 + progress * (weight - 1.0)).collect()).collect();
        assert_close(&at(Schedule::Rising, progress), &expected, 1e-6)?;
        prop_assert_eq!(at(Schedule::Rising, 0.0), ones(&batch));
        assert_close(&at(Schedule::Rising, 1.0), &full, 1e-6)?;
    }
}

fn one_response(scores: Vec<f32>) -> Batch {
    vec![vec![Response { reward: 0.0, visual: true, scores }]]
}

const PADDING: Padding = Padding { before: 1, after: 1, garbage: f32::NAN };

#[test]
fn three_tokens_by_hand() {
    // log(1 + s) = 0, 1, 2 times log 2: rescaled 0, 1/2, 1.
    let batch = one_response(vec![0.0, 1.0, 3.0]);
    let (threshold, boost) = (Fraction::literal(0.4), NonNegative::literal(3.0));
    let found = |rule| weights(rule, &batch, PADDING);
    let close = |found: Vec<Vec<f32>>, expected: [f64; 3]| {
        assert_close(&found, &[expected.to_vec()], 1e-6).expect("the weights by hand");
    };
    close(found(ReshapingRule::Boost { threshold, boost }), [1.0, 1.5, 4.0]);
    close(found(ReshapingRule::BoostMass { threshold, boost }), [3.0 / 6.5, 4.5 / 6.5, 12.0 / 6.5]);
    close(found(ReshapingRule::TopK { share: threshold, boost }), [1.0, 4.0, 4.0]);
    let temperature = Positive::literal(0.1);
    let gain = |odds: f64| 1.0 + 3.0 / (1.0 + (-odds).exp());
    close(found(ReshapingRule::Sigmoid { threshold, temperature, boost }), [gain(-4.0), gain(1.0), gain(6.0)]);
}

/// Rescaled, a range of 1e-14 spans 1e-6: what lies closer together is equal.
#[test]
fn dependencies_closer_than_can_be_told_apart_are_equal() {
    let rule = ReshapingRule::TopK { share: Fraction::literal(0.5), boost: NonNegative::literal(2.0) };
    assert_eq!(weights(rule, &one_response(vec![0.0, 0.9e-14]), PADDING), [[1.0, 1.0]]);
    assert_eq!(weights(rule, &one_response(vec![0.0, 1.1e-14]), PADDING), [[1.0, 3.0]]);
}
