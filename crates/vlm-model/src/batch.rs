//! A batch of multimodal tokens, packed without padding.
//!
//! Tokens lie one after another in one row of memory: for each group its prompt, then its responses. A response sees its
//! group's prompt and its own earlier tokens, so a prompt is computed once however many responses share it.

use burn::tensor::Tensor;

use crate::ModelError;
use crate::config::ModelConfig;
use crate::image_input::PatchGrid;
use crate::language::positions::Positions;

/// Several groups, each a prompt with the responses that continue it.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    /// The groups, in packed order.
    pub groups: Vec<TokenGroup>,
    /// Features that stand at the prompts' image placeholders, in order, `[image tokens, width]`.
    pub image_features: Option<Tensor<2>>,
}

/// The new tokens of one group.
#[derive(Clone, Debug)]
pub struct TokenGroup {
    /// The prompt, or `None` if a cache already holds it.
    pub prompt: Option<PromptTokens>,
    /// New tokens of each response; all follow the same prompt.
    pub responses: Vec<Vec<u32>>,
}

/// A prompt as the language model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTokens {
    /// Token ids, image placeholders expanded.
    pub ids: Vec<u32>,
    /// M-RoPE positions.
    pub positions: Positions,
    /// Whether each token is an image placeholder.
    pub visual: Vec<bool>,
    /// Hides the image tokens from every query while all positions stay as they are: the "blind" view of PGPO
    /// (arXiv:2604.01840, appendix A.1).
    pub blind: bool,
}

impl PromptTokens {
    /// Lays out a prompt whose image placeholders are expanded.
    ///
    /// # Errors
    /// If placeholders and image grids disagree, or an id lies outside the vocabulary, or the prompt is empty.
    pub fn new(ids: Vec<u32>, grids: &[PatchGrid], config: &ModelConfig) -> Result<Self, ModelError> {
        if ids.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= config.text.vocab_size) {
            return Err(ModelError::TokenOutsideVocabulary { id, vocab_size: config.text.vocab_size });
        }
        let positions = Positions::of_prompt(&ids, grids, config)?;
        let visual = ids.iter().map(|&id| id == config.tokens.image_pad).collect();
        Ok(Self { ids, positions, visual, blind: false })
    }

    /// The same prompt with its image tokens hidden.
    #[must_use]
    pub fn blinded(mut self) -> Self {
        self.blind = true;
        self
    }

    /// Number of image tokens.
    #[must_use]
    pub fn image_tokens(&self) -> usize {
        self.visual.iter().filter(|&&visual| visual).count()
    }
}

impl TokenBatch {
    /// Packs the groups, checking that there is a feature for every image placeholder.
    ///
    /// # Errors
    /// If the number of features differs from the number of placeholders.
    pub fn new(groups: Vec<TokenGroup>, image_features: Option<Tensor<2>>) -> Result<Self, ModelError> {
        let placeholders =
            groups.iter().filter_map(|group| group.prompt.as_ref()).map(PromptTokens::image_tokens).sum();
        let features = image_features.as_ref().map_or(0, |features| features.dims()[0]);
        if placeholders != features {
            return Err(ModelError::ImageTokenCount { placeholders, features });
        }
        Ok(Self { groups, image_features })
    }

    /// Number of packed tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.iter().map(TokenGroup::len).sum()
    }

    /// Whether there is no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For each group and response, the packed places whose hidden states predict the response's tokens: the prompt's last
    /// token, then every response token but the last.
    ///
    /// # Panics
    /// If a group has no prompt (its prediction of the first token lies in an earlier batch).
    #[must_use]
    pub fn predicting_places(&self) -> Vec<Vec<Vec<usize>>> {
        let mut start = 0;
        self.groups
            .iter()
            .map(|group| {
                let prompt = group.prompt.as_ref().expect("a group scored as a whole carries its prompt").ids.len();
                let last_of_prompt = start + prompt - 1;
                let mut first = start + prompt;
                start += group.len();
                let places = |tokens: &Vec<u32>| {
                    let place = std::iter::once(last_of_prompt).chain(first..).take(tokens.len()).collect();
                    first += tokens.len();
                    place
                };
                group.responses.iter().map(places).collect()
            })
            .collect()
    }
}

impl TokenGroup {
    /// Number of new tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prompt.as_ref().map_or(0, |prompt| prompt.ids.len()) + self.responses.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether there is no new token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
