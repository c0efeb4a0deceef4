//! Laws of the verdict: its range, its sum, what earns nothing, and how long judging may take.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use reward::{BoxedAnswer, Profile, Reward, Truth, Verdict, Weight};

fn truth(answer: &str) -> Truth {
    Truth { answer: answer.to_owned() }
}

fn paying(format_weight: f32) -> BoxedAnswer {
    BoxedAnswer { format_weight: Weight::new(format_weight).expect("a share"), ..BoxedAnswer::default() }
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
    fn scores_are_shares_and_add_up(response in response(), answer in "[0-9a-b]{0,2}", weight in 0.0_f32..=1.0) {
        let verdict = paying(weight).judge(&response, &truth(&answer));
        for score in [verdict.accuracy, verdict.format] {
            prop_assert!(score == 0.0 || score == 1.0);
        }
        let sum = (1.0 - weight) * verdict.accuracy + weight * verdict.format;
        prop_assert!((verdict.overall - sum).abs() < 1e-6, "{verdict:?}");
        prop_assert_eq!(paying(0.0).judge(&response, &truth(&answer)).overall, verdict.accuracy);
    }

    /// A thoughtful response with the right answer earns everything, with another answer the form's share only.
    #[test]
    fn right_answers_earn_everything(thought in "[a-z ]{0,20}", number in 0_u32..100, weight in 0.0_f32..=1.0) {
        let response = format!("<think>{thought}</think>\n\\boxed{{{number}}}");
        let reward = paying(weight);
        prop_assert!((reward.judge(&response, &truth(&number.to_string())).overall - 1.0).abs() < 1e-6);
        prop_assert_eq!(reward.judge(&response, &truth(&(number + 1).to_string())).overall, weight);
        let unformed = format!("{thought}\\boxed{{{number}}}");
        prop_assert!((reward.judge(&unformed, &truth(&number.to_string())).overall - (1.0 - weight)).abs() < 1e-6);
    }

    #[test]
    fn no_answer_earns_nothing(thought in "[a-z ]{0,20}", end in prop::sample::select(vec!["", "\\boxed{}", "\\boxed{ \n}", "\\boxed{5} \\boxed{5", "5"]), answer in prop::sample::select(vec!["", "5", "None", " "])) {
        let response = format!("<think>{thought}</think>{end}");
        prop_assert_eq!(BoxedAnswer::default().judge(&response, &truth(answer)), Verdict::default());
    }
}

#[test]
fn truths_with_blanks_around_slashes_can_be_met() {
    let verdict = BoxedAnswer::default().judge("\\boxed{a < b / c}", &truth("a < b / c"));
    assert_eq!(verdict, Verdict { overall: 0.9, accuracy: 1.0, format: 0.0 });
}

#[test]
fn the_profile_decides_what_is_right() {
    let judged =
        |profile| BoxedAnswer { profile, ..BoxedAnswer::default() }.judge("\\boxed{2/4}", &truth("1/2")).accuracy;
    assert_eq!(judged(Profile::StrictSound), 1.0);
    assert_eq!(judged(Profile::Mathruler), 0.0);
}

#[test]
fn settings_are_read_and_checked() {
    let read = |text: &str| serde_json::from_str::<BoxedAnswer>(text);
    assert_eq!(read("{}").expect("defaults"), paying(0.1));
    assert_eq!(read(r#"{"format_weight": 0}"#).expect("accuracy alone"), paying(0.0));
    let released = BoxedAnswer { profile: Profile::Mathruler, ..BoxedAnswer::default() };
    assert_eq!(read(r#"{"profile": "mathruler"}"#).expect("the released grader"), released);
    assert_eq!(BoxedAnswer::default().profile, Profile::StrictSound);
    let written = serde_json::to_string(&BoxedAnswer::default()).expect("settings are written");
    assert_eq!(written, r#"{"format_weight":0.1,"profile":"strict-sound"}"#);
    for wrong in
        [r#"{"profile": "lenient"}"#, r#"{"format_weight": 1.5}"#, r#"{"format_weight": -1}"#, r#"{"format": 0.1}"#]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

/// A megabyte of the worst pieces: a quadratic reader would need minutes for each, a linear one a few milliseconds.
#[test]
fn judging_takes_linear_time() {
    let size = 1 << 20;
    let pieces =
        ["{", "}", "\\boxed{", "<think>", "</think>", " ", " <", "\\text{", "$", "1", ",111", "/", "\\frac{", "-", "é"];
    for piece in pieces {
        let many = piece.repeat(size / piece.len());
        let closing = "}".repeat(many.matches('{').count() + 1);
        let started = Instant::now();
        for response in [many.clone(), format!("<think>{many}</think>\\boxed{{{many}{closing}")] {
            BoxedAnswer::default().judge(&response, &truth(&many));
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{piece} took {:?}", started.elapsed());
    }
}
