//! An image file of any bytes: refused, or decoded to no more pixels than allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vlm_model::image_input::{Decoding, ExifOrientation, Transparency};

const MOST: u64 = 1 << 16;

fuzz_target!(|content: &[u8]| {
    let by_default = Decoding { max_pixels: MOST, ..Decoding::default() };
    let as_stored = Decoding { transparency: Transparency::Drop, orientation: ExifOrientation::Ignore, ..by_default };
    let pixels = [by_default, as_stored].map(|decoding| {
        let image = decoding.bytes(content).ok()?;
        Some(u64::from(image.width()) * u64::from(image.height()))
    });
    assert_eq!(pixels[0], pixels[1], "what becomes of alpha and rotation is no matter of size");
    assert!(pixels[0].is_none_or(|pixels| pixels <= MOST));
});
