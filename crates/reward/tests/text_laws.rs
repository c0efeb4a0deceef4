//! Laws of reading a response: each reader against a slow rule of its own.

use proptest::prelude::*;
use reward::{boxed_content, has_think_box_format, tidy_tags};

/// Text made of the pieces that matter, torn, repeated and nested, with arbitrary characters between them.
fn response() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "<think>", "</think>", "< / think >", "\\boxed{", "\\boxed {", "boxed", "{", "}", "<", ">", "/", " ", "\n", "\u{3000}",
        ])
        .prop_map(str::to_owned),
        1 => "\\PC{0,3}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Keeps a character unless it is whitespace in a run that touches a tag character.
fn tidied_one_by_one(text: &str) -> String {
    let is_tag = |c: &char| matches!(c, '<' | '>' | '/');
    let all: Vec<char> = text.chars().collect();
    let kept = (0..all.len()).filter(|&at| {
        let before = all[..at].iter().rev().find(|c| !c.is_whitespace());
        let after = all[at..].iter().find(|c| !c.is_whitespace());
        !all[at].is_whitespace() || !(before.is_some_and(is_tag) || after.is_some_and(is_tag))
    });
    kept.map(|at| all[at]).collect()
}

/// Tries every end of the last box and counts its braces afresh.
fn boxed_by_trial(text: &str) -> Option<String> {
    let starts: Vec<usize> = text.match_indices("\\boxed{").map(|(at, _)| at + 7).collect();
    let rest = &text[*starts.last()?..];
    rest.match_indices('}')
        .map(|(end, _)| &rest[..end])
        .find(|inner| inner.matches('{').count() == inner.matches('}').count())
        .map(|inner| inner.trim().to_owned())
}

/// Tries every choice of the three later pieces.
fn form_by_trial(text: &str) -> bool {
    let later = |piece: &'static str| text.match_indices(piece).map(move |(at, _)| (at, at + piece.len()));
    text.starts_with("<think>")
        && later("</think>").filter(|think| think.0 >= 7).any(|think| {
            later("\\boxed{")
                .filter(|opening| opening.0 >= think.1)
                .any(|opening| later("}").any(|closing| closing.0 >= opening.1))
        })
}

proptest! {
    #[test]
    fn tidying_is_the_slow_rule_and_settles_at_once(text in response()) {
        let tidy = tidy_tags(&text);
        prop_assert_eq!(&tidy, &tidied_one_by_one(&text));
        prop_assert_eq!(tidy_tags(&tidy), tidy);
    }

    #[test]
    fn the_box_is_the_slow_rule(text in response()) {
        prop_assert_eq!(boxed_content(&text).map(str::to_owned), boxed_by_trial(&text));
    }

    /// Whatever came before, a balanced box at the end is the answer.
    #[test]
    fn a_last_balanced_box_is_found(text in response(), answer in "[a-z0-9]{0,8}", depth in 0_usize..40) {
        let nested = format!("{}{answer}{}", "{".repeat(depth), "}".repeat(depth));
        let text = format!("{text}\\boxed{{{nested}}} so");
        prop_assert_eq!(boxed_content(&text), Some(nested.as_str()));
    }

    #[test]
    fn the_form_is_the_slow_rule(text in response(), anchored in any::<bool>()) {
        let text = if anchored { format!("<think>{text}") } else { text };
        prop_assert_eq!(has_think_box_format(&text), form_by_trial(&text));
    }
}
