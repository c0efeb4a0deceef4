//! Files in, problems out.
//!
//! Knows: problems on disk (JSON lines and image files), the order in which a run visits them, and how to draw a set of small
//! problems about coloured shapes.
//!
//! Must not know: models, tensors, tokens, prompts, rewards. A problem is text and paths; others open the images.
//!
//! - [`read_json_lines`] reads and checks a whole file before a run starts, so that a bad line cannot end a run that is under way.
//! - [`Sampler`] says which problems come next. Its state is four numbers, so a checkpoint can hold it.
//! - [`shapes`] makes a data set whose answers are in the picture and not in the text.
//!
//! ```
//! use dataset::{Sampler, read_json_lines, shapes};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let config = shapes::ShapesConfig { train: 8, held_out: 4, ..shapes::ShapesConfig::default() };
//! let files = shapes::write(&config, folder.path())?;
//!
//! let problems = read_json_lines(&files.train)?;
//! let mut sampler = Sampler::new(7, problems.len())?;
//! for index in sampler.next_batch(4) {
//!     assert!(problems[index].problem.starts_with("<image>"));
//! }
//! # Ok(())
//! # }
//! ```

mod json_lines;
mod sampler;
pub mod shapes;

mod error;

pub use error::DatasetError;
pub use json_lines::{IMAGE_MARKER, Problem, read_json_lines};
pub use sampler::Sampler;
