//! The shape of a Qwen2.5-VL model, read from and written to a Hub `config.json`.
//!
//! Two spellings exist. The released checkpoints keep the language model's keys at the top level; newer versions of
//! transformers nest them under `text_config` and call `rope_scaling` `rope_parameters`. Both are read; the released
//! spelling is written, because every version of transformers reads it.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ModelError;
use crate::limits::read_json;

/// Everything needed to build a Qwen2.5-VL model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The language model.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Ids of the tokens with a meaning of their own.
    pub tokens: SpecialTokens,
    /// Whether the output projection is the transposed token embedding.
    pub tie_word_embeddings: bool,
}

/// Shape of the language model.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Number of rows of the embedding (at least the tokenizer's vocabulary; it may be padded).
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Inner width of the gated feed-forward layers.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; a divisor of [`Self::num_attention_heads`].
    pub num_key_value_heads: usize,
    /// Added to the mean square inside each RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many rotary frequencies follow the temporal, height and width position; sums to half the head width.
    pub mrope_section: [usize; 3],
    /// Longest sequence the checkpoint was made for, in tokens.
    pub max_position_embeddings: usize,
}

/// Shape of the vision tower.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VisionConfig {
    /// Number of transformer blocks.
    pub depth: usize,
    /// Width of a patch's hidden state.
    pub hidden_size: usize,
    /// Inner width of the gated feed-forward layers.
    pub intermediate_size: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// Width of a merged image token, equal to the language model's hidden size.
    pub out_hidden_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Side of the square of patches merged into one image token.
    pub spatial_merge_size: usize,
    /// Number of frames in a patch.
    #[serde(default = "two")]
    pub temporal_patch_size: usize,
    /// Side of an attention window, in pixels.
    pub window_size: usize,
    /// Blocks that attend over the whole image instead of within windows.
    pub fullatt_block_indexes: Vec<usize>,
    /// Colour channels of a pixel.
    #[serde(default = "three")]
    pub in_chans: usize,
}

/// Ids of the tokens with a meaning of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Begin of text (`<|endoftext|>`), also used for padding.
    pub bos: u32,
    /// End of a turn (`<|im_end|>`).
    pub eos: u32,
    /// `<|vision_start|>`.
    pub vision_start: u32,
    /// `<|vision_end|>`.
    pub vision_end: u32,
    /// `<|vision_pad|>`.
    pub vision_pad: u32,
    /// `<|image_pad|>`: stands where an image feature goes.
    pub image_pad: u32,
    /// `<|video_pad|>`.
    pub video_pad: u32,
}

impl SpecialTokens {
    /// Tokens that belong to prompts alone: a policy must never sample them.
    #[must_use]
    pub const fn prompt_only(&self) -> [u32; 5] {
        [self.vision_start, self.vision_end, self.vision_pad, self.image_pad, self.video_pad]
    }
}

fn two() -> usize {
    2
}

fn three() -> usize {
    3
}

#[derive(Deserialize)]
struct RawRope {
    mrope_section: Option<[usize; 3]>,
    rope_theta: Option<f64>,
}

#[derive(Deserialize)]
struct RawText {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    #[serde(default = "hub_rms_norm_eps")]
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<RawRope>,
    rope_parameters: Option<RawRope>,
    max_position_embeddings: Option<usize>,
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMany>,
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    use_sliding_window: bool,
}

fn hub_rms_norm_eps() -> f64 {
    1e-6
}

#[derive(Deserialize)]
struct RawTop {
    model_type: String,
    vision_config: VisionConfig,
    tie_word_embeddings: Option<bool>,
    image_token_id: u32,
    video_token_id: u32,
    vision_start_token_id: u32,
    vision_end_token_id: u32,
    vision_token_id: u32,
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMany>,
}

/// A token id, or a list of them of which the first counts.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

impl OneOrMany {
    fn first(&self) -> Option<u32> {
        match self {
            Self::One(id) => Some(*id),
            Self::Many(ids) => ids.first().copied(),
        }
    }
}

