//! Tidying of tags before anything else is read.

/// Drops the whitespace around every `<`, `>` and `/`, so that `</ think >` becomes `</think>` and `1 / 2` becomes `1/2`.
///
/// Whitespace is what Unicode calls `White_Space`. Tidying tidy text changes nothing.
///
/// # Source
/// The reward functions of VPPO (arXiv:2510.09285) and of its relatives: `re.sub(r"\s*(<|>|/)\s*", r"\1", text)`.
///
/// # Departures
/// Python also counts the four control characters U+001C to U+001F as whitespace; they stay here.
pub fn tidy_tags(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut after_tag = false;
    for character in text.chars() {
        if matches!(character, '<' | '>' | '/') {
            tidy.truncate(tidy.trim_end().len());
            tidy.push(character);
            after_tag = true;
        } else if !(after_tag && character.is_whitespace()) {
            tidy.push(character);
            after_tag = false;
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::tidy_tags;

    #[test]
    fn drops_whitespace_around_tags_and_slashes_only() {
        assert_eq!(tidy_tags(" < think >\n a  b </ think >\t\\boxed{ 1 / 2 }"), "<think>a  b</think>\\boxed{ 1/2 }");
    }
}
