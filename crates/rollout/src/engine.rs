//! The engine that runs in this process.

mod writing;

use vlm_model::QwenVl;

use self::writing::Writing;
use crate::schedule::{Limits, Queue};
use crate::{Completion, Pass, RolloutError, RolloutPrompt, Sampler, Sampling};

/// Tokens of a pass unless said otherwise.
const TOKENS_PER_PASS: usize = 8192;

/// Samples with the model itself.
#[derive(Debug)]
pub struct NativeEngine<'a> {
    model: &'a QwenVl,
    sampler: Sampler,
    max_new_tokens: usize,
    stop: Vec<u32>,
    limits: Limits,
}

impl<'a> NativeEngine<'a> {
    /// An engine over a tape-free model.
    ///
    /// Vision markers and placeholders can never be sampled: they would desynchronize images and prompt. A response stops
    /// at any of `stop`. At most `max_rows` responses are written at once, and always one can be.
    ///
    /// # Errors
    /// If a sampling setting is out of range.
    pub fn new(model: &'a QwenVl, sampling: &Sampling, stop: &[u32], max_rows: usize) -> Result<Self, RolloutError> {
        sampling.validate()?;
        let config = &model.config;
        let max_new_tokens = sampling.max_new_tokens;
        let sampler = Sampler::new(sampling, config.text.vocab_size, &config.tokens.prompt_only(), &model.device());
        let limits = Limits { rows: max_rows.max(1), tokens_per_pass: TOKENS_PER_PASS };
        Ok(Self { model, sampler, max_new_tokens, stop: stop.to_vec(), limits })
    }

    /// The same engine, which reads prompts together only as long as the pass has at most so many tokens, those of responses
    /// that go on among them; 8 192 without. A longer prompt is read by itself. Changes speed and memory, and the result by
    /// rounding alone.
    #[must_use]
    pub fn with_tokens_per_pass(mut self, tokens: usize) -> Self {
        self.limits.tokens_per_pass = tokens;
        self
    }

    /// Writes `responses` responses to each prompt.
    ///
    /// A response that ended leaves the batch, and waiting ones enter it in order of arrival, their prompts read in the
    /// pass that writes the others on. A response does not depend on what else is in the batch, but for rounding.
    ///
    /// # Errors
    /// If a prompt and its features do not fit together, or the policy's prediction is not finite.
    pub fn generate(&self, prompts: &[RolloutPrompt], responses: usize) -> Result<Vec<Vec<Completion>>, RolloutError> {
        self.generate_observed(prompts, responses, |_| {})
    }

    /// As [`Self::generate`], telling `observe` of every pass before it is made.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn generate_observed(
        &self,
        prompts: &[RolloutPrompt],
        responses: usize,
        mut observe: impl FnMut(Pass),
    ) -> Result<Vec<Vec<Completion>>, RolloutError> {
        let lengths = prompts.iter().map(|prompt| prompt.tokens.ids.len()).collect();
        let mut queue = Queue::new(lengths, responses, self.limits);
        let mut writing = Writing::new(self, prompts, responses);
        loop {
            let entries = queue.enter(writing.rows(), writing.groups());
            if writing.rows() == 0 && entries.is_empty() {
                return Ok(writing.completions);
            }
            observe(writing.pass(&entries));
            let hidden = writing.read(&entries)?;
            let draws = self.sampler.draw(self.model.logits(hidden), &writing.uniform());
            writing.accept(&draws)?;
        }
    }

    /// Most prompts whose keys and values are kept at once: what bounds the memory of many short responses beside a few long
    /// ones.
    #[must_use]
    pub fn prompts_at_once(max_rows: usize, responses: usize) -> usize {
        let rows = max_rows.max(1);
        // A prompt takes memory as long as a response to it waits or is written.
        Limits { rows, tokens_per_pass: TOKENS_PER_PASS }.groups(responses).min(rows)
    }
}
