//! The inspector's page in a real browser: a window to look through, and pages to look at.

pub mod sample;
mod window;

pub use window::{Theme, Window};
