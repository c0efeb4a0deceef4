//! The crate's one error type.

use vlm_model::ModelError;

/// Why nothing was sampled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// A sampling setting out of range.
    #[error("sampling setting `{name}` is {value}; {expected}")]
    Sampling {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// Prompt and image features do not fit together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The policy's prediction is not a distribution.
    #[error("the policy predicts non-finite probabilities for response {response} of prompt {prompt} at token {token}")]
    NotFinite {
        /// Index of the prompt.
        prompt: usize,
        /// Index of the response.
        response: usize,
        /// Tokens written before.
        token: usize,
    },
}
