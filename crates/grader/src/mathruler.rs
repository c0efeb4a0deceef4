//! The released grader, quirks included.
use crate::{Grade, Ground};
pub(crate) fn grade(_prediction: &str, _gold: &str) -> Grade {
    Grade { correct: false, ground: Ground::Different }
}
