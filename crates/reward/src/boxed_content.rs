//! Finding the answer in a response.

/// How a box begins.
const BOX: &str = "\\boxed{";

/// The content of the last `\boxed{…}` in `text`, trimmed; braces inside must balance.
///
/// `None` if there is no box or the last one never closes. The content may be empty.
///
/// # Source
/// `extract_boxed_content` of the mathruler package, which the reward functions of VPPO, PGPO and PAPO call.
///
/// # Departures
/// The released function answers with the string `"None"` where this one has no answer, so that a missing box would be rewarded
/// when the truth is the word "None".
pub fn boxed_content(text: &str) -> Option<&str> {
    let content = &text[text.rfind(BOX)? + BOX.len()..];
    let mut open = 1_usize;
    for (at, byte) in content.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(content[..at].trim());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::boxed_content;

    #[test]
    fn takes_the_last_box_with_balanced_braces() {
        let cases = [
            ("\\boxed{1} and \\boxed{ \\frac{1}{2} }.", Some("\\frac{1}{2}")),
            ("\\boxed{}", Some("")),
            ("\\boxed{1} and \\boxed{2", None),
            ("nothing boxed", None),
            ("\\boxed {1}", None),
            ("\\boxed{a}}", Some("a")),
        ];
        for (text, content) in cases {
            assert_eq!(boxed_content(text), content, "{text}");
        }
    }
}
