//! The reward of answer and form: its range, its sum, what earns nothing, and how long judging may take.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use reward::{Profile, Reward as _, RewardConfig, Verdict, Weight, WeightedSum};

use crate::answers::{answer, truth, verdict};

fn paying(format_weight: f32) -> WeightedSum {
    let weight = Weight::new(format_weight).expect("a share");
    RewardConfig::formatted(weight).build().expect("nothing to start")
}

fn judged(reward: &WeightedSum, response: &str, gold: &str) -> Verdict {
    verdict(reward, &answer(response, &truth(gold)))
}

/// Arbitrary Unicode, and text that is almost what is wanted.
fn response() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => any::<String>(),
        3 => ("[ x]?", "(< ?/? ?think ?>){0,3}", "\\PC{0,8}", "(</think>)?", "\\\\?boxed *\\{{0,3}", "[ 0-9a-b/.]{0,3}", "\\}{0,3}")
            .prop_map(|(a, b, c, d, e, f, g)| [a, b, c, d, e, f, g].concat()),
    ]
}

proptest! {
    #[test]
    fn scores_are_shares_and_add_up(response in response(), gold in "[0-9a-b]{0,2}", weight in 0.0_f32..=1.0) {
        let verdict = judged(&paying(weight), &response, &gold);
        let format = verdict.part("format").expect("it is a part");
        for score in [verdict.accuracy, format] {
            prop_assert!(score == 0.0 || score == 1.0);
        }
        let sum = (1.0 - weight) * verdict.accuracy + weight * format;
        prop_assert!((verdict.overall - sum).abs() < 1e-6, "{verdict:?}");
        prop_assert_eq!(verdict.part("accuracy"), Some(verdict.accuracy));
        prop_assert_eq!(verdict.is_right(), verdict.accuracy == 1.0);
        let alone = judged(&paying(0.0), &response, &gold);
        prop_assert_eq!((alone.overall, alone.accuracy), (verdict.accuracy, verdict.accuracy));
    }

    /// A thoughtful response with the right answer earns everything, with another answer the form's share only.
    #[test]
    fn right_answers_earn_everything(thought in "[a-z ]{0,20}", number in 0_u32..100, weight in 0.0_f32..=1.0) {
        let response = format!("<think>{thought}</think>\n\\boxed{{{number}}}");
        let reward = paying(weight);
        prop_assert!((judged(&reward, &response, &number.to_string()).overall - 1.0).abs() < 1e-6);
        prop_assert_eq!(judged(&reward, &response, &(number + 1).to_string()).overall, weight);
        let unformed = format!("{thought}\\boxed{{{number}}}");
        prop_assert!((judged(&reward, &unformed, &number.to_string()).overall - (1.0 - weight)).abs() < 1e-6);
    }

    #[test]
    fn no_answer_earns_nothing(thought in "[a-z ]{0,20}", end in prop::sample::select(vec!["", "\\boxed{}", "\\boxed{ \n}", "\\boxed{5", "5"]), gold in prop::sample::select(vec!["", "5", "None", " "])) {
        let response = format!("<think>{thought}</think>{end}");
        for profile in [Profile::StrictSound, Profile::Mathruler] {
            let config = RewardConfig { profile: Some(profile), ..RewardConfig::formatted(Weight::new(0.1).expect("a share")) };
            let verdict = judged(&config.build().expect("nothing to start"), &response, gold);
            prop_assert_eq!(verdict.part("format"), Some(0.0));
            // The released grader takes an empty box for what an empty truth says.
            if profile == Profile::StrictSound || !gold.trim().is_empty() {
                prop_assert_eq!((verdict.overall, verdict.accuracy), (0.0, 0.0));
            }
        }
    }

    /// Answers do not see each other: judged together they get the verdicts that they get alone.
    #[test]
    fn answers_are_judged_each_for_itself(responses in prop::collection::vec(response(), 0..6), gold in "[0-9a-b]{0,2}") {
        let (reward, gold) = (paying(0.3), truth(&gold));
        let answers: Vec<_> = responses.iter().map(|response| answer(response, &gold)).collect();
        let together = reward.judge(&answers);
        prop_assert_eq!(together.len(), answers.len());
        for (answer, together) in answers.iter().zip(together) {
            prop_assert_eq!(together, Ok(verdict(&reward, answer)));
        }
    }
}

#[test]
fn truths_with_blanks_around_slashes_can_be_met() {
    for profile in [Profile::StrictSound, Profile::Mathruler] {
        let config =
            RewardConfig { profile: Some(profile), ..RewardConfig::formatted(Weight::new(0.1).expect("a share")) };
        let reward = config.build().expect("nothing to start");
        for response in ["\\boxed{a < b / c}", "\\boxed{a<b/c}"] {
            let verdict = judged(&reward, response, "a < b / c");
            assert_eq!(
                (verdict.overall, verdict.accuracy, verdict.part("format")),
                (0.9, 1.0, Some(0.0)),
                "{response}"
            );
        }
    }
}

/// The released grader wants a reduced fraction, the other one takes its value.
#[test]
fn the_profile_decides_what_is_right() {
    let right =
        |config: RewardConfig| judged(&config.build().expect("nothing to start"), "\\boxed{2/4}", "1/2").is_right();
    assert!(right(RewardConfig::default()));
    assert!(right(RewardConfig { profile: Some(Profile::StrictSound), ..RewardConfig::default() }));
    assert!(!right(RewardConfig { profile: Some(Profile::Mathruler), ..RewardConfig::default() }));
}

/// 256 KiB of the worst pieces: a quadratic reader would need minutes for each, a linear one a few milliseconds.
#[test]
fn judging_takes_linear_time() {
    let size = 1 << 18;
    let pieces =
        ["{", "}", "\\boxed{", "<think>", "</think>", " ", " <", "\\text{", "$", "1", ",111", "/", "\\frac{", "-", "é"];
    let reward = paying(0.1);
    for piece in pieces {
        let many = piece.repeat(size / piece.len());
        let closing = "}".repeat(many.matches('{').count() + 1);
        let started = Instant::now();
        for response in [many.clone(), format!("<think>{many}</think>\\boxed{{{many}{closing}")] {
            judged(&reward, &response, &many);
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{piece} took {:?}", started.elapsed());
    }
}
