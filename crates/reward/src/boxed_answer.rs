//! The reward of visual reasoning: a right answer in a box, after thinking.

use grader::Profile;
use serde::{Deserialize, Serialize};

use crate::{Reward, Truth, Verdict, Weight, answers_match, boxed_content, has_think_box_format, tidy_tags};

/// Pays for the right answer in the last `\boxed{…}`, and a little for the form `<think>…</think>…\boxed{…}`.
///
/// `overall = (1 − format_weight)·accuracy + format_weight·format`.
///
/// # Source
/// PGPO and PAPO weigh the form by 0.1, which is the default here. VPPO (arXiv:2510.09285) pays for accuracy alone: weight 0.
///
/// # Departures
/// - A response without an answer (no box, one that never closes, an empty one) earns nothing at all, whatever the truth. The
///   released code pays such a response for its form.
/// - The truth is tidied like the response, so that a truth with blanks around `/` or `<` can be met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoxedAnswer {
    /// Share of the form in the overall reward; the rest is the answer's.
    pub format_weight: Weight,
    /// Whose rules say when the answer is right: `strict-sound`, the default, or `mathruler` for the rewards of the released code.
    pub profile: Profile,
}

impl Default for BoxedAnswer {
    fn default() -> Self {
        Self { format_weight: Weight::TENTH, profile: Profile::StrictSound }
    }
}

impl Reward for BoxedAnswer {
    fn judge(&self, response: &str, truth: &Truth) -> Verdict {
        let response = tidy_tags(response);
        let Some(answer) = boxed_content(&response).filter(|answer| !answer.is_empty()) else {
            return Verdict::default();
        };
        let accuracy = score(answers_match(answer, &tidy_tags(&truth.answer), self.profile));
        let format = score(has_think_box_format(&response));
        Verdict { overall: self.format_weight.blend(accuracy, format), accuracy, format }
    }
}

/// 1 for yes, 0 for no.
fn score(passed: bool) -> f32 {
    if passed { 1.0 } else { 0.0 }
}
