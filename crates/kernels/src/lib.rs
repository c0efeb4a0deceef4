//! The operations a transformer spends its time in, each as one pass over memory, forward and backward.
//!
//! burn's CPU backend runs element-wise operations one after another on one core. Here each file holds one operation: what
//! it computes, as a composition of tensor operations that runs on every device, and a version for the CPU that makes one
//! pass over the values, on all cores, with the widest vector instructions of the machine. The two agree up to rounding,
//! which the crate's laws test; what does not run on the CPU, or is not f32, takes the composition.
//!
//! It knows tensors, burn's extension points and the CPU backend, the only one it names: a kernel is written for a machine.
//! It must not know models, checkpoints, texts, rewards or training.
//!
//! Sums whose order could depend on the number of threads are taken over fixed pieces, so results do not.
//!
//! `unsafe` is used around the library of matrix products, whose bounds are checked first (`matrix.rs`), and for a setting of
//! the C library's allocator (`memory.rs`).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::flex();
//! let x = Tensor::<2>::from_floats([[3.0, 4.0]], &device);
//! let scale = Tensor::<1>::from_floats([1.0, 2.0], &device);
//! let normed = kernels::rms_norm(x, scale, 0.0).into_data();
//! // The root of the mean square of 3 and 4 is √12.5.
//! normed.assert_approx_eq::<f32>(&[[0.848_528_f32, 2.262_742]].into(), Default::default());
//! ```

mod adamw;
mod add_product;
mod attention;
mod cached_attention;
mod gelu;
mod gradient;
mod host;
mod linear;
mod live_rows;
mod matrix;
mod memory;
mod rms_norm;
mod rotary;
mod sampling;
mod swiglu;
mod vocabulary;

pub use adamw::{AdamWFactors, AdamWValues, adamw};
pub use add_product::add_product;
pub use attention::{AttentionPlan, Run, attention};
pub use cached_attention::{CachedKeys, cached_attention};
pub use gelu::gelu;
pub use gradient::{accumulate, scale, square_sums};
pub use host::{among_kernels, at_least_f32, side_by_side};
pub use linear::{Addends, linear};
pub use memory::keep_freed_memory;
pub use rms_norm::rms_norm;
pub use rotary::rotate;
pub use sampling::{Categorical, Draw, Filter};
pub use swiglu::swiglu;
pub use vocabulary::{Prediction, Softmax, Upstream, entropy, forward_kl, jensen_shannon};
