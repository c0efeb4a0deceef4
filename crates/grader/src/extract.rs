//! Where in a response the answer stands.

use crate::Profile;

/// The answer that a response gives, if it gives one.
///
/// [`Profile::Mathruler`] looks for the last `\boxed{` and takes what stands in it up to the brace that balances, trimmed.
///
/// [`Profile::StrictSound`] looks behind the last `</think>` first and then, if nothing is found there, in the whole response. In
/// each it takes the first that is found of these:
///
/// 1. the last `\boxed{…}` or `\fbox{…}` that closes; blanks may stand before the brace, and `\{` and `\}` are no braces;
/// 2. the last `<answer>…</answer>`;
/// 3. the last `\boxed` before a bare number or word;
/// 4. what follows the last `Answer:`, `Answer is`, `**Answer**:` or `答案`, up to the end of the line or the sentence.
///
/// An empty answer is none.
///
/// # Source
/// The first is `extract_boxed_content` of the mathruler package.
///
/// # Departures
/// Where there is no box, that function returns the text `None`, which a truth `None` would match; here there is no answer.
pub fn extract(response: &str, profile: Profile) -> Option<&str> {
    match profile {
        Profile::Mathruler => balanced(&response[response.rfind("\\boxed{")? + "\\boxed{".len()..]),
        Profile::StrictSound => {
            let behind = response.rfind("</think>").map(|at| &response[at + "</think>".len()..]);
            behind.and_then(marked).or_else(|| marked(response))
        }
    }
}

/// The text up to the brace that closes what was opened before it, every brace counting.
fn balanced(content: &str) -> Option<&str> {
    let mut open = 1_usize;
    let end = content.bytes().position(|byte| {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        open == 0
    })?;
    Some(content[..end].trim())
}

fn marked(text: &str) -> Option<&str> {
    let said = |answer: &&str| !answer.is_empty();
    last_box(text).filter(said).or_else(|| tagged(text)).or_else(|| bare_box(text)).or_else(|| announced(text))
}

/// What stands in the box that opens last among those that close.
fn last_box(text: &str) -> Option<&str> {
    // One pass: every brace that opens is remembered until it closes.
    let mut open = Vec::new();
    let mut found: Option<(usize, usize)> = None;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if !is_escaped => {
                let before = text[..at].trim_end();
                open.push((at + 1, before.ends_with("\\boxed") || before.ends_with("\\fbox")));
            }
            b'}' if !is_escaped => {
                if let Some((start, true)) = open.pop()
                    && found.is_none_or(|(last, _)| last < start)
                {
                    found = Some((start, at));
                }
            }
            _ => {}
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    found.map(|(start, end)| text[start..end].trim())
}

fn tagged(text: &str) -> Option<&str> {
    // Lower case in ASCII keeps every byte in its place.
    let lower = text.to_ascii_lowercase();
    let start = lower.rfind("<answer>")? + "<answer>".len();
    let end = start + lower[start..].find("</answer>")?;
    let inner = text[start..end].trim();
    (!inner.is_empty()).then_some(inner)
}

/// The number or word behind a `\boxed` without braces.
fn bare_box(text: &str) -> Option<&str> {
    let rest = text[text.rfind("\\boxed")? + "\\boxed".len()..].trim_start_matches(' ');
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '/' | '%' | '-');
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let word = rest[..end].trim_end_matches(['.', ',']);
    word.starts_with(|c: char| c.is_alphanumeric() || c == '-').then_some(word)
}

fn announced(text: &str) -> Option<&str> {
    let behind = |at: usize| {
        let rest = &text[at..];
        let is_answer = rest.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("answer"));
        if is_answer { rest.get(6..) } else { rest.strip_prefix("答案") }
    };
    text.char_indices().rev().filter_map(|(at, _)| behind(at)).find_map(announcement)
}

/// The answer behind the word "answer", if a colon or an "is" follows.
fn announcement(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(['*', ' ']);
    let verbs = [":", "：", "is ", "is:", "是", "为"];
    let rest = verbs.iter().find_map(|verb| rest.strip_prefix(verb))?;
    let rest = rest.trim_start_matches([' ', '*', ':', '：']);
    let line = rest.trim_start().lines().next()?;
    let line = line.split("</").next().unwrap_or(line);
    let line = line.split(". ").next().unwrap_or(line).trim().trim_end_matches(['.', '*', '。']).trim_end();
    (!line.is_empty()).then_some(line)
}
