//! An image file of any bytes: refused, or decoded to no more pixels than allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vlm_model::image_input::{Decoding, ExifOrientation, Transparency};

const MOST: u64 = 1 << 16;

fuzz_target!(|input: (bool, &[u8])| {
    let (by_default, content) = input;
    let mut decoding = Decoding { max_pixels: MOST, ..Decoding::default() };
    if !by_default {
        decoding.transparency = Transparency::Drop;
        decoding.orientation = ExifOrientation::Ignore;
    }
    if let Ok(image) = decoding.bytes(content) {
        assert!(u64::from(image.width()) * u64::from(image.height()) <= MOST);
    }
});
