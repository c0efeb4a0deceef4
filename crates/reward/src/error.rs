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
}
