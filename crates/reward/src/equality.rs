//! When two answers are the same.

use grader::{Profile, grade};

/// Whether `given` says the same as `truth`, by the grader's profile [`Profile::StrictSound`].
///
/// An empty answer matches nothing, not even an empty truth.
///
/// # Departures
/// The released grader (the mathruler package) refuses many right answers for their writing and passes some wrong ones; its verdicts are
/// [`Profile::Mathruler`].
pub fn answers_match(given: &str, truth: &str) -> bool {
    grade(given, truth, Profile::StrictSound).correct
}
