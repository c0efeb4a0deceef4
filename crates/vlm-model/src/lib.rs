//! Qwen2.5-VL in burn: images and text in, hidden states and logits out, exactly as transformers computes them.
//!
//! Knows: checkpoints in the Hub's layout, image processing as Pillow does it, tokenizer and chat template, the vision tower,
//! the language model, its cache. Must not know: rewards, groups' meaning, advantages, training loops, execution backends.
//!
//! The crate's central decision is [`TokenBatch`]: tokens are packed without padding, and the responses of a group share one
//! prompt. Prefill, decoding, scoring and the training pass are the same code, each prompt is computed once, and there is no
//! padding side to get wrong. Its price is attention run by run on devices without a kernel for it, which small groups on
//! large GPUs will feel.
//!
//! `unsafe` is used in one place: weight files are memory-mapped ([`Checkpoint`]).
//!
//! | stage | item |
//! |---|---|
//! | files to pixels to patches | [`image_input`] |
//! | messages to text to tokens | [`text_input`] |
//! | both at once | [`processor::Processor`] |
//! | patches to image tokens | [`vision::VisionTower`] |
//! | tokens to hidden states | [`QwenVl::hidden`], [`QwenVl::hidden_kept`] |
//! | hidden states to logits | [`QwenVl::logits`] |
//! | weights in and out | [`load`], [`export()`] |
//! | layers in half precision | [`QwenVl::in_precision`] |
//!
//! A model from a seed reads a prompt and predicts what follows:
//!
//! ```
//! use burn::tensor::Device;
//! use vlm_model::{ModelConfig, PromptTokens, QwenVl, SeededInit, TokenBatch, TokenGroup};
//!
//! # fn main() -> Result<(), vlm_model::ModelError> {
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/checkpoints/tiny-tied-f32-saved");
//! # let folder = std::path::Path::new(folder);
//! let config = ModelConfig::from_folder(folder)?;
//! let model = QwenVl::build(&config, &mut SeededInit { seed: 7 }, &Device::flex())?;
//!
//! let prompt = PromptTokens::new(vec![17, 4, 99], &[], &config)?;
//! let group = TokenGroup { prompt: Some(prompt), responses: vec![vec![5, 6], vec![8]] };
//! let batch = TokenBatch::new(vec![group], None)?;
//! let hidden = model.hidden(&batch, None);
//! assert_eq!(hidden.dims(), [3 + 2 + 1, config.text.hidden_size]);
//! let logits = model.logits(hidden);
//! assert_eq!(logits.dims(), [6, config.text.vocab_size]);
//! # Ok(())
//! # }
//! ```

mod model;
mod recompute;

mod batch;
mod cache;
pub mod language;
mod layers;
pub mod vision;

pub mod image_input;
pub mod processor;
pub mod text_input;

mod checkpoint;
mod config;
mod error;
mod export;
mod indices;
mod inventory;
mod limits;
mod precision;
mod weights;

pub use batch::{PromptTokens, TokenBatch, TokenGroup};
pub use cache::{CachedPrompt, KeyValueCache};
pub use checkpoint::{Checkpoint, load};
pub use config::{ModelConfig, SpecialTokens, TextConfig, VisionConfig};
pub use error::ModelError;
pub use export::{ExportOptions, export};
pub use language::positions::Positions;
pub use layers::{GatedMlp, Gelu, Linear, RmsNorm};
pub use limits::{MAX_JSON_BYTES, MAX_TEMPLATE_BYTES, MAX_TOKENIZER_BYTES, MAX_WEIGHTS_HEADER_BYTES};
pub use model::QwenVl;
pub use precision::Precision;
pub use recompute::{GradientSink, KeptFeatures, KeptHidden};
pub use weights::{Init, SeededInit, WeightSource};

const WEIGHTS_FILE: &str = "model.safetensors";
const WEIGHTS_INDEX_FILE: &str = "model.safetensors.index.json";
