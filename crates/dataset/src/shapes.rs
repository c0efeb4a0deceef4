//! A procedural data set: what is in this picture of coloured shapes?
//!
//! Each problem shows a few shapes on a light ground and asks how many there are, what colour one has, where one lies or which is
//! largest. For every wording of a question each possible answer is equally frequent, so the text alone is worth no more than a
//! guess. The words are few and the answers are one word or digit, which a very small model can learn to read and write within
//! minutes.
//!
//! From the picture outwards: [`Scene`] is what is shown and [`render`] paints it; a [`Question`] finds its answer in a scene;
//! [`explain`] is the worked response; [`problems`] deals questions and looks for scenes; [`write()`] puts them into files.

mod config;
mod drawing;
mod problems;
mod questions;
mod scene;
mod teacher;
mod writing;

pub use config::ShapesConfig;
pub use drawing::{BACKGROUND, render};
pub use problems::{ShapesProblem, ShapesProblems, problems};
pub use questions::{Attribute, Category, Question, Side, Superlative};
pub use scene::{Color, Scene, Shape, ShapeKind};
pub use teacher::explain;
pub use writing::{ShapesFiles, write};
