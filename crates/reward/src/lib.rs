//! A response and a truth in, a verdict out.
//!
//! Knows: text and its length. A response thinks and then gives its answer; the reward asks whether the answer is right, and whatever
//! else is paid for: the form, length, repetition, or what a user's program says.
//!
//! Must not know: models, images, tokenizers. What a verdict is worth for learning is decided elsewhere.
//!
//! [`Reward`] is the seam. [`RewardConfig`] is a reward as data: a list of [`WeightedPart`]s, built into a [`WeightedSum`]. Parts within
//! this program are plain functions that can be used alone: [`AnswerMatch`] (which answers are equal is the grader's to say,
//! under a [`Profile`]), [`Format`], [`Repetition`], [`SoftOverlong`], [`CosineLength`] and [`GroupLength`]; each is total (no text
//! makes it panic) and takes time linear in the text. [`Subprocess`] and [`Http`] ask a user's program or server within [`Limits`];
//! what they leave open is [`Ungraded`].
//!
//! ```
//! use reward::{Answer, Reward, RewardConfig, Truth, Weight};
//!
//! let reward = RewardConfig::formatted(Weight::new(0.1)?).build()?;
//! let truth = Truth { answer: "0.5".to_owned() };
//! let response = "<think>One of two.</think>\n\\boxed{1 / 2}";
//! let answer = Answer { problem: "How much is one of two?", response, truth: &truth, tokens: 12, group: 0 };
//! let verdict = reward.judge(&[answer]).remove(0)?;
//! assert_eq!((verdict.overall, verdict.accuracy, verdict.part("format")), (1.0, 1.0, Some(1.0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod verdict;

mod config;
mod weighted_sum;

mod answer_match;
mod cosine_length;
mod external;
mod format;
mod group_length;
mod repetition;
mod soft_overlong;

mod boxed_content;
mod equality;
mod tags;
mod weight;

mod error;
mod ungraded;

pub use answer_match::AnswerMatch;
pub use boxed_content::boxed_content;
pub use config::{BuiltInPart, RewardConfig, WeightedPart};
pub use cosine_length::CosineLength;
pub use equality::answers_match;
pub use error::RewardError;
pub use external::{Http, Limits, RawLimits, Subprocess};
pub use format::{Form, Format, has_think_box_format};
pub use group_length::{GroupLength, GroupMember};
pub use repetition::Repetition;
pub use soft_overlong::SoftOverlong;
pub use tags::tidy_tags;
pub use ungraded::{Reason, Ungraded};
pub use verdict::{Answer, Part, Reward, Truth, Verdict};
pub use weight::Weight;
pub use weighted_sum::WeightedSum;

pub use grader::Profile;
