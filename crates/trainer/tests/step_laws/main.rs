//! What a scoring pass and an optimizer step must not depend on, on ragged groups under the VPPO recipe with the small
//! recorded checkpoint.

mod batch;
mod half;
mod micro_batches;
mod objectives;
mod recompute;
mod reuse;
mod updates;
mod views;
