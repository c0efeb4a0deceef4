//! What can be wrong with a reward's settings.

/// Why a reward could not be set up. Judging itself never fails.
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
}
