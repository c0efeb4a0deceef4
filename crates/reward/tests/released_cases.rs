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

/// Whatever matches here matches in the released grader, which knows much more, except fractions that are not reduced.
#[test]
fn nothing_matches_that_the_released_grader_tells_apart() {
    let grades: Vec<Grade> = cases(include_str!("../../../tests/fixtures/reward/released_grader.json"));
    let (mut agreed, mut unreduced) = (0, Vec::new());
    for case in &grades {
        match (answers_match(&case.given, &case.truth), case.equal) {
            (true, true) => agreed += 1,
            (true, false) => unreduced.push((case.given.as_str(), case.truth.as_str())),
            (false, _) => {}
        }
    }
    assert_eq!(unreduced, [("2/4", "1/2"), ("\\frac{2}{4}", "\\frac{1}{2}"), ("4/2", "2"), ("2", "4/2")]);
    assert_eq!((grades.len(), agreed), (96, 25));
}
