//! Laws of trajectory-level advantage shaping.

use std::num::NonZeroUsize;

use advantage::{AtLeastOne, Ceiling, Fraction, TrajectoryShaping};
use proptest::prelude::*;

use crate::batch::{Batch, Padding, Response, assert_close, batch, ones, padding, responses, shaped, widened};
use crate::token_filter::shuffled_tokens;

fn shaping() -> impl Strategy<Value = TrajectoryShaping> {
    let fixed = (1.0..=2.0f64).prop_map(|value| Ceiling::Fixed(AtLeastOne::new(value).expect("at least 1")));
    let per = (1..=20usize).prop_map(|run| Ceiling::MeanOnePer(NonZeroUsize::new(run).expect("at least 1")));
    (0.0..=1.0f64, prop_oneof![Just(Ceiling::MeanOne), per, fixed])
        .prop_map(|(floor, ceiling)| TrajectoryShaping { floor: Fraction::new(floor).expect("a share"), ceiling })
}

/// Factors of all tokens; those of one response agree.
fn factors(shaping: TrajectoryShaping, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    shaped(&shaping, batch, padding).0
}

/// Mean dependency of the responses that take part.
fn means(batch: &Batch) -> Vec<Option<f64>> {
    let mean = |response: &Response| {
        let total: f64 = response.scores.iter().copied().map(f64::from).sum();
        let takes_part = response.visual && !response.scores.is_empty() && total.is_finite();
        takes_part.then(|| total / response.scores.len() as f64)
    };
    responses(batch).into_iter().map(mean).collect()
}

fn extremes(means: &[Option<f64>]) -> (f64, f64) {
    let known = || means.iter().copied().flatten();
    (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max))
}

/// The factor of each response, written down as in the paper.
fn naive(shaping: TrajectoryShaping, batch: &Batch) -> Vec<f64> {
    let means = means(batch);
    let (lowest, highest) = extremes(&means);
    if highest - lowest <= 1e-6 || lowest.is_infinite() {
        return vec![1.0; means.len()];
    }
    let place = |mean: f64| (mean - lowest) / (highest - lowest);
    let floor = shaping.floor.value();
    let run = match shaping.ceiling {
        Ceiling::MeanOnePer(run) => run.get(),
        Ceiling::MeanOne | Ceiling::Fixed(_) => means.len(),
    };
    let factors_of_run = |run: &[Option<f64>]| -> Vec<f64> {
        let places: Vec<f64> = run.iter().copied().flatten().map(place).collect();
        let ceiling = match shaping.ceiling {
            Ceiling::Fixed(value) => value.value(),
            Ceiling::MeanOne | Ceiling::MeanOnePer(_) => {
                floor + (1.0 - floor) / (places.iter().sum::<f64>() / places.len() as f64 + 1e-8)
            }
        };
        run.iter().map(|mean| mean.map_or(1.0, |mean| floor + place(mean) * (ceiling - floor))).collect()
    };
    means.chunks(run).flat_map(factors_of_run).collect()
}

proptest! {
    /// The factors that the paper writes down; gates stay.
    #[test]
    fn equals_the_naive_loop(batch in batch(), padding in padding(), shaping in shaping()) {
        let (advantage, gate) = shaped(&shaping, &batch, padding);
        let rows = naive(shaping, &batch).into_iter().zip(responses(&batch));
        let expected: Vec<Vec<f64>> = rows.map(|(factor, response)| vec![factor; response.scores.len()]).collect();
        assert_close(&advantage, &expected, 2e-5)?;
        prop_assert_eq!(gate, ones(&batch));
    }

    /// With the ceiling left open, the factors of the responses that take part average 1.
    #[test]
    fn averages_one(batch in batch(), padding in padding(), floor in 0.0..=1.0f64) {
        let shaping = TrajectoryShaping { floor: Fraction::new(floor).expect("a share"), ceiling: Ceiling::MeanOne };
        let factors = factors(shaping, &batch, padding);
        let part: Vec<f64> =
            factors.iter().zip(means(&batch)).filter(|(_, mean)| mean.is_some()).map(|(row, _)| f64::from(row[0])).collect();
        if !part.is_empty() {
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            prop_assert!((mean - 1.0).abs() < 2e-5, "{}", mean);
        }
    }

    /// So do those of every run whose responses rise above the least dependent one of the batch by more than next to nothing.
    #[test]
    fn averages_one_per_run(batch in batch(), padding in padding(), floor in 0.0..=1.0f64, run in 1..=7usize) {
        let ceiling = Ceiling::MeanOnePer(NonZeroUsize::new(run).expect("at least 1"));
        let shaping = TrajectoryShaping { floor: Fraction::new(floor).expect("a share"), ceiling };
        let means = means(&batch);
        let (lowest, highest) = extremes(&means);
        let told_apart = highest - lowest > 1e-6;
        let factors = factors(shaping, &batch, padding);
        for (factors, means) in factors.chunks(run).zip(means.chunks(run)) {
            let part: Vec<(f64, f64)> =
                factors.iter().zip(means).filter_map(|(row, mean)| mean.map(|mean| (f64::from(row[0]), mean))).collect();
            if part.is_empty() {
                continue;
            }
            let average = part.iter().map(|(factor, _)| factor).sum::<f64>() / part.len() as f64;
            let place = part.iter().map(|(_, mean)| (mean - lowest) / (highest - lowest)).sum::<f64>() / part.len() as f64;
            let promised = if told_apart { floor + (1.0 - floor) * place / (place + 1e-8) } else { 1.0 };
            prop_assert!((average - promised).abs() < 2e-5, "{}", average);
        }
    }

    /// Runs as long as the batch, or longer, are the batch.
    #[test]
    fn one_run_is_the_whole_batch(batch in batch(), padding in padding(), floor in 0.0..=1.0f64, more in 0..=3usize) {
        let floor = Fraction::new(floor).expect("a share");
        let run = NonZeroUsize::new(responses(&batch).len() + more).expect("at least 1");
        let at = |ceiling| factors(TrajectoryShaping { floor, ceiling }, &batch, padding);
        prop_assert_eq!(at(Ceiling::MeanOnePer(run)), at(Ceiling::MeanOne));
    }

    /// No factor is negative, so that praise stays praise and blame stays blame; none leaves a fixed range.
    #[test]
    fn never_flips_a_sign(batch in batch(), padding in padding(), shaping in shaping()) {
        let lowest = shaping.floor.value() - 1e-6;
        let highest = match shaping.ceiling {
            Ceiling::Fixed(value) => value.value() + 1e-6,
            Ceiling::MeanOne | Ceiling::MeanOnePer(_) => f64::INFINITY,
        };
        for factor in factors(shaping, &batch, padding).concat() {
            prop_assert!(factor >= 0.0 && f64::from(factor) >= lowest && f64::from(factor) <= highest, "{}", factor);
        }
    }

    /// The order of groups and of tokens does not matter.
    #[test]
    fn commutes_with_permutations((batch, shuffled) in shuffled_tokens(), padding in padding(), shaping in shaping()) {
        assert_close(&factors(shaping, &shuffled, padding), &widened(&factors(shaping, &batch, padding)), 2e-5)?;
        if matches!(shaping.ceiling, Ceiling::MeanOnePer(_)) {
            // Runs are counted from the first response.
            return Ok(());
        }
        let reversed: Batch = batch.iter().rev().map(|group| group.iter().rev().cloned().collect()).collect();
        let mut back = factors(shaping, &reversed, padding);
        back.reverse();
        assert_close(&back, &widened(&factors(shaping, &batch, padding)), 2e-5)?;
    }

    /// A response whose dependency is unknown takes no part and disturbs nobody.
    #[test]
    fn an_unknown_dependency_takes_no_part(mut batch in batch(), padding in padding(), shaping in shaping()) {
        batch[0][0].scores = Vec::new();
        let mut without = factors(shaping, &batch, padding);
        batch[0][0].scores = vec![0.5, f32::NAN];
        without[0] = vec![1.0, 1.0];
        prop_assert_eq!(factors(shaping, &batch, padding), without);
    }
}

