//! Laws of credit assignment, on random batches, against plain f64 loops over ragged lists.
//!
//! `PROPTEST_CASES` raises the number of batches tried.

mod batch;
mod device;
mod page;

mod composition;
mod estimators;
mod perception_gate;
mod perceptual_reshaping;
mod reinforce;
mod soft_token_filter;
mod token_filter;
mod trajectory_shaping;
