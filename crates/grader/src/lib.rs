//! Two answers in, whether they are the same out.
//!
//! Knows: text, LaTeX, numbers. A prediction and a gold answer are read and compared under a [`Profile`]; [`extract`] finds the
//! answer in a response first. Every function is pure and total: no text makes it panic, and one of 64 KiB takes milliseconds.
//!
//! Must not know: what a verdict earns, prompts, data sets, models.
//!
//! ```
//! use grader::{Profile, extract, grade};
//!
//! let response = "<think>It is half of 60.</think> \\boxed{\\frac{\\sqrt{12}}{4}}";
//! let answer = extract(response, Profile::StrictSound).expect("there is a box");
//! assert!(grade(answer, "\\sqrt{3}/2", Profile::StrictSound).correct);
//! assert!(!grade(answer, "0.866", Profile::StrictSound).correct);
//! ```

mod extract;

mod mathruler;
mod strict;

mod algebra;
mod fuel;

pub use extract::extract;

/// Whose rules decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The verdicts of the released grader, for comparison with published numbers: right answers in an unusual writing are refused
    /// and some wrong ones pass.
    Mathruler,
    /// Ours: right answers pass in whatever writing, as far as they are understood, and wrong ones do not pass.
    #[default]
    StrictSound,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ground {
    /// The same text, but for blanks and setting.
    Text,
    /// The same value or structure.
    Value,
    /// Both were understood and differ.
    Different,
    /// One of them was not understood, and the texts differ.
    Unread,
    /// One of them is too long, too deep or too large to be evaluated, and the texts differ.
    Refused,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grade {
    /// Whether the prediction says the same as the gold answer.
    pub correct: bool,
    /// Why.
    pub ground: Ground,
}

/// Grades a bare answer; a response is searched with [`extract`] first.
pub fn grade(prediction: &str, gold: &str, profile: Profile) -> Grade {
    match profile {
        Profile::Mathruler => mathruler::grade(prediction, gold),
        Profile::StrictSound => strict::grade(prediction, gold),
    }
}

/// Whether an answer is understood as more than text by [`Profile::StrictSound`].
pub fn is_understood(answer: &str) -> bool {
    strict::is_read(answer)
}
