//! Whole runs of a few steps with a small untrained model: what they leave on disk, and how they go on.

mod bad_rows;
mod evaluation;
mod features;
mod inspection;
mod metrics;
mod recipes;
mod resume;
mod reuse;
mod rollouts;
mod steps;
mod tensorboard;
mod terms;
mod workspace;
