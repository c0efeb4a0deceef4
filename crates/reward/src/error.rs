//! What can be wrong with a reward's settings.

/// Why a reward could not be set up. Judging itself never fails; what has no verdict is [`crate::Ungraded`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RewardError {
    /// A weight is a share of one whole.
    #[error("a reward weight must lie in 0..=1, not {value}; choose 0 for accuracy alone")]
    WeightOutOfRange {
        /// The refused weight.
        value: f32,
    },
    /// A penalty has to set in somewhere between nothing and the limit.
    #[error("the buffer of an overlong penalty must lie in 1..={max_length}, its max_length, not {buffer}")]
    OverlongBuffer {
        /// The refused buffer.
        buffer: usize,
        /// The limit it belongs to.
        max_length: usize,
    },
    /// A penalty is a finite amount taken off.
    #[error("the factor of an overlong penalty must be finite and at least 0, not {factor}; 1 is DAPO's")]
    OverlongFactor {
        /// The refused factor.
        factor: f32,
    },
    /// An n-gram has a few words.
    #[error("a repetition penalty counts sequences of 1..={longest} words, not {words}; 3 is usual")]
    RepetitionWords {
        /// The refused number of words.
        words: usize,
        /// The greatest.
        longest: usize,
    },
    /// A penalty takes off.
    #[error("the max_penalty of a repetition penalty must be finite and at most 0, not {max_penalty}; -1 is usual")]
    RepetitionPenalty {
        /// The refused penalty.
        max_penalty: f32,
    },
    /// Length is measured against a limit.
    #[error("the max_length of a cosine length reward must be at least 1 token; rollout.sampling.max_new_tokens fits")]
    CosineLength,
    /// A least value is at most the greatest.
    #[error(
        "the values of a cosine length reward must be finite, the least at most the greatest, not {least} and {greatest}"
    )]
    CosineValues {
        /// The refused least value.
        least: f32,
        /// The refused greatest value.
        greatest: f32,
    },
    /// A time that cannot be waited for.
    #[error("limits.{name} must lie above 0 and at most at {longest} s, not {value}")]
    Seconds {
        /// The limit.
        name: &'static str,
        /// The refused time.
        value: f64,
        /// The longest.
        longest: f64,
    },
    /// A count that allows nothing, or too much.
    #[error("limits.{name} must lie in 1..={most}, not {value}")]
    Count {
        /// The limit.
        name: &'static str,
        /// The refused count.
        value: usize,
        /// The greatest.
        most: usize,
    },
    /// A part's weight is a number.
    #[error("the weight of the reward's part `{name}` is {weight}; give a finite number")]
    PartWeight {
        /// The part.
        name: String,
        /// The refused weight.
        weight: f32,
    },
    /// Parts are told apart by their names.
    #[error("the reward has a part `{name}` that {problem}; give it another `name`")]
    PartName {
        /// The refused name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A part that cannot be read.
    #[error("a part of the reward: {reason}")]
    Part {
        /// What is wrong.
        reason: String,
    },
    /// Two ways to say what a response earns.
    #[error("reward.{field} and reward.parts exclude each other; set `{instead}` in the parts")]
    Both {
        /// The field beside the parts.
        field: &'static str,
        /// What does its work in the parts.
        instead: &'static str,
    },
    /// A reward program that cannot be started.
    #[error("the reward's part `{name}` cannot start `{command}`: {reason}")]
    Command {
        /// The part.
        name: String,
        /// Program and arguments.
        command: String,
        /// What the system said.
        reason: String,
    },
    /// An address that cannot be asked.
    #[error("the reward's part `{name}` cannot ask `{url}`: {reason}")]
    Url {
        /// The part.
        name: String,
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}
