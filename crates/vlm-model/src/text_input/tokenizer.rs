//! Text to token ids and back.

use std::path::Path;

use crate::ModelError;
use crate::limits::{self, MAX_TOKENIZER_BYTES};

/// The byte-level BPE tokenizer of a checkpoint.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Text of the tokens that carry structure (`<|im_start|>`, `<|image_pad|>`, …), in id order.
    special: Vec<String>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Truncation and padding that the file may ask for are switched off.
    ///
    /// # Errors
    /// The file cannot be read, is larger than [`MAX_TOKENIZER_BYTES`](crate::MAX_TOKENIZER_BYTES) or is no tokenizer.
    pub fn from_file(path: &Path) -> Result<Self, ModelError> {
        let bytes = limits::read(path, MAX_TOKENIZER_BYTES)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(ModelError::Tokenizer)?;
        inner.with_truncation(None).map_err(ModelError::Tokenizer)?.with_padding(None);
        let mut added: Vec<_> = inner.get_added_tokens_decoder().into_iter().collect();
        added.sort_unstable_by_key(|(id, _)| *id);
        let special = added.into_iter().filter(|(_, token)| token.special).map(|(_, token)| token.content).collect();
        Ok(Self { inner, special })
    }

    /// Token ids of `text`. Special tokens written out in it become their single id; none are added.
    ///
    /// # Errors
    /// The tokenizer cannot represent the text; byte-level tokenizers always can.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let encoding = self.inner.encode_fast(text, false).map_err(ModelError::Tokenizer)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of `ids`. Bytes that are not UTF-8, such as a character cut in half, become U+FFFD; unknown ids vanish.
    ///
    /// With `skip_special`, tokens such as `<|im_end|>` are left out.
    ///
    /// # Errors
    /// The decoder named in the tokenizer's file fails; Qwen's cannot.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, ModelError> {
        self.inner.decode(ids, skip_special).map_err(ModelError::Tokenizer)
    }

    /// The text that each of `ids` adds, special tokens by their names; all together are the text of `ids`. A character whose
    /// bytes several tokens share stands at the last of them, and bytes that are none at the next token that ends with one.
    ///
    /// # Errors
    /// As for [`Self::decode`].
    pub fn decode_each(&self, ids: &[u32]) -> Result<Vec<String>, ModelError> {
        let mut texts = vec![String::new(); ids.len()];
        let mut open = 0;
        for last in 0..ids.len() {
            let text = self.decode(&ids[open..=last], false)?;
            // A text that does not end in the middle of a character has nothing to do with what follows.
            if !text.ends_with(char::REPLACEMENT_CHARACTER) || last + 1 == ids.len() {
                texts[last] = text;
                open = last + 1;
            }
        }
        Ok(texts)
    }

    /// The id of a whole token, special or not, given as the vocabulary spells it.
    #[must_use]
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The first special token that `text` spells out, in id order.
    #[must_use]
    pub fn special_token_in(&self, text: &str) -> Option<&str> {
        self.special.iter().map(String::as_str).find(|token| text.contains(token))
    }
}
