//! The demanded form of a response.

use serde::{Deserialize, Serialize};

use crate::{boxed_content, tidy_tags};

/// A form that a prompt template asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Thoughts and then a box: `<think>…</think>…\\boxed{…}`, see [`has_think_box_format`].
    #[default]
    ThinkBox,
    /// Thoughts and then an answer in tags, and nothing else: `<think>…</think><answer>…</answer>`.
    ThinkAnswer,
}

/// Pays 1 for a response of the demanded form and 0 for any other.
///
/// # Source
/// PGPO and PAPO pay for [`Form::ThinkBox`]; [`Form::ThinkAnswer`] is `r1v_format_reward` of EasyR1
/// (`examples/reward_function/r1v.py`), `<think>.*?</think>\s*<answer>.*?</answer>` for the whole string.
///
/// # Departures
/// A response without an answer (no box, one that never closes, an empty one) has no form. The released code pays it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Format {
    /// The form.
    pub form: Form,
}

impl Format {
    /// 1 if `response` has the form, else 0.
    #[must_use]
    pub fn score(&self, response: &str) -> f32 {
        let response = tidy_tags(response);
        let holds = match self.form {
            Form::ThinkBox => {
                has_think_box_format(&response) && boxed_content(&response).is_some_and(|answer| !answer.is_empty())
            }
            Form::ThinkAnswer => has_think_answer_format(&response),
        };
        if holds { 1.0 } else { 0.0 }
    }
}

/// Whether tidy text is thoughts and an answer in tags that is not blank, with nothing around them.
fn has_think_answer_format(text: &str) -> bool {
    text.strip_prefix("<think>")
        .and_then(|rest| rest.strip_suffix("</answer>"))
        .and_then(|rest| rest.split_once("</think><answer>"))
        .is_some_and(|(_, answer)| !answer.trim().is_empty())
}

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
