use proptest::prelude::*;
use trainer::{Comparison, Paired, Tally};

use crate::draws::{of_right, tallies};

/// Two evaluations of the same problems under the same categories.
fn pairs() -> impl Strategy<Value = (Tally, Tally)> {
    (tallies(), tallies()).prop_map(|(first, mut second)| {
        for outcome in &mut second.outcomes {
            let ours = first.outcomes.iter().find(|ours| ours.problem == outcome.problem);
            outcome.category = ours.and_then(|ours| ours.category.clone());
        }
        (first, second)
    })
}

proptest! {
    /// An evaluation does not differ from itself.
    #[test]
    fn nothing_differs_from_itself(tally in tallies()) {
        let Comparison { overall, only_before, only_after, .. } = Comparison::of(&tally, &tally);
        prop_assert_eq!((overall.difference, overall.better, overall.worse, only_before, only_after), (0.0, 0, 0, 0, 0));
        prop_assert!(overall.standard_error.is_none_or(|error| error == 0.0) && overall.errors_apart().is_none());
        let accuracy = tally.evaluation().overall;
        prop_assert_eq!((overall.problems, overall.before), (accuracy.problems, overall.after));
        prop_assert!((overall.before - accuracy.accuracy.unwrap_or_default()).abs() < 1e-12);
    }

    /// Turned round, a comparison says the opposite with the same error.
    #[test]
    fn turning_round_changes_the_sign((first, second) in pairs()) {
        let (there, back) = (Comparison::of(&first, &second), Comparison::of(&second, &first));
        prop_assert_eq!((there.only_before, there.only_after), (back.only_after, back.only_before));
        let (there, back) = (there.overall, back.overall);
        prop_assert_eq!((there.before, there.better, there.problems), (back.after, back.worse, back.problems));
        prop_assert!((there.difference + back.difference).abs() < 1e-12);
        prop_assert!((there.difference - (there.after - there.before)).abs() < 1e-12);
        let error = |paired: Paired| paired.standard_error.unwrap_or(-1.0);
        prop_assert!((error(there) - error(back)).abs() < 1e-12);
    }

    /// Every problem that either answered is in a pair or counted as left out.
    #[test]
    fn every_problem_is_accounted_for((first, second) in pairs()) {
        let comparison = Comparison::of(&first, &second);
        let counted = |tally: &Tally| tally.outcomes.iter().filter(|outcome| outcome.graded() > 0).count();
        prop_assert_eq!(comparison.overall.problems + comparison.only_before, counted(&first));
        prop_assert_eq!(comparison.overall.problems + comparison.only_after, counted(&second));
        let named: usize = comparison.categories.values().map(|paired| paired.problems).sum();
        prop_assert!(named <= comparison.overall.problems);
    }
}

/// Problems that are hard for both add nothing to the error of the difference.
#[test]
fn pairs_have_the_smaller_error() {
    let (before, after) = (of_right(&[0, 1, 2, 3, 4], 4), of_right(&[0, 2, 3, 4, 4], 4));
    let Comparison { overall, .. } = Comparison::of(&before, &after);
    assert_eq!((overall.before, overall.after, overall.problems), (0.5, 0.65, 5));
    assert!((overall.difference - 0.15).abs() < 1e-12);
    assert_eq!((overall.better, overall.worse), (3, 0));
    // Differences 0, 1/4, 1/4, 1/4, 0: squares of their distances to 0.15 sum to 0.075, over four and five.
    let error = overall.standard_error.expect("five problems");
    assert!((error - (0.075_f64 / 4.0 / 5.0).sqrt()).abs() < 1e-12);
    assert!((overall.errors_apart().expect("an error") - 0.15 / error).abs() < 1e-12);
    let [low, high] = overall.interval().expect("an error");
    assert!((low - (0.15 - 1.96 * error)).abs() < 1e-12 && (high - (0.15 + 1.96 * error)).abs() < 1e-12);
    let printed = overall.to_string();
    assert!(
        printed.starts_with("+15.0 points, 95 % interval +") && printed.contains("paired over 5 problems"),
        "{printed}"
    );
    assert_eq!(
        Paired::between(&before.clone().evaluation(), &after.clone().evaluation()),
        overall,
        "from figures alone"
    );
    let itself = Comparison::of(&before, &before).overall.to_string();
    assert_eq!(itself, "+0.0 points, the same for each of 5 problems: its paired standard error is 0");
    let apart = [before, after].map(|tally| tally.evaluation().overall.standard_error.expect("five problems"));
    assert!(error < 0.3 * apart[0].hypot(apart[1]), "{error} and {apart:?}");
    let nothing = Comparison::of(&of_right(&[], 2), &of_right(&[1], 2));
    assert_eq!((nothing.overall, nothing.only_after), (Paired::default(), 1));
    assert_eq!(nothing.overall.interval(), None);
}
