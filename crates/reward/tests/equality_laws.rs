//! Laws of equal answers: values written in many ways are one, and different values are never one.

use proptest::prelude::*;
use reward::Profile;

fn answers_match(given: &str, truth: &str) -> bool {
    reward::answers_match(given, truth, Profile::StrictSound)
}

/// `value · 10^-places` in decimal writing.
fn decimal(value: i64, places: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let scale = 10_u64.pow(places);
    let (whole, rest) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
    if places == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:0width$}", width = places as usize)
    }
}

/// An integer with a comma after every three digits from the right.
fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// Short answers in which numbers, words and markup are likely.
fn answer() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?[0-9]{0,4}[.,/]?[0-9]{0,4}",
        "-?\\\\frac\\{[0-9]{1,2}\\}\\{[0-9]{1,2}\\}",
        "[a-cA-C]{0,2}",
        "[$]?(\\\\text\\{)?[0-2a-b ]{0,2}\\}?[$]?",
        "\\PC{0,6}",
    ]
}

proptest! {
    /// Two fractions match exactly if their cross products agree.
    #[test]
    fn fractions_match_by_cross_product(a in -30_i64..30, b in -30_i64..30, c in -30_i64..30, d in -30_i64..30) {
        prop_assume!(b != 0 && d != 0);
        let equal = a * d == c * b;
        prop_assert_eq!(answers_match(&format!("{a}/{b}"), &format!("{c}/{d}")), equal);
        prop_assert_eq!(answers_match(&format!("\\frac{{{a}}}{{{b}}}"), &format!("{c}/{d}")), equal);
    }

    #[test]
    fn a_decimal_is_its_fraction_and_not_the_next(value in -1_000_000_i64..1_000_000, places in 0_u32..5) {
        let written = decimal(value, places);
        let fraction = |value: i64| format!("{value}/{}", 10_i64.pow(places));
        prop_assert!(answers_match(&written, &fraction(value)));
        let longer = if places == 0 { ".0" } else { "0" };
        prop_assert!(answers_match(&[&written, longer].concat(), &written));
        prop_assert!(!answers_match(&written, &fraction(value + 1)));
    }

    #[test]
    fn thousands_separators_change_nothing(value in any::<i64>()) {
        prop_assert!(answers_match(&grouped(value), &value.to_string()));
        prop_assert!(!answers_match(&grouped(value), &value.wrapping_add(1).to_string()));
    }

    /// No float stands between text and value: the last of 30 digits counts.
    #[test]
    fn long_numbers_are_exact(front in "[1-9][0-9]{28}", last in 0_u32..10, other in 0_u32..10) {
        let truth = format!("{front}{other}");
        prop_assert_eq!(answers_match(&format!("+{front}{last}"), &truth), last == other);
        prop_assert_eq!(answers_match(&format!("0.{front}{last}0"), &format!(".{truth}")), last == other);
    }

    #[test]
    fn case_does_not_matter_in_words(word in "[a-zA-Z]{3,8}") {
        prop_assert!(answers_match(&word.to_uppercase(), &word.to_lowercase()));
        let marked_up = format!("$\\text{{{word}}}$");
        prop_assert!(answers_match(&marked_up, &word));
        let other_word = format!("{word}s");
        prop_assert!(!answers_match(&word, &other_word));
    }

    /// It is no equivalence: `5 cm` and `5 m` are both 5 where the truth has no unit.
    #[test]
    fn matching_is_symmetric_and_every_answer_matches_itself(a in answer(), b in answer()) {
        prop_assert_eq!(answers_match(&a, &b), answers_match(&b, &a));
        let says_something = a.replace("\\text", "").replace("\\frac", "").contains(char::is_alphanumeric);
        prop_assert!(answers_match(&a, &a) || !says_something, "{a:?}");
    }
}
