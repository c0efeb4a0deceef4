//! Placeholder while the crate is being written.

mod batch;
mod cache;
mod checkpoint;
mod config;
mod error;
mod export;
pub mod image_input;
mod indices;
pub mod language;
mod layers;
mod model;
pub mod processor;
pub mod text_input;

pub mod vision;
mod weights;

pub use batch::{PromptTokens, TokenBatch, TokenGroup};
pub use cache::KeyValueCache;
pub use checkpoint::{Checkpoint, load};
pub use config::{ModelConfig, SpecialTokens, TextConfig, VisionConfig};
pub use error::ModelError;
pub use export::{ExportOptions, Precision, export};
pub use language::positions::Positions;
pub use layers::{GatedMlp, Linear, RmsNorm};
pub use model::QwenVl;
pub use weights::{Init, SeededInit, WeightSource};

const WEIGHTS_FILE: &str = "model.safetensors";
const WEIGHTS_INDEX_FILE: &str = "model.safetensors.index.json";
