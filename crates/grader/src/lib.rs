//! Two answers in, whether they are the same out.
//!
//! Knows: text, LaTeX, numbers. A prediction and a gold answer are read and compared under a [`Profile`]; [`extract`] finds the
//! answer in a response first. Every function is pure and total: no text makes it panic, and any of 64 KiB takes milliseconds.
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
//!
//! # Rules of `strict-sound`
//!
//! A wrong answer must not pass; where a person could read an answer in two ways, it is refused. Verdicts are the same in both
//! directions.
//!
//! | answers | are the same if |
//! |---|---|
//! | numbers: digits, `1,000`, `1\,000`, `2.5e3`, `0.\overline{3}`, `3\frac12`, `½`, words | they are the same rational number |
//! | formulas without variables: roots, powers, `π`, `e`, `i`, logarithms, `\sin 30°` | their values agree, see below |
//! | formulas with variables | their values agree at six points |
//! | a number with a unit, one without | the numbers are the same: the question named the unit |
//! | two numbers with units | they are so much of the same, converted: `1.5 km` is `1500 m`, `60°` is `π/3 rad` but not `π/3` |
//! | `25%` | `25%`, `0.25`, `1/4`, or `25`, since the sign may stand in the question; not `0.0025` |
//! | an option: `B`, `(b)`, `B. 12 cm`, `Option B` | the letter is the same, and the text behind it where both give one |
//! | several options | the letters are the same, in any order |
//! | tuples, vectors, points, `x=1, y=2` | element by element, in order; round brackets may be left out |
//! | sets, lists, `x=1 or x=2`, `±3` | the elements are the same, in any order |
//! | intervals, inequalities of one variable, `\|x\|<2`, unions, `ℝ∖{2}`, `x≠2` | they are the same part of the line; an interval that holds infinity is none |
//! | equations | one is a multiple of the other, or they give one name the same value: `2x=4` is `x=2` |
//! | `y=2x+1`, `AB=5` against a bare value | that value is the right side |
//! | matrices, systems | cell by cell, line by line |
//! | ratios, times of day | `6:8` is `3:4`, and `3/4` too; `3:30 pm` is `15:30` |
//! | words | they are the same but for case, articles, quotation marks, hyphens and the period at the end |
//!
//! How an answer is set does not matter: `$…$`, `\boxed{}`, `\text{}`, `\left`, `\dfrac`, spacing, Unicode signs, a lead such as "The
//! answer is". Rounding matters: `3.14` is not `π` and `0.33` is not `1/3`.
//!
//! Rational values are compared exactly. Irrational ones must agree to 160 bits beyond what the sizes of all numbers in them ask for,
//! so that no decimal that fits into an answer passes for an irrational number. Two different rational functions agree at one of the points with a
//! probability of about their degree over 60000; they would have to agree at all of them.
//!
//! # Bounds
//! What is longer than 4096 bytes is compared as text. Nests deeper than 40, lists of more than 64 elements, numbers of more than 1000
//! digits, exponents and factorials of that kind, and whatever takes more than about 8 ms of work are not evaluated:
//! [`Ground::Refused`], and correct only if both texts are the same.
//!
//! # Source
//! [`Profile::Mathruler`] rebuilds `grade_answer` of the mathruler package (0.1.0), the official grader of VPPO, EasyR1 and others; it
//! stems from PRM800K (Lightman et al., arXiv:2305.20050) and from the normal form of the MATH data set (Hendrycks et al.,
//! arXiv:2103.03874).
//!
//! # Departures
//! - Under `mathruler`, sympy is replaced by this crate's own algebra. What sympy cannot decide, it cannot either; where sympy takes
//!   minutes, the answers are not the same.
//! - `strict-sound` follows no released grader. It passes what mathruler refuses for its writing (`2/4`, `A. 35°`, `x≤3` for `(-∞,3]`) and
//!   refuses what mathruler passes (`x=5 or x=-5` for `5`, `2` for `2.0000001`, nothing for nothing).

mod extract;

mod mathruler;
mod strict;

mod algebra;
mod fuel;

pub use extract::extract;

/// Whose rules decide; in settings `mathruler` or `strict-sound`.
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
