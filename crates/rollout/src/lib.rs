//! Prompts in, sampled responses with their log-probabilities out.
//!
//! The engine reads each prompt once and lets all its responses share what it read; responses are written side by side, one
//! token a step, leave the batch when they end, and make room for those that wait. It samples with the same model code that training uses, so nothing can
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

mod completion;
mod engine;
mod error;
mod sampler;
mod sampling;
mod schedule;

pub use completion::{Completion, Finish, Pass, RolloutPrompt};
pub use engine::NativeEngine;
pub use error::RolloutError;
pub use sampler::{Draw, Sampler};
pub use sampling::Sampling;
