//! Agreement with people, and with the released grader, on recorded cases.

use std::collections::BTreeMap;

use grader::{Grade, Profile, extract, grade};
use serde::{Deserialize, de::DeserializeOwned};

fn cases<T: DeserializeOwned>(json: &str) -> Vec<T> {
    serde_json::from_str(json).expect("the fixture is a list of cases")
}

#[derive(Deserialize)]
struct Case {
    category: String,
    prediction: String,
    gold: String,
    human: bool,
    mathruler: bool,
}

#[derive(Deserialize)]
struct Released {
    given: String,
    truth: String,
    equal: bool,
}

#[derive(Deserialize)]
struct Response {
    response: String,
    gold: String,
    normalized: String,
    extracted: String,
    accuracy: f64,
}

/// Prints a table of agreement per category and returns the disagreements.
fn disagreements(name: &str, profile: Profile, expected: impl Fn(&Case) -> bool) -> Vec<(String, String, bool)> {
    let cases: Vec<Case> = cases(include_str!("../../../tests/fixtures/grading/cases.json"));
    assert_eq!(cases.len(), 172);
    let mut table: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut different = Vec::new();
    for case in &cases {
        let Grade { correct, .. } = grade(&case.prediction, &case.gold, profile);
        let (agreed, total) = table.entry(&case.category).or_default();
        *agreed += usize::from(correct == expected(case));
        *total += 1;
        if correct != expected(case) {
            different.push((case.prediction.clone(), case.gold.clone(), correct));
        }
    }
    eprintln!("{name}: verdicts as expected");
    for (category, (agreed, total)) in &table {
        eprintln!("  {category:16} {agreed:3} of {total:3}");
    }
    eprintln!("  {:16} {:3} of {:3}", "all", cases.len() - different.len(), cases.len());
    different
}

/// How often the released grader agrees with people, for comparison: on 120 of 172.
#[test]
fn mathruler_agrees_with_people_less_often() {
    assert_eq!(disagreements("mathruler against people", Profile::Mathruler, |case| case.human).len(), 52);
}

#[test]
fn strict_sound_agrees_with_people() {
    assert_eq!(disagreements("strict-sound against people", Profile::StrictSound, |case| case.human), []);
}

#[test]
fn mathruler_agrees_with_the_released_grader() {
    assert_eq!(disagreements("mathruler against the released grader", Profile::Mathruler, |case| case.mathruler), []);
    let released: Vec<Released> = cases(include_str!("../../../tests/fixtures/reward/released_grader.json"));
    assert_eq!(released.len(), 96);
    for case in released {
        assert_eq!(
            grade(&case.given, &case.truth, Profile::Mathruler).correct,
            case.equal,
            "{} {}",
            case.given,
            case.truth
        );
    }
}

/// Writings changed at random: most of what the released grader does to them is a quirk.
#[test]
fn mathruler_agrees_with_the_released_grader_on_changed_writings() {
    let released: Vec<Released> = cases(include_str!("../../../tests/fixtures/grading/released_verdicts.json"));
    assert_eq!(released.len(), 400);
    let differs = |case: &&Released| grade(&case.given, &case.truth, Profile::Mathruler).correct != case.equal;
    let different: Vec<_> = released.iter().filter(differs).map(|case| (&*case.given, &*case.truth)).collect();
    assert_eq!(different, []);
}

#[test]
fn mathruler_finds_the_answer_in_a_response_as_released() {
    let responses: Vec<Response> = cases(include_str!("../../../tests/fixtures/grading/responses.json"));
    assert_eq!(responses.len(), 40);
    for case in responses {
        let answer = extract(&case.normalized, Profile::Mathruler).unwrap_or("None");
        assert_eq!(answer, case.extracted, "{}", case.response);
        assert_eq!(grade(answer, &case.gold, Profile::Mathruler).correct, case.accuracy == 1.0, "{}", case.response);
    }
}

/// Where ours departs: boxes that the released grader does not see, values that it does not know, and an empty answer.
#[test]
fn strict_sound_finds_more_answers_in_responses() {
    let responses: Vec<Response> = cases(include_str!("../../../tests/fixtures/grading/responses.json"));
    let mut differs = Vec::new();
    for case in &responses {
        let answer = extract(&case.response, Profile::StrictSound);
        let correct = answer.is_some_and(|answer| grade(answer, &case.gold, Profile::StrictSound).correct);
        if correct != (case.accuracy == 1.0) {
            differs.push((&*case.response, &*case.gold, correct));
        }
    }
    let expected = [
        ("<think>a</think> \\boxed{}", "", false),
        ("<think>a</think> \\boxed {6}", "6", true),
        ("<think>a</think> \\fbox{6}", "6", true),
        ("<answer>6</answer>", "6", true),
        ("<think>a</think>\\boxed{A. 35^\\circ}", "A", true),
        ("The answer is 6.", "6", true),
        ("<think>a</think>\\boxed{10^{2}}", "100", true),
    ];
    assert_eq!(differs, expected);
}
