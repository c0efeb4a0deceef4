//! Whether the answer is right.

use grader::{Profile, extract};
use serde::{Deserialize, Serialize};

use crate::{Answer, answers_match, tidy_tags};

/// Pays 1 for the right answer and 0 for a wrong one or none.
///
/// # Source
/// The accuracy reward of VPPO (arXiv:2510.09285), PGPO and PAPO: the content of the last `\boxed{…}` of the tidied response,
/// graded by the mathruler package. [`Profile::Mathruler`] gives its verdicts.
///
/// # Departures
/// - A response without a box earns nothing, whatever the truth; the released code takes the text `None` for its answer. An empty box
///   says what an empty truth says by the released grader, and nothing by ours.
/// - For the released grader the truth is tidied like the response, so that a truth with blanks around `/` or `<` can be met. Ours reads
///   both as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerMatch {
    /// Whose rules say where the answer stands and when it is right: `strict-sound`, the default, or `mathruler` for the rewards of
    /// the released code.
    pub profile: Profile,
}

impl AnswerMatch {
    /// 1 if the response gives the right answer, else 0.
    #[must_use]
    pub fn score(&self, answer: &Answer<'_>) -> f32 {
        let truth = &answer.truth.answer;
        let says = |response: &str, truth: &str| {
            extract(response, self.profile).is_some_and(|given| answers_match(given, truth, self.profile))
        };
        let right = match self.profile {
            Profile::Mathruler => says(&tidy_tags(answer.response), &tidy_tags(truth)),
            Profile::StrictSound => says(answer.response, truth),
        };
        if right { 1.0 } else { 0.0 }
    }
}
