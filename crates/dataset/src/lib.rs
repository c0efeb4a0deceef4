//! Files in, problems out.
//!
//! Knows: problems on disk (Parquet, JSON lines and image files), the layouts in which data sets are published, the words put around
//! a problem, the order in which a run visits its problems, and how to draw a set of small problems about coloured shapes.
//!
//! Must not know: models, tensors, tokens, rewards. A problem is text and image files; others decode the images.
//!
//! - [`Selection`] says which files are meant, [`Layout`] which columns.
//! - [`Dataset`] reads one problem at a time; the data may be larger than memory.
//! - [`Template`] makes a problem the user's turn.
//! - [`Sampler`] says which problems come next. Its state is four numbers, so a checkpoint can hold it.
//! - [`shapes`] makes a data set whose answers are in the picture and not in the text.
//!
//! ```
//! use dataset::{Dataset, DatasetConfig, Sampler, Template, shapes};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let config = shapes::ShapesConfig { train: 8, held_out: 4, ..shapes::ShapesConfig::default() };
//! let files = shapes::write(&config, folder.path())?;
//!
//! let dataset = Dataset::open(&DatasetConfig { files: files.train.into(), ..DatasetConfig::default() })?;
//! let template = Template::find("vppo")?;
//! let mut sampler = Sampler::new(7, dataset.len())?;
//! for index in sampler.next_batch(4) {
//!     let turn = template.render(&dataset.problem(index)?.problem)?;
//!     assert!(turn.starts_with("<image>") && turn.ends_with("\\boxed{}."));
//! }
//! # Ok(())
//! # }
//! ```

mod dataset;
mod problem;

mod selection;
mod split;

mod layout;
mod messages;
mod row;

mod cell;
mod image_path;
mod json;
mod limits;
mod parquet;

mod sampler;
mod template;

pub mod shapes;

mod error;

pub use dataset::{Dataset, DatasetConfig, read_json_lines};
pub use error::DatasetError;
pub use layout::{Layout, NamedColumns, Preset};
pub use limits::Limits;
pub use problem::{At, IMAGE_MARKER, ImageSource, Place, Problem};
pub use sampler::Sampler;
pub use selection::Selection;
pub use split::{is_data, is_of_split};
pub use template::Template;
