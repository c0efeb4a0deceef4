//! Random evaluations.

use proptest::collection::vec;
use proptest::prelude::*;
use trainer::{Attempt, Marks, Outcome, Skipped, Tally};

/// Evaluations of up to a dozen problems, some without a graded response, some left out.
pub(crate) fn tallies() -> impl Strategy<Value = Tally> {
    (1_usize..7).prop_flat_map(|samples| {
        vec(prop_oneof![5 => outcome(samples).prop_map(Some), 1 => Just(None)], 0..12).prop_map(move |problems| {
            let mut tally = Tally::new(samples);
            for (problem, outcome) in problems.into_iter().enumerate() {
                match outcome {
                    Some(outcome) => tally.outcomes.push(Outcome { problem, ..outcome }),
                    None => tally.skipped.push(skipped(problem)),
                }
            }
            tally
        })
    })
}

fn skipped(problem: usize) -> Skipped {
    Skipped { problem, place: format!("line {}", problem + 1), reason: "no image".to_owned() }
}

fn outcome(samples: usize) -> impl Strategy<Value = Outcome> {
    let category = prop_oneof![Just(None), Just(Some("count")), Just(Some("size"))];
    (category, vec(attempt(), samples)).prop_map(|(category, attempts)| Outcome {
        problem: 0,
        category: category.map(str::to_owned),
        attempts,
    })
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let marks = (any::<bool>(), 0_u8..3, prop::option::of(0_u8..2)).prop_map(|(right, reward, format)| Marks {
        asked: true,
        right,
        reward: f64::from(reward) / 2.0,
        parts: format.map(|value| ("format".to_owned(), f64::from(value))).into_iter().collect(),
    });
    let marks = prop_oneof![5 => marks.prop_map(Some), 1 => Just(None)];
    (1_usize..60, any::<bool>(), marks).prop_map(|(tokens, truncated, marks)| Attempt { tokens, truncated, marks })
}

/// A tally of problems that all have the same number of right responses out of `samples`, one by one.
pub(crate) fn of_right(right: &[usize], samples: usize) -> Tally {
    let attempt = |right| {
        let marks = Marks { asked: true, right, reward: 0.0, parts: Vec::new() };
        Attempt { tokens: 1, truncated: false, marks: Some(marks) }
    };
    let outcome = |(problem, &right): (usize, &usize)| Outcome {
        problem,
        category: None,
        attempts: (0..samples).map(|sample| attempt(sample < right)).collect(),
    };
    Tally { outcomes: right.iter().enumerate().map(outcome).collect(), ..Tally::new(samples) }
}
