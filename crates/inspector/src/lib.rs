//! What a run sampled, token by token, and a page to look at it.
//!
//! It knows the records a run leaves (`rollouts/step-N.jsonl`, `metrics.jsonl`) and how to show them: one page that holds all it
//! needs. It must not know burn, models, recipes or how a value was computed.
//!
//! ```
//! let line = r#"{"step":1,"group":0,"response":0,"problem":"How many?","answer":"2","text":"2","finish":"stop",
//!     "reward":1.0,"accuracy":1.0,"parts":{"accuracy":1.0}}"#;
//! let record: inspector::RolloutRecord = serde_json::from_str(line)?;
//! assert_eq!((record.step, record.tokens), (1, None));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod error;
mod page;
mod read;
mod record;
mod server;

pub use error::InspectorError;
pub use page::{Comparison, GroupPictures, Page, Picture, Rollout};
pub use read::{read_metrics, read_rollouts};
pub use record::{ContrastRecord, Finish, RolloutRecord, TokenRecord};
pub use server::Server;
