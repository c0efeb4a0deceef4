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
//!
//! [`read_rollouts`] and [`read_metrics`] read a run's files, [`Page::write`] makes of them one HTML file, and
//! [`Server`] shows it to the browsers of this machine:
//!
//! ```
//! use inspector::{Page, Rollout, read_rollouts};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("step-1.jsonl");
//! # std::fs::write(&path, "")?;
//!
//! let rollouts = read_rollouts(&path)?.into_iter().map(|record| Rollout { record, compared: vec![] });
//! let page = Page { title: "runs/geometry".to_owned(), rollouts: rollouts.collect(), ..Page::default() };
//! let mut document = Vec::new();
//! page.write(&mut document)?;
//! assert!(document.starts_with(b"<!doctype html>"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The page's style and modules are the files of `src/page/assets`, plain and without a build step: what a module
//! imports stands in an earlier one, and all are put into the page as one.

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
