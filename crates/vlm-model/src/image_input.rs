//! From an encoded picture to the numbers the vision tower reads.
//!
//! ```text
//! bytes ─Decoding─► RGB ─smart_resize─► target size ─resize_bicubic─► RGB ─ImageProcessor─► ImagePatches
//! ```
//!
//! The whole road is integer arithmetic until the last step, and it follows the reference byte for byte: Pillow decides
//! what "convert to RGB" and "bicubic" mean, Hugging Face transformers decides sizes, normalization and patch order.

mod bicubic;
mod decode;
mod jpeg;
mod patches;
mod processor;
mod smart_resize;

pub use bicubic::resize_bicubic;
pub use decode::{Decoding, ExifOrientation, Transparency};
pub use patches::{ImagePatches, MERGE_SIZE, PATCH_SIZE, PATCH_VALUES, PatchGrid, TEMPORAL_PATCH_SIZE};
pub use processor::ImageProcessor;
pub use smart_resize::{ImageSize, PixelLimits, pre_resize, smart_resize};
