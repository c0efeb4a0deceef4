//! Telling Rust code from comments and literals.

/// Replaces comments and the insides of literals by spaces, so that what is left is code.
///
/// Line breaks stay and so does every byte's position.
pub(super) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let opaque = opaque_length(rest);
        let (taken, left) = rest.split_at(opaque.unwrap_or(first.len_utf8()));
        if opaque.is_some() {
            code.extend(blanks(taken));
        } else {
            code.push_str(taken);
        }
        rest = left;
    }
    code
}

/// Replaces the items behind `#[cfg(test)]` by spaces, given what [`code_only`] returns. Positions stay again.
pub(super) fn without_tests(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(ATTRIBUTE) {
        let (before, item) = rest.split_at(start);
        let (test, left) = item.split_at(item_length(item));
        kept.push_str(before);
        kept.extend(blanks(test));
        rest = left;
    }
    kept.push_str(rest);
    kept
}

/// A space for every byte, and the line breaks.
fn blanks(text: &str) -> impl Iterator<Item = char> {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' })
}

/// The identifiers and keywords of a line of code.
pub(super) fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !is_identifier(character)).filter(|word| !word.is_empty())
}

/// Whether an identifier can contain this character.
pub(super) fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length in bytes of the comment or literal that `rest` starts with, if it starts with one.
fn opaque_length(rest: &str) -> Option<usize> {
    match rest.as_bytes() {
        [b'/', b'/', ..] => Some(rest.find('\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(block_comment_length(rest)),
        [b'"', ..] => Some(quoted_length(rest, '"')),
        [b'r', b'"' | b'#', ..] => raw_string_length(rest),
        [b'\'', ..] => is_character(rest).then(|| quoted_length(rest, '\'')),
        _ => None,
    }
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a literal between two `quote`s in which a backslash escapes.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a raw string; `None` for a raw identifier such as `r#type`.
fn raw_string_length(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

/// Whether the apostrophe that `rest` starts with opens a character, not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    characters.next() == Some('\\') || characters.next() == Some('\'')
}

/// The length of the item that `code` starts with: to its semicolon or to the end of its first block.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals_and_nothing_else() {
        let cases = [
            ("a // todo!(\nb", "a          \nb"),
            ("/* x /* y */ */ c", "                c"),
            (r#"f("a\"b", d)"#, "f(      , d)"),
            ("r#\"x\"y\"#+r#type", "        +r#type"),
            (r"'\'' 'é' &'a str", "          &'a str"),
            ("b\"é\" é", "b     é"),
        ];
        for (source, code) in cases {
            assert_eq!(code_only(source), code, "{source}");
            assert_eq!(code.len(), source.len(), "{source}");
        }
    }

    #[test]
    fn drops_test_items_and_keeps_lines() {
        let code = "a\n#[cfg(test)]\nmod tests { {} }\nb\n#[cfg(test)] mod laws; c";
        let kept = without_tests(code);
        assert_eq!(kept.split_whitespace().collect::<String>(), "abc");
        assert_eq!(kept.rfind('c'), code.rfind('c'));
        assert_eq!(kept.lines().count(), code.lines().count());
    }
}
