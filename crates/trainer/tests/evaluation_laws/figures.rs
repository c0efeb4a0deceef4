use proptest::prelude::*;
use trainer::{Evaluation, Outcome, Score, Tally};

use crate::draws::{of_right, tallies};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12 * (1.0 + a.abs())
}

/// A figure of all problems from those of parts of them, each weighted by what it was taken over.
fn merged(parts: &[&Score], figure: impl Fn(&Score) -> f64, weight: impl Fn(&Score) -> usize) -> f64 {
    let total: usize = parts.iter().map(|part| weight(part)).sum();
    let sum: f64 = parts.iter().map(|part| figure(part) * weight(part) as f64).sum();
    if total == 0 { 0.0 } else { sum / total as f64 }
}

proptest! {
    /// The figures are the same to the last bit in whatever order problems and their responses come.
    #[test]
    fn order_does_not_matter(
        (ours, theirs) in tallies().prop_flat_map(|tally| {
            let shuffled = (Just(tally.outcomes.clone()).prop_shuffle(), Just(tally.skipped.clone()).prop_shuffle());
            (Just(tally), shuffled)
        }),
    ) {
        let (mut outcomes, skipped) = theirs;
        for outcome in &mut outcomes {
            outcome.attempts.reverse();
        }
        let shuffled = Tally { samples: ours.samples, outcomes, skipped };
        prop_assert_eq!(ours.evaluation(), shuffled.evaluation());
    }

    /// The figures of all problems are those of the categories put together.
    #[test]
    fn categories_add_up(tally in tallies()) {
        let has_categories = tally.outcomes.iter().any(|outcome| outcome.category.is_some());
        let Evaluation { overall, categories, skipped, .. } = tally.clone().evaluation();
        prop_assert_eq!(categories.is_empty(), !has_categories);
        prop_assert_eq!(skipped, tally.skipped);
        prop_assume!(has_categories);
        let parts: Vec<&Score> = categories.values().collect();
        let sum = |count: fn(&Score) -> usize| parts.iter().map(|part| count(part)).sum::<usize>();
        prop_assert_eq!(sum(|score| score.problems), overall.problems);
        prop_assert_eq!(sum(|score| score.responses), overall.responses);
        prop_assert_eq!(sum(|score| score.ungraded), overall.ungraded);
        let format = |score: &Score| score.parts.get("format").copied().unwrap_or_default();
        let graded = |score: &Score| score.responses - score.ungraded;
        let accuracy = |score: &Score| score.accuracy.unwrap_or_default();
        let reward = |score: &Score| score.reward.unwrap_or_default();
        prop_assert!(close(merged(&parts, accuracy, |score| score.problems), accuracy(&overall)));
        prop_assert!(close(merged(&parts, reward, graded), reward(&overall)));
        prop_assert!(close(merged(&parts, format, graded), format(&overall)));
        prop_assert!(close(merged(&parts, |score| score.length.mean, |score| score.responses), overall.length.mean));
        prop_assert!(close(merged(&parts, |score| score.truncated, |score| score.responses), overall.truncated));
        prop_assert_eq!(parts.iter().map(|part| part.length.max).max(), Some(overall.length.max));
    }

    /// More tries never hurt, and all shares are shares.
    #[test]
    fn more_tries_never_hurt(tally in tallies()) {
        let everything_is_graded = tally.outcomes.iter().all(|outcome| outcome.graded() == tally.samples);
        let samples = tally.samples;
        let overall = tally.evaluation().overall;
        let shares = [overall.accuracy.unwrap_or_default(), overall.truncated];
        let passes = overall.pass_at.values().chain(overall.parts.values());
        prop_assert!(shares.iter().chain(passes).all(|share| (0.0..=1.0 + 1e-12).contains(share)));
        prop_assert!(overall.length.p50 <= overall.length.p95 && overall.length.p95 <= overall.length.max);
        if everything_is_graded && overall.problems > 0 {
            let passes: Vec<f64> = overall.accuracy.into_iter().chain(overall.pass_at.values().copied()).collect();
            prop_assert!(passes.is_sorted_by(|fewer, more| *fewer <= more + 1e-12), "{:?}", passes);
            prop_assert_eq!(overall.pass_at.keys().copied().collect::<Vec<_>>(), [2, 4].into_iter().filter(|k| *k <= samples).collect::<Vec<_>>());
        }
    }

    /// What was not graded changes lengths and counts, and nothing else.
    #[test]
    fn ungraded_responses_change_no_mean(tally in tallies()) {
        let mut without = tally.clone();
        for outcome in &mut without.outcomes {
            outcome.attempts.retain(|attempt| attempt.marks.is_some());
        }
        without.outcomes.retain(|outcome: &Outcome| !outcome.attempts.is_empty());
        let (with, without) = (tally.evaluation().overall, without.evaluation().overall);
        prop_assert_eq!(without.ungraded, 0);
        prop_assert_eq!(with.responses, without.responses + with.ungraded);
        prop_assert_eq!((with.accuracy, with.standard_error, with.sampling_error), (without.accuracy, without.standard_error, without.sampling_error));
        prop_assert_eq!((with.pass_at, with.reward, with.parts, with.problems), (without.pass_at, without.reward, without.parts, without.problems));
    }

    /// The part of the error that the draws make is what draws make: over all ways to draw one of two kinds of problems, the
    /// variance of the accuracy is the mean of its estimates.
    #[test]
    fn the_error_of_the_draws_is_unbiased(chances in prop::collection::vec(0_usize..=4, 2..4)) {
        // Each problem's responses are right with a chance of so many quarters, two responses to each.
        let (mut mean, mut square, mut estimate) = (0.0, 0.0, 0.0);
        let ways = 3_usize.pow(chances.len() as u32);
        for way in 0..ways {
            let right: Vec<usize> = (0..chances.len()).map(|problem| way / 3_usize.pow(problem as u32) % 3).collect();
            let chance: f64 = right.iter().zip(&chances).map(|(&right, &quarters)| {
                let p = quarters as f64 / 4.0;
                [(1.0 - p) * (1.0 - p), 2.0 * p * (1.0 - p), p * p][right]
            }).product();
            let overall = of_right(&right, 2).evaluation().overall;
            let accuracy = overall.accuracy.expect("graded problems");
            mean += chance * accuracy;
            square += chance * accuracy.powi(2);
            estimate += chance * overall.sampling_error.expect("two responses").powi(2);
        }
        prop_assert!(close(square - mean * mean, estimate), "{} and {}", square - mean * mean, estimate);
    }
}
