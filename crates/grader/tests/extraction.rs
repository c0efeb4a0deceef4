//! Where the answer of a response is found.

use grader::{Profile, extract};
use proptest::prelude::*;

#[test]
fn the_last_balanced_box_is_taken() {
    for (response, answer) in [
        ("\\boxed{5}", Some("5")),
        ("a \\boxed{1} b \\boxed{ 2 }", Some("2")),
        ("\\boxed{\\frac{1}{2}} done", Some("\\frac{1}{2}")),
        ("\\boxed{1} then \\boxed{2", Some("1")),
        ("\\boxed {3}", Some("3")),
        ("\\fbox{3}", Some("3")),
        ("\\boxed{\\boxed{6}}", Some("6")),
        ("\\boxed{}", None),
        ("\\boxed{1} \\boxed{}", None),
        ("\\boxed", None),
        ("\\boxed{\\{1, 2\\}}", Some("\\{1, 2\\}")),
        ("\\boxed{\\left\\{ x=1 \\right.}", Some("\\left\\{ x=1 \\right.")),
        ("\\boxed{a\\\\}", Some("a\\\\")),
        ("\\boxed 7, so", Some("7")),
        ("$\\boxed-3.5$.", Some("-3.5")),
        ("\\boxed x \\boxed{1}", Some("1")),
        ("\\boxed.", None),
        ("", None),
        ("no answer", None),
    ] {
        assert_eq!(extract(response, Profile::StrictSound), answer, "{response}");
    }
}

#[test]
fn other_marks_count_where_there_is_no_box() {
    for (response, answer) in [
        ("<answer> 7 </answer>", Some("7")),
        ("<answer>1</answer><answer>2</answer>", Some("2")),
        ("<answer>\\boxed{8}</answer>", Some("8")),
        ("<answer></answer>", None),
        ("The answer is 6.", Some("6")),
        ("The answer is 6.5. Done.", Some("6.5")),
        ("Final Answer: x = 3\nmore", Some("x = 3")),
        ("**Answer:** B", Some("B")),
        ("**Answer**: B", Some("B")),
        ("answer: 1\nanswer: 2", Some("2")),
        ("My answer matters.", None),
        ("<Answer>C</ANSWER>", Some("C")),
        ("答案：B", Some("B")),
        ("答案是 5。", Some("5")),
        ("The answer is 6 \\boxed{7}", Some("7")),
    ] {
        assert_eq!(extract(response, Profile::StrictSound), answer, "{response}");
    }
}

#[test]
fn what_stands_behind_the_thoughts_comes_first() {
    for (response, answer) in [
        ("<think>\\boxed{1}</think>\\boxed{2}", Some("2")),
        ("<think>\\boxed{1}</think>Answer: 2", Some("2")),
        ("<think>\\boxed{1}</think>so be it", Some("1")),
        ("<think>answer: 3</think>", Some("3")),
    ] {
        assert_eq!(extract(response, Profile::StrictSound), answer, "{response}");
    }
}

#[test]
fn the_released_extraction_sees_one_kind_of_box() {
    for (response, answer) in [
        ("a \\boxed{1} b \\boxed{2}", Some("2")),
        ("\\boxed{ {x} }", Some("{x}")),
        ("\\boxed{1}} ", Some("1")),
        ("\\boxed{1} \\boxed{a", None),
        ("\\boxed {1}", None),
        ("\\fbox{3}", None),
        ("\\boxed{}", Some("")),
        ("<answer>6</answer>", None),
    ] {
        assert_eq!(extract(response, Profile::Mathruler), answer, "{response}");
    }
}

proptest! {
    #[test]
    fn a_boxed_answer_comes_back(before in "[^\\\\{}]{0,30}", answer in "[a-z0-9+=]{1,12}", after in "[^\\\\{}<]{0,30}") {
        let response = format!("{before}\\boxed{{{{{answer}}}}}{after}");
        let inner = format!("{{{answer}}}");
        prop_assert_eq!(extract(&response, Profile::StrictSound), Some(&*inner));
        prop_assert_eq!(extract(&response, Profile::Mathruler), Some(&*inner));
    }
}
