//! A response and a truth in, a verdict out.
//!
//! Knows: text. A response thinks between `<think>` and `</think>` and then puts its answer into `\boxed{…}`; the reward asks
//! whether the answer is right and whether that form was kept.
//!
//! Must not know: models, images, tokens, groups of responses. What a verdict is worth for learning is decided elsewhere.
//!
//! [`Reward`] is the seam and [`BoxedAnswer`] its implementation, put together from four plain functions that can be read and used
//! alone: [`tidy_tags`], [`boxed_content`], [`has_think_box_format`] and [`answers_match`]. Which answers are
//! equal is the grader's to say, under a [`Profile`]. [`SoftOverlong`] is what length costs, for those who add it to a verdict. Every function is total (no text makes it panic) and takes time linear in the text.
//!
//! ```
//! use reward::{BoxedAnswer, Reward, Truth, Verdict};
//!
//! let truth = Truth { answer: "0.5".to_owned() };
//! let verdict = BoxedAnswer::default().judge("<think>One of two.</think>\n\\boxed{1 / 2}", &truth);
//! assert_eq!(verdict, Verdict { overall: 1.0, accuracy: 1.0, format: 1.0 });
//! ```

mod verdict;

mod boxed_answer;
mod soft_overlong;

mod boxed_content;
mod equality;
mod format;
mod tags;
mod weight;

mod error;

pub use boxed_answer::BoxedAnswer;
pub use boxed_content::boxed_content;
pub use equality::answers_match;
pub use error::RewardError;
pub use format::has_think_box_format;
pub use soft_overlong::SoftOverlong;
pub use tags::tidy_tags;
pub use verdict::{Reward, Truth, Verdict};
pub use weight::Weight;

pub use grader::Profile;
