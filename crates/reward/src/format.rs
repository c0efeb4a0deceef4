//! The demanded form of a response.

/// Whether `text` thinks first and boxes afterwards: it begins with `<think>`, and later come `</think>`, `\boxed{` and `}` in
/// this order, with anything between and after them.
///
/// Meant for text that [`crate::tidy_tags`] has tidied. The box may be empty and its braces need not balance.
///
/// # Source
/// The format reward of PGPO and PAPO, which wants the whole string to match `<think>.*</think>.*\\boxed\{.*\}.*`, `.` being any
/// character. Taking the first occurrence of each piece is enough, because it leaves the most text to the next.
pub fn has_think_box_format(text: &str) -> bool {
    text.strip_prefix("<think>")
        .and_then(|rest| rest.split_once("</think>"))
        .and_then(|(_, rest)| rest.split_once("\\boxed{"))
        .is_some_and(|(_, rest)| rest.contains('}'))
}

#[cfg(test)]
mod tests {
    use super::has_think_box_format;

    #[test]
    fn wants_thinking_and_then_a_box() {
        assert!(has_think_box_format("<think>a</think>so \\boxed{1}."));
        assert!(has_think_box_format("<think></think></think>\\boxed{}"));
        assert!(!has_think_box_format("a<think></think>\\boxed{1}"));
        assert!(!has_think_box_format("<think>\\boxed{1}</think>"));
        assert!(!has_think_box_format("<think></think>\\boxed{1"));
        assert!(!has_think_box_format("<think>\\boxed{1}"));
        assert!(!has_think_box_format(""));
    }
}
