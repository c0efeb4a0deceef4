//! Recorded results of the released reward code, and where this crate departs from them.

use reward::{Weight, answers_match, boxed_content, has_think_box_format, tidy_tags};
use serde::{Deserialize, de::DeserializeOwned};

fn cases<T: DeserializeOwned>(json: &str) -> Vec<T> {
    serde_json::from_str(json).expect("the fixture is a list of cases")
}

/// The released code has the string "None" where there is no answer.
fn released(boxed: Option<&str>) -> &str {
    boxed.unwrap_or("None")
}

#[derive(Deserialize)]
struct Response {
    text: String,
    tidy: String,
    boxed: String,
    format: f32,
    reward_if_correct: f32,
    reward_if_wrong: f32,
}

#[test]
fn responses_are_read_as_released() {
    let tenth = Weight::new(0.1).expect("a share");
    let responses: Vec<Response> = cases(include_str!("../../../tests/fixtures/reward/preprocessing_and_format.json"));
    assert_eq!(responses.len(), 8);
    for case in responses {
        let tidy = tidy_tags(&case.text);
        assert_eq!(tidy, case.tidy);
        assert_eq!(released(boxed_content(&tidy)), case.boxed, "{tidy}");
        assert_eq!(has_think_box_format(&tidy), case.format == 1.0, "{tidy}");
        assert_eq!(tenth.blend(1.0, case.format), case.reward_if_correct, "{tidy}");
        assert_eq!(tenth.blend(0.0, case.format), case.reward_if_wrong, "{tidy}");
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
        match (answers_match(&case.given, &case.truth), case.equal) {
            (true, false) => passed.push((case.given.as_str(), case.truth.as_str())),
            (false, true) => refused.push((case.given.as_str(), case.truth.as_str())),
            _ => {}
        }
    }
    assert_eq!(refused, REFUSED);
    assert_eq!(passed, PASSED);
}

const REFUSED: [(&str, &str); 3] = [("", ""), ("AB", "BA"), ("2", "2.0000001")];

const PASSED: [(&str, &str); 17] = [
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
];