#[test]
fn three_responses_by_hand() {
    // Means 0, 1 and 2 stand at 0, 1/2 and 1; with the floor at 0.9 a ceiling of 1.1 averages 1.
    let response = |scores| Response { reward: 0.0, visual: true, scores };
    let batch = vec![vec![response(vec![0.0]), response(vec![0.5, 1.5]), response(vec![2.0])]];
    let padding = Padding { before: 1, after: 1, garbage: f32::NAN };
    let expected = [vec![0.9], vec![1.0, 1.0], vec![1.1]];
    assert_close(&factors(TrajectoryShaping::default(), &batch, padding), &expected, 1e-6).expect("the released form");
    let ceiling = Ceiling::Fixed(AtLeastOne::literal(1.1));
    let fixed = TrajectoryShaping { ceiling, ..TrajectoryShaping::default() };
    assert_close(&factors(fixed, &batch, padding), &expected, 1e-6).expect("the paper's form");
}

/// Means 0, 1, 2 | 0, 0, 0 | 4 in runs of three, with an imageless response in the last: places 0, 1/4, 1/2 | 0, 0, 0 | 1.
#[test]
fn runs_of_three_by_hand() {
    let response = |score: f32, visual| Response { reward: 0.0, visual, scores: vec![score] };
    let scores = [0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 4.0];
    let mut group: Vec<Response> = scores.into_iter().map(|score| response(score, true)).collect();
    group.push(response(9.0, false));
    let ceiling = Ceiling::MeanOnePer(NonZeroUsize::new(3).expect("3"));
    let shaping = TrajectoryShaping { floor: Fraction::literal(0.8), ceiling };
    let found = factors(shaping, &vec![group], Padding { before: 1, after: 1, garbage: f32::NAN });
    let expected = [0.8, 1.0, 1.2, 0.8, 0.8, 0.8, 1.0, 1.0].map(|factor| vec![factor]);
    assert_close(&found, &expected, 1e-6).expect("mean one in every run");
}

/// The denominator of the released code: a run whose mean place is 1e-8 rises half as high as it should.
#[test]
fn a_run_of_next_to_no_dependency_stays_near_the_floor() {
    let response = |score| Response { reward: 0.0, visual: true, scores: vec![score] };
    let batch = vec![vec![response(1e-8), response(1e-8), response(0.0), response(1.0)]];
    let ceiling = Ceiling::MeanOnePer(NonZeroUsize::new(2).expect("2"));
    let shaping = TrajectoryShaping { floor: Fraction::literal(0.5), ceiling };
    let found = factors(shaping, &batch, Padding { before: 0, after: 1, garbage: f32::NAN });
    assert_close(&found, &[vec![0.75], vec![0.75], vec![0.5], vec![1.5]], 1e-6).expect("the released denominator");
}

/// Means within 1e-6 of each other are equal.
#[test]
fn means_closer_than_can_be_told_apart_are_equal() {
    let response = |score| Response { reward: 0.0, visual: true, scores: vec![score] };
    let at = |range| {
        let batch = vec![vec![response(0.0), response(range)]];
        factors(TrajectoryShaping::default(), &batch, Padding { before: 0, after: 0, garbage: 0.0 })
    };
    assert_eq!(at(0.9e-6), [[1.0], [1.0]]);
    assert_close(&at(1.1e-6), &[vec![0.9], vec![1.1]], 1e-6).expect("told apart");
}
