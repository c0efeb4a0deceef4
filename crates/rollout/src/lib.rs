//! Prompts in, sampled responses with their log-probabilities out.
//!
//! The engine reads each prompt once and lets all its responses share what it read; responses are written side by side, one
//! token a step, and leave the batch when they end. It samples with the same model code that training uses, so nothing can
//! drift between the two but the order of floating-point sums.
//!
//! It knows the model and how to sample. It must not know rewards, advantages, losses or optimizers.
//! There is one engine today; a remote one would offer the same [`NativeEngine::generate`].
//!
//! ```
//! use rollout::Sampling;
//!
//! let greedy = Sampling { temperature: 0.0, max_new_tokens: 64, ..Sampling::default() };
//! assert!(greedy.validate().is_ok());
//! assert!(Sampling { top_p: 0.0, ..greedy }.validate().is_err());
//! ```

mod engine;
mod error;
mod sampler;
mod sampling;

pub use engine::{Completion, Finish, NativeEngine, RolloutPrompt};
pub use error::RolloutError;
pub use sampler::{Draw, Sampler};
pub use sampling::Sampling;
