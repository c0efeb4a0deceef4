//! From messages to token ids, and back.
//!
//! ```text
//! Messages ─ChatTemplate─► prompt text ─Tokenizer─► ids
//! ```
//!
//! Both halves are read from the checkpoint, so that text is cut into the tokens the model was trained on.

mod chat;
mod tokenizer;

pub use chat::{ChatTemplate, Message, Part, RenderOptions, Role};
pub use tokenizer::Tokenizer;
