//! Laws of verdicts and of the parts they are made of.

mod answers;
mod lengths;
mod parts;
mod repetitions;
mod verdicts;
