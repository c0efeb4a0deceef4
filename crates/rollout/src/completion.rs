//! What goes into an engine and what comes out of it.

use burn::tensor::Tensor;
use vlm_model::PromptTokens;

/// A prompt to be answered.
#[derive(Clone, Debug)]
pub struct RolloutPrompt {
    /// The prompt, laid out for the model.
    pub tokens: PromptTokens,
    /// Features of its images, `[image tokens, width]`.
    pub image_features: Option<Tensor<2>>,
    /// Seed of its responses. Response `i` draws from stream `i` of this seed, whatever else is in the batch.
    pub seed: u64,
}

/// A sampled response.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// Its tokens, the one that ended it included.
    pub tokens: Vec<u32>,
    /// Log-probability of each token (nats) in the distribution it was sampled from.
    pub log_probs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}

/// Why a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The policy sampled a stop token.
    Stop,
    /// The response reached the length limit.
    Length,
}

/// One forward pass of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Responses that go on by one token.
    pub continued: usize,
    /// Responses that begin.
    pub begun: usize,
    /// Prompts that are read.
    pub prompts: usize,
    /// Tokens of these prompts.
    pub prompt_tokens: usize,
}
