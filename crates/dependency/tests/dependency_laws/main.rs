//! Laws of divergences, metrics and perturbations, on random input, against plain f64 loops.
//!
//! `PROPTEST_CASES` raises the number of inputs tried.

mod device;

mod contrast;
mod divergence;
mod metric;
mod nothing;
mod perturbation;
mod robust;
mod sampled;
