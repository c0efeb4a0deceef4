//! The engine that runs in this process.

use burn::tensor::Tensor;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vlm_model::{KeyValueCache, PromptTokens, QwenVl, TokenBatch, TokenGroup};

use crate::{Draw, RolloutError, Sampler, Sampling};

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

/// Samples with the model itself.
#[derive(Debug)]
pub struct NativeEngine<'a> {
    model: &'a QwenVl,
    sampling: Sampling,
    sampler: Sampler,
    stop: Vec<u32>,
    max_rows: usize,
}

/// A response being written.
struct Row {
    prompt: usize,
    response: usize,
    random: ChaCha8Rng,
}

impl<'a> NativeEngine<'a> {
    /// An engine over a tape-free model.
    ///
    /// Vision markers and placeholders can never be sampled: they would desynchronize images and prompt. A response stops
    /// at any of `stop`. At most `max_rows` responses are written at once.
    ///
    /// # Errors
    /// If a sampling setting is out of range.
    pub fn new(model: &'a QwenVl, sampling: Sampling, stop: &[u32], max_rows: usize) -> Result<Self, RolloutError> {
        sampling.validate()?;
        let config = &model.config;
        let sampler =
            Sampler::new(sampling.clone(), config.text.vocab_size, &config.tokens.prompt_only(), &model.device());
        Ok(Self { model, sampling, sampler, stop: stop.to_vec(), max_rows })
    }

    /// Writes `responses` responses to each prompt.
    ///
    /// # Errors
    /// If a prompt and its features do not fit together, or the policy's prediction is not finite.
    pub fn generate(&self, prompts: &[RolloutPrompt], responses: usize) -> Result<Vec<Vec<Completion>>, RolloutError> {
        let per_wave = (self.max_rows / responses.max(1)).max(1);
        let mut all = Vec::with_capacity(prompts.len());
        for (wave, prompts_of_wave) in prompts.chunks(per_wave).enumerate() {
            all.extend(self.write(prompts_of_wave, responses, wave * per_wave)?);
        }
        Ok(all)
    }

    /// Answers the prompts side by side. `first` is the index of the first of them, for messages.
    fn write(
        &self,
        prompts: &[RolloutPrompt],
        responses: usize,
        first: usize,
    ) -> Result<Vec<Vec<Completion>>, RolloutError> {
        let empty = Completion { tokens: Vec::new(), log_probs: Vec::new(), finish: Finish::Length };
        let mut completions = vec![vec![empty; responses]; prompts.len()];
        let mut groups: Vec<Vec<Row>> = (0..prompts.len()).map(|prompt| rows_of(prompts, prompt, responses)).collect();
        if responses == 0 {
            return Ok(completions);
        }
        let mut cache = KeyValueCache::new();
        let mut hidden = self.read(prompts, &mut cache, responses)?;
        for step in 0..self.sampling.max_new_tokens {
            let uniform: Vec<f32> = groups.iter_mut().flatten().map(|row| row.random.random()).collect();
            let draws = self.sampler.draw(self.model.logits(hidden), &uniform);
            for (row, draw) in groups.iter().flatten().zip(&draws) {
                if !draw.log_prob.is_finite() {
                    let (prompt, response) = (first + row.prompt, row.response);
                    return Err(RolloutError::NotFinite { prompt, response, token: step });
                }
                let completion = &mut completions[row.prompt][row.response];
                completion.tokens.push(draw.token);
                completion.log_probs.push(draw.log_prob);
                if self.stop.contains(&draw.token) {
                    completion.finish = Finish::Stop;
                }
            }
            let next = self.leave(&mut groups, &draws, &mut cache);
            if next.is_empty() || step + 1 == self.sampling.max_new_tokens {
                break;
            }
            hidden = self.model.hidden(&TokenBatch::new(next, None)?, Some(&mut cache));
        }
        Ok(completions)
    }

    /// Reads all prompts at once and returns, for every response, the hidden state its first token is predicted from.
    ///
    /// # Shapes
    /// - returns `[prompts · responses, width]`
    fn read(
        &self,
        prompts: &[RolloutPrompt],
        cache: &mut KeyValueCache,
        responses: usize,
    ) -> Result<Tensor<2>, RolloutError> {
        let group = |prompt: &RolloutPrompt| TokenGroup { prompt: Some(prompt.tokens.clone()), responses: Vec::new() };
        let features: Vec<Tensor<2>> = prompts.iter().filter_map(|prompt| prompt.image_features.clone()).collect();
        let features = (!features.is_empty()).then(|| Tensor::cat(features, 0));
        let hidden = self.model.hidden(&TokenBatch::new(prompts.iter().map(group).collect(), features)?, Some(cache));
        let mut end = 0;
        let last = prompts.iter().map(|prompt| {
            end += prompt.tokens.ids.len();
            hidden.clone().narrow(0, end - 1, 1).repeat_dim(0, responses)
        });
        Ok(Tensor::cat(last.collect(), 0))
    }

    /// Takes the responses that ended out of the batch and returns the next token of those that go on.
    fn leave(&self, groups: &mut Vec<Vec<Row>>, draws: &[Draw], cache: &mut KeyValueCache) -> Vec<TokenGroup> {
        let mut draws = draws.iter();
        let mut next = Vec::new();
        for (index, rows) in groups.iter_mut().enumerate() {
            let tokens: Vec<u32> = draws.by_ref().take(rows.len()).map(|draw| draw.token).collect();
            let kept: Vec<usize> = (0..rows.len()).filter(|&row| !self.stop.contains(&tokens[row])).collect();
            if kept.len() < rows.len() {
                cache.keep_rows(index, &kept);
                let mut row = 0..;
                rows.retain(|_| row.next().is_some_and(|row| kept.contains(&row)));
            }
            let responses: Vec<Vec<u32>> = kept.iter().map(|&row| vec![tokens[row]]).collect();
            next.push(TokenGroup { prompt: None, responses });
        }
        let going: Vec<bool> = groups.iter().map(|rows| !rows.is_empty()).collect();
        if going.contains(&false) {
            cache.retain_groups(&going);
            groups.retain(|rows| !rows.is_empty());
            next.retain(|group| !group.is_empty());
        }
        next
    }
}

fn rows_of(prompts: &[RolloutPrompt], prompt: usize, responses: usize) -> Vec<Row> {
    let row = |response: usize| {
        let mut random = ChaCha8Rng::seed_from_u64(prompts[prompt].seed);
        random.set_stream(response as u64);
        Row { prompt, response, random }
    };
    (0..responses).map(row).collect()
}
