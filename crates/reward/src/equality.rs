//! When two answers are the same.

use grader::{Profile, grade};

/// Whether `given` says the same as `truth`, by the rules of `profile`.
///
/// # Source
/// `grade_answer` of the mathruler package, which the reward functions of VPPO, PGPO and PAPO call, is [`Profile::Mathruler`].
///
/// # Departures
/// That grader refuses many right answers for their writing and passes some wrong ones, two empty answers among them. Where published
/// numbers are not to be met, [`Profile::StrictSound`] decides; by it an empty answer matches nothing.
pub fn answers_match(given: &str, truth: &str, profile: Profile) -> bool {
    grade(given, truth, profile).correct
}
