//! The responses that are being written, and what the cache holds of them.

use burn::tensor::{Int, Tensor, TensorData};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vlm_model::{CachedPrompt, KeyValueCache, TokenBatch, TokenGroup};

use super::NativeEngine;
use crate::schedule::Entry;
use crate::{Completion, Draw, Finish, Pass, RolloutError, RolloutPrompt};

/// All responses of a call: those written, those being written and those that wait.
pub(super) struct Writing<'a> {
    engine: &'a NativeEngine<'a>,
    prompts: &'a [RolloutPrompt],
    /// Responses to each prompt.
    responses: usize,
    pub(super) completions: Vec<Vec<Completion>>,
    /// Responses that began together and go on, in the order of the cache's groups.
    groups: Vec<Vec<Row>>,
    cache: KeyValueCache,
    /// The prompt to which some responses have begun and others have not.
    begun: Option<Begun>,
}

/// A response being written.
struct Row {
    prompt: usize,
    response: usize,
    random: ChaCha8Rng,
    /// Its newest token, which the next pass reads.
    token: u32,
}

/// What a prompt left behind for the responses that begin later.
struct Begun {
    keys: CachedPrompt,
    /// The hidden state that first tokens are predicted from, `[1, width]`.
    hidden: Tensor<2>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(engine: &'a NativeEngine<'a>, prompts: &'a [RolloutPrompt], responses: usize) -> Self {
        let empty = Completion { tokens: Vec::new(), log_probs: Vec::new(), finish: Finish::Length };
        Self {
            engine,
            prompts,
            responses,
            completions: vec![vec![empty; responses]; prompts.len()],
            groups: Vec::new(),
            cache: KeyValueCache::new(),
            begun: None,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }

    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// What [`Self::read`] is going to do.
    pub(super) fn pass(&self, entries: &[Entry]) -> Pass {
        let read = entries.iter().filter(|entry| entry.responses.start == 0);
        let lengths = read.map(|entry| self.prompts[entry.prompt].tokens.ids.len());
        Pass {
            continued: self.rows(),
            begun: entries.iter().map(|entry| entry.responses.len()).sum(),
            prompts: lengths.clone().count(),
            prompt_tokens: lengths.sum(),
        }
    }

    /// Reads the newest tokens and the prompts that enter in one forward pass, and returns the states that the next tokens are
    /// predicted from, of the responses that go on and then of those that begin.
    ///
    /// # Shapes
    /// - returns `[rows, width]`
    pub(super) fn read(&mut self, entries: &[Entry]) -> Result<Tensor<2>, RolloutError> {
        let (new, later): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| entry.responses.start == 0);
        let continued = self
            .groups
            .iter()
            .map(|rows| TokenGroup { prompt: None, responses: rows.iter().map(|row| vec![row.token]).collect() });
        let opened = new
            .iter()
            .map(|entry| TokenGroup { prompt: Some(self.prompts[entry.prompt].tokens.clone()), responses: Vec::new() });
        let groups: Vec<TokenGroup> = continued.chain(opened).collect();
        let mut states = Vec::new();
        let mut begun = None;
        if !groups.is_empty() {
            let features: Vec<Tensor<2>> =
                new.iter().filter_map(|entry| self.prompts[entry.prompt].image_features.clone()).collect();
            let features = (!features.is_empty()).then(|| Tensor::cat(features, 0));
            let hidden = self.engine.model.hidden(&TokenBatch::new(groups, features)?, Some(&mut self.cache));
            let mut places: Vec<usize> = (0..self.rows()).collect();
            let mut end = self.rows();
            for (index, entry) in new.iter().enumerate() {
                end += self.prompts[entry.prompt].tokens.ids.len();
                places.extend(std::iter::repeat_n(end - 1, entry.responses.len()));
                if entry.responses.end < self.responses {
                    let keys = self.cache.prompt(self.groups.len() + index);
                    begun = Some(Begun { keys, hidden: hidden.clone().narrow(0, end - 1, 1) });
                }
            }
            states.push(if new.is_empty() { hidden } else { select(hidden, &places) });
        }
        for (entry, begun) in later.iter().zip(&self.begun) {
            self.cache.open(&begun.keys);
            states.push(begun.hidden.clone().repeat_dim(0, entry.responses.len()));
        }
        if later.iter().any(|entry| entry.responses.end == self.responses) || begun.is_some() {
            self.begun = begun;
        }
        let rows = new.iter().chain(&later).map(|entry| self.begin(entry)).collect::<Vec<_>>();
        self.groups.extend(rows);
        Ok(Tensor::cat(states, 0))
    }

    fn begin(&self, entry: &Entry) -> Vec<Row> {
        let row = |response: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(self.prompts[entry.prompt].seed);
            random.set_stream(response as u64);
            Row { prompt: entry.prompt, response, random, token: 0 }
        };
        entry.responses.clone().map(row).collect()
    }

    /// The next number of every response's own generator.
    pub(super) fn uniform(&mut self) -> Vec<f32> {
        self.groups.iter_mut().flatten().map(|row| row.random.random()).collect()
    }

    /// Writes the drawn tokens down and lets go of the responses that ended.
    pub(super) fn accept(&mut self, draws: &[Draw]) -> Result<(), RolloutError> {
        let mut draws = draws.iter();
        for (index, rows) in self.groups.iter_mut().enumerate() {
            let mut going = Vec::with_capacity(rows.len());
            for (row, draw) in rows.iter_mut().zip(draws.by_ref()) {
                let completion = &mut self.completions[row.prompt][row.response];
                if !draw.log_prob.is_finite() {
                    let (prompt, response, token) = (row.prompt, row.response, completion.tokens.len());
                    return Err(RolloutError::NotFinite { prompt, response, token });
                }
                row.token = draw.token;
                completion.tokens.push(draw.token);
                completion.log_probs.push(draw.log_prob);
                let stopped = self.engine.stop.contains(&draw.token);
                if stopped {
                    completion.finish = Finish::Stop;
                }
                going.push(!stopped && completion.tokens.len() < self.engine.max_new_tokens);
            }
            if going.contains(&true) && going.contains(&false) {
                let kept: Vec<usize> = (0..rows.len()).filter(|&row| going[row]).collect();
                self.cache.keep_rows(index, &kept);
            }
            let mut going = going.into_iter();
            rows.retain(|_| going.next().unwrap_or(false));
        }
        let going: Vec<bool> = self.groups.iter().map(|rows| !rows.is_empty()).collect();
        if going.contains(&false) {
            self.cache.retain_groups(&going);
            self.groups.retain(|rows| !rows.is_empty());
        }
        Ok(())
    }
}

fn select(states: Tensor<2>, places: &[usize]) -> Tensor<2> {
    let index: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    let index = Tensor::<1, Int>::from_data(TensorData::new(index, [places.len()]), &states.device());
    states.select(0, index)
}
