//! Where in a response the answer stands.

use crate::Profile;

/// The answer that a response gives, if it gives one.
///
/// [`Profile::Mathruler`] looks for the last `\boxed{` and takes what stands in it up to the brace that balances, trimmed.
///
/// [`Profile::StrictSound`] looks behind the last `</think>` first and then, if nothing is found there, in the whole response. In
/// each it takes, in this order, the last balanced `\boxed{…}` or `\fbox{…}` (blanks may stand before the brace), the last
/// `<answer>…</answer>` (and the box within, if it has one), and what follows the last `Answer:`, `Answer is` or `**Answer**` up to
/// the end of the line or the sentence. An empty answer is none.
///
/// # Source
/// The first is `extract_boxed_content` of the mathruler package, except that it returns the text `None` where there is no box.
pub fn extract(response: &str, profile: Profile) -> Option<&str> {
    match profile {
        Profile::Mathruler => last_box(response, &["\\boxed{"], false),
        Profile::StrictSound => {
            let behind = response.rfind("</think>").map(|at| &response[at + "</think>".len()..]);
            behind.and_then(marked).or_else(|| marked(response))
        }
    }
}

fn marked(text: &str) -> Option<&str> {
    let boxed = |text| last_box(text, &["\\boxed", "\\fbox"], true).filter(|answer| !answer.is_empty());
    boxed(text).or_else(|| tagged(text)).or_else(|| announced(text))
}

/// What stands in the last of the boxes that closes. The boxes are tried from the last on if `earlier` says so, otherwise only the last.
fn last_box<'a>(text: &'a str, heads: &[&str], earlier: bool) -> Option<&'a str> {
    // One pass: every brace that opens is remembered until it closes.
    let mut open = Vec::new();
    let mut found = None;
    let starts_box = |before: &str| {
        let before = if earlier { before.trim_end() } else { before };
        heads.iter().any(|head| before.ends_with(head.trim_end_matches('{')))
    };
    let last_head = heads.iter().filter_map(|head| text.rfind(head).map(|at| at + head.len())).max()?;
    let from = if earlier { 0 } else { last_head - 1 };
    for (at, byte) in text.bytes().enumerate().skip(from) {
        match byte {
            b'{' => open.push((at, starts_box(&text[..at]))),
            b'}' => {
                if let Some((start, true)) = open.pop()
                    && found.is_none_or(|(last, _)| last < start)
                {
                    found = Some((start, at));
                    if !earlier {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    found.filter(|(start, _)| earlier || start + 1 == last_head).map(|(start, end)| text[start + 1..end].trim())
}

fn tagged(text: &str) -> Option<&str> {
    let start = text.rfind("<answer>")? + "<answer>".len();
    let end = start + text[start..].find("</answer>")?;
    let inner = text[start..end].trim();
    (!inner.is_empty()).then_some(inner)
}

fn announced(text: &str) -> Option<&str> {
    let is_answer = |at: usize| text.get(at..at + 6).is_some_and(|word| word.eq_ignore_ascii_case("answer"));
    text.char_indices().rev().filter(|(at, _)| is_answer(*at)).find_map(|(at, _)| announcement(&text[at + 6..]))
}

/// The answer behind the word "answer", if a colon or an "is" follows.
fn announcement(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(['*', ' ']);
    let rest = rest.strip_prefix(':').or_else(|| rest.strip_prefix("is ")).or_else(|| rest.strip_prefix("is:"))?;
    let rest = rest.trim_start_matches([' ', '*', ':']);
    let line = rest.trim_start().lines().next()?;
    let line = line.split("</").next().unwrap_or(line);
    let line = line.split(". ").next().unwrap_or(line).trim().trim_end_matches(['.', '*']).trim_end();
    (!line.is_empty()).then_some(line)
}
