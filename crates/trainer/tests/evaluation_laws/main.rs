//! What the figures of an evaluation must not depend on, and what they must agree with.

mod comparisons;
mod draws;
mod figures;
mod presets;
