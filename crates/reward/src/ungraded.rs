//! Why a response has no verdict.

/// A response without a verdict: it is left out of its group, neither rewarded nor punished.
///
/// Only rewards outside of this program fail to give one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("reward `{part}`: {reason}{}", quoted(errors))]
pub struct Ungraded {
    /// Name of the reward's part that gave none.
    pub part: String,
    /// Why.
    pub reason: Reason,
    /// The end of what a reward program wrote to standard error, if anything.
    pub errors: String,
}

/// Why a part of a reward gave no verdict.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The reward program could not be started.
    #[error("cannot start {program}: {message}")]
    NotStarted {
        /// The program.
        program: String,
        /// What the system said.
        message: String,
    },
    /// No reply came in time.
    #[error("no reply within {seconds} s; raise limits.timeout if it needs longer")]
    Silent {
        /// How long it was waited for.
        seconds: f64,
    },
    /// The reward program ended, or closed its standard output, before it had replied.
    #[error("it ended before it replied ({status})")]
    Ended {
        /// How it ended.
        status: String,
    },
    /// Something that is no reply.
    #[error("{message}; write nothing but replies to standard output")]
    Nonsense {
        /// What is wrong, with the beginning of what was written.
        message: String,
    },
    /// A reply to a request that was not open: never made, or replied to before.
    #[error("a reply to id {id}, which was not asked for or is replied to already")]
    Unasked {
        /// The id of the reply.
        id: u64,
    },
    /// More bytes than a reply may have.
    #[error("a reply of more than {limit} bytes; raise limits.max_reply_bytes if it is meant")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A list of replies that leaves this one out.
    #[error("the list of replies leaves out id {id}")]
    Missing {
        /// The id of the request.
        id: u64,
    },
    /// The reward's server could not be reached, or answered with an error that may pass.
    #[error("{url}: {message}")]
    Unreachable {
        /// Where it was asked.
        url: String,
        /// Status or transport error.
        message: String,
    },
    /// The reward's server refused the request for good.
    #[error("{url} refuses the request: {message}")]
    Refused {
        /// Where it was asked.
        url: String,
        /// Status and the beginning of the reply.
        message: String,
    },
    /// The reward replied that it cannot tell, or with something that is no score.
    #[error("{message}")]
    Declined {
        /// What it said.
        message: String,
    },
    /// The time for judging a round ran out.
    #[error("not judged within limits.deadline, {seconds} s for all answers of a round")]
    Deadline {
        /// The limit.
        seconds: f64,
    },
    /// The weighted sum of finite parts is not finite.
    #[error("the weighted parts add up to {value}; choose smaller weights")]
    NotFinite {
        /// The sum.
        value: f32,
    },
}

impl Reason {
    /// Whether asking again may help.
    pub(crate) const fn is_temporary(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::Declined { .. } | Self::Deadline { .. } | Self::NotFinite { .. })
    }
}

fn quoted(errors: &str) -> String {
    if errors.is_empty() { String::new() } else { format!("; its standard error ends with: {errors}") }
}
