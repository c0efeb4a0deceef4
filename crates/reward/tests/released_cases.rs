//! Recorded results of the released reward code, and where this crate departs from them.

use reward::{Profile, SoftOverlong, Weight, answers_match, boxed_content, has_think_box_format, tidy_tags};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

fn cases<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("the fixture has this form")
}

/// Recorded inputs and outputs of a function of an independent implementation, all of them.
#[derive(Deserialize)]
struct Recorded<I, O> {
    r#in: I,
    out: O,
}

fn recorded<I: DeserializeOwned, O: DeserializeOwned>(function: &str) -> Vec<Recorded<I, O>> {
    let mut golden: Value = cases(include_str!("../../../tests/fixtures/credit/golden.json"));
    let count = golden["meta"]["counts"][function].as_u64();
    let found: Vec<_> = serde_json::from_value(golden["cases"][function].take()).expect("cases of this form");
    assert_eq!(Some(found.len() as u64), count);
    found
}

/// The released code has the string "None" where there is no answer.
fn released(boxed: Option<&str>) -> &str {
    boxed.unwrap_or("None")
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Reading {
    tidy: String,
    boxed: String,
    format: f32,
    reward_if_correct: f32,
    reward_if_wrong: f32,
}

#[test]
fn responses_are_read_as_released() {
    let tenth = Weight::new(0.1).expect("a share");
    for case in recorded::<Text, Reading>("text_reward") {
        let (tidy, expected) = (tidy_tags(&case.r#in.text), case.out);
        assert_eq!(tidy, expected.tidy);
        assert_eq!(released(boxed_content(&tidy)), expected.boxed, "{tidy}");
        assert_eq!(has_think_box_format(&tidy), expected.format == 1.0, "{tidy}");
        assert_eq!(tenth.blend(1.0, expected.format), expected.reward_if_correct, "{tidy}");
        assert_eq!(tenth.blend(0.0, expected.format), expected.reward_if_wrong, "{tidy}");
    }
}

#[derive(Deserialize)]
struct Overlong {
    length: usize,
    max_length: usize,
    buffer: usize,
    accuracy_pm1: f32,
    factor: f32,
}

#[derive(Deserialize)]
struct Penalized {
    penalty: f32,
    reward: f32,
}

/// The recording's penalty is the one of factor 1.
#[test]
fn long_responses_lose_as_recorded() {
    for case in recorded::<Overlong, Penalized>("soft_overlong") {
        let Overlong { length, max_length, buffer, accuracy_pm1, factor } = case.r#in;
        let penalty = |factor| SoftOverlong::new(max_length, buffer, factor).expect("valid").penalty(length);
        assert_eq!(penalty(1.0), case.out.penalty, "{length} of {max_length}");
        assert_eq!(accuracy_pm1 + penalty(factor), case.out.reward, "{length} of {max_length}");
    }
}

#[derive(Deserialize)]
struct Extraction {
    text: String,
    boxed: String,
}

#[test]
fn boxes_are_found_as_released() {
    let extractions: Vec<Extraction> = cases(include_str!("../../../tests/fixtures/reward/boxed_content.json"));
    assert_eq!(extractions.len(), 9);
    for case in extractions {
        assert_eq!(released(boxed_content(&case.text)), case.boxed, "{}", case.text);
    }
}

#[derive(Deserialize)]
struct Grade {
    given: String,
    truth: String,
    equal: bool,
}

/// What the released grader passes is refused only where it is wrong, and what it refuses passes only where that is right.
#[test]
fn verdicts_depart_from_the_released_grader_where_it_errs() {
    let grades: Vec<Grade> = cases(include_str!("../../../tests/fixtures/reward/released_grader.json"));
    assert_eq!(grades.len(), 96);
    let (mut refused, mut passed) = (Vec::new(), Vec::new());
    for case in &grades {
        assert_eq!(
            answers_match(&case.given, &case.truth, Profile::Mathruler),
            case.equal,
            "{} {}",
            case.given,
            case.truth
        );
        match (answers_match(&case.given, &case.truth, Profile::StrictSound), case.equal) {
            (true, false) => passed.push((case.given.as_str(), case.truth.as_str())),
            (false, true) => refused.push((case.given.as_str(), case.truth.as_str())),
            _ => {}
        }
    }
    assert_eq!(refused, REFUSED);
    assert_eq!(passed, PASSED);
}

const REFUSED: [(&str, &str); 3] = [("", ""), ("AB", "BA"), ("2", "2.0000001")];

const PASSED: [(&str, &str); 18] = [
    ("2/4", "1/2"),
    ("\\frac{2}{4}", "\\frac{1}{2}"),
    ("A.", "A"),
    ("A. 50", "A"),
    ("B,A", "A,B"),
    ("Option A", "A"),
    ("A: 50^\\circ", "A"),
    ("65°", "65"),
    ("65", "65°"),
    ("0.5", "50%"),
    ("(1, 2)", "1,2"),
    ("yes", "Yes."),
    ("5 million", "5000000"),
    ("two", "2"),
    ("10", "ten"),
    ("4/2", "2"),
    ("2", "4/2"),
    ("3:4", "3/4"),
];