impl ModelConfig {
    /// Reads `config.json` from a checkpoint folder.
    ///
    /// # Errors
    /// If the file cannot be read or does not describe a Qwen2.5-VL model this crate can compute.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        Self::from_hub_json(&read_json(&path)?)
    }

    /// Reads either spelling of a Hub configuration.
    ///
    /// # Errors
    /// If a key is missing or a value contradicts another.
    pub fn from_hub_json(value: &Value) -> Result<Self, ModelError> {
        let malformed = |error: serde_json::Error| ModelError::InvalidConfig { reason: error.to_string() };
        let top = RawTop::deserialize(value).map_err(malformed)?;
        let text = RawText::deserialize(value.get("text_config").unwrap_or(value)).map_err(malformed)?;
        if top.model_type != "qwen2_5_vl" {
            let reason = format!("model_type is `{}`, expected `qwen2_5_vl`", top.model_type);
            return Err(ModelError::InvalidConfig { reason });
        }
        if text.use_sliding_window {
            let reason = "use_sliding_window is true; sliding-window attention is not supported".to_owned();
            return Err(ModelError::InvalidConfig { reason });
        }
        let rope = [text.rope_scaling, text.rope_parameters];
        let section = rope.iter().flatten().find_map(|rope| rope.mrope_section);
        let theta = text.rope_theta.or_else(|| rope.iter().flatten().find_map(|rope| rope.rope_theta));
        let missing = |key: &str| ModelError::InvalidConfig { reason: format!("`{key}` is missing") };
        let config = Self {
            text: TextConfig {
                vocab_size: text.vocab_size,
                hidden_size: text.hidden_size,
                intermediate_size: text.intermediate_size,
                num_hidden_layers: text.num_hidden_layers,
                num_attention_heads: text.num_attention_heads,
                num_key_value_heads: text.num_key_value_heads,
                rms_norm_eps: text.rms_norm_eps,
                rope_theta: theta.ok_or_else(|| missing("rope_theta"))?,
                mrope_section: section.ok_or_else(|| missing("mrope_section"))?,
                max_position_embeddings: text.max_position_embeddings.unwrap_or(128_000),
            },
            vision: top.vision_config,
            tokens: SpecialTokens {
                bos: text.bos_token_id.or(top.bos_token_id).ok_or_else(|| missing("bos_token_id"))?,
                eos: text
                    .eos_token_id
                    .or(top.eos_token_id)
                    .and_then(|ids| ids.first())
                    .ok_or_else(|| missing("eos_token_id"))?,
                vision_start: top.vision_start_token_id,
                vision_end: top.vision_end_token_id,
                vision_pad: top.vision_token_id,
                image_pad: top.image_token_id,
                video_pad: top.video_token_id,
            },
            tie_word_embeddings: top.tie_word_embeddings.or(text.tie_word_embeddings).unwrap_or(false),
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Names the first contradiction, with its values.
    pub fn validate(&self) -> Result<(), ModelError> {
        let (text, vision) = (&self.text, &self.vision);
        let sections: usize = text.mrope_section.iter().sum();
        let window_cell = vision.patch_size * vision.spatial_merge_size;
        let checks = [
            (
                text.num_key_value_heads > 0 && text.num_attention_heads.is_multiple_of(text.num_key_value_heads),
                format!(
                    "{} query heads cannot share {} key heads evenly",
                    text.num_attention_heads, text.num_key_value_heads
                ),
            ),
            (
                text.num_attention_heads > 0 && text.hidden_size.is_multiple_of(2 * text.num_attention_heads),
                format!(
                    "hidden size {} does not divide into {} even heads",
                    text.hidden_size, text.num_attention_heads
                ),
            ),
            (
                text.num_attention_heads > 0 && sections * 2 == text.hidden_size / text.num_attention_heads,
                format!("mrope_section sums to {sections}, which is not half the head width"),
            ),
            (
                vision.num_heads > 0 && vision.hidden_size.is_multiple_of(4 * vision.num_heads),
                format!("vision width {} does not divide into {} heads of 4", vision.hidden_size, vision.num_heads),
            ),
            (
                vision.out_hidden_size == text.hidden_size,
                format!("image tokens are {} wide, text tokens {}", vision.out_hidden_size, text.hidden_size),
            ),
            (
                window_cell > 0 && vision.window_size >= window_cell,
                format!("window of {} pixels is smaller than a merged cell of {window_cell}", vision.window_size),
            ),
            (
                self.tokens.prompt_only().iter().all(|&id| (id as usize) < text.vocab_size),
                format!("a vision token id lies outside the vocabulary of {}", text.vocab_size),
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(ModelError::InvalidConfig { reason }),
            None => Ok(()),
        }
    }

    /// Width of one attention head of the language model.
    #[must_use]
    pub const fn head_width(&self) -> usize {
        self.text.hidden_size / self.text.num_attention_heads
    }

    /// The configuration in the released checkpoints' spelling, for weights stored in `dtype` (`float32`, `bfloat16`…).
    #[must_use]
    pub fn hub_json(&self, dtype: &str) -> Value {
        let (text, vision, tokens) = (&self.text, &self.vision, &self.tokens);
        json!({
            "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            "attention_dropout": 0.0,
            "bos_token_id": tokens.bos,
            "eos_token_id": tokens.eos,
            "vision_start_token_id": tokens.vision_start,
            "vision_end_token_id": tokens.vision_end,
            "vision_token_id": tokens.vision_pad,
            "image_token_id": tokens.image_pad,
            "video_token_id": tokens.video_pad,
            "hidden_act": "silu",
            "hidden_size": text.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": text.intermediate_size,
            "max_position_embeddings": text.max_position_embeddings,
            "max_window_layers": text.num_hidden_layers,
            "model_type": "qwen2_5_vl",
            "num_attention_heads": text.num_attention_heads,
            "num_hidden_layers": text.num_hidden_layers,
            "num_key_value_heads": text.num_key_value_heads,
            "rms_norm_eps": text.rms_norm_eps,
            "rope_theta": text.rope_theta,
            "sliding_window": 32_768,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": dtype,
            "use_cache": true,
            "use_sliding_window": false,
            "vision_config": {
                "depth": vision.depth,
                "hidden_act": "silu",
                "hidden_size": vision.hidden_size,
                "intermediate_size": vision.intermediate_size,
                "num_heads": vision.num_heads,
                "in_chans": vision.in_chans,
                "out_hidden_size": vision.out_hidden_size,
                "patch_size": vision.patch_size,
                "spatial_merge_size": vision.spatial_merge_size,
                "spatial_patch_size": vision.patch_size,
                "window_size": vision.window_size,
                "fullatt_block_indexes": vision.fullatt_block_indexes,
                "tokens_per_second": 2,
                "temporal_patch_size": vision.temporal_patch_size,
            },
            "rope_scaling": { "type": "mrope", "mrope_section": text.mrope_section },
            "vocab_size": text.vocab_size,
        })
    }
}
