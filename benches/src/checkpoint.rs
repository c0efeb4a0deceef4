//! The checkpoint, pictures and problems that both sides read.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::{Rgb, RgbImage};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use vlm_model::{ExportOptions, QwenVl, SeededInit, export};

use crate::dimensions::Dimensions;
use crate::failure::Failure;

/// Seed of the weights and of the pictures.
const SEED: u64 = 20_261_121;

/// Side of a picture, in pixels: 10 × 10 image tokens.
const SIDE: u32 = 280;

/// Problems, each with a picture of its own.
const PROBLEMS: u64 = 16;

/// What is asked about every picture.
pub(crate) const QUESTION: &str =
    r"Find the value of x in the figure. Think step by step and put the final answer in \boxed{}.";

const PROCESSOR_FILES: [(&str, &[u8]); 4] = [
    ("tokenizer.json", include_bytes!("../model/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../model/tokenizer_config.json")),
    ("preprocessor_config.json", include_bytes!("../model/preprocessor_config.json")),
    ("chat_template.json", include_bytes!("../model/chat_template.json")),
];

/// The first picture of a folder that [`write()`] has filled.
pub(crate) fn picture(folder: &Path) -> PathBuf {
    folder.join("picture-0.png")
}

/// The problems of a folder that [`write()`] has filled.
pub(crate) fn problems(folder: &Path) -> PathBuf {
    folder.join("problems.jsonl")
}

/// Writes everything to a folder, unless it is there from the same seed. Of models larger than the small one the weights
/// are left out: whoever measures them draws them on the device.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write(folder: &Path, dimensions: Dimensions) -> Result<(), Failure> {
    let config = dimensions.config(None);
    let made = format!("seed {SEED}\n{}\n", config.hub_json("float32"));
    let mark = folder.join("made");
    if fs::read_to_string(&mark).is_ok_and(|text| text == made) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for (name, bytes) in PROCESSOR_FILES {
        fs::write(folder.join(name), bytes)?;
    }
    let mut lines = String::new();
    for index in 0..PROBLEMS {
        let name = format!("picture-{index}.png");
        drawn(SEED + index).save(folder.join(&name))?;
        let line = json!({ "problem": format!("<image>{QUESTION}"), "images": [name], "answer": "12" });
        lines.push_str(&format!("{line}\n"));
    }
    fs::write(problems(folder), lines)?;
    if dimensions == Dimensions::Bench {
        let model = QwenVl::build(&config, &mut SeededInit { seed: SEED }, &Device::flex())?;
        export(&model, None, folder, ExportOptions::default())?;
    } else {
        fs::write(folder.join("config.json"), format!("{:#}\n", config.hub_json("bfloat16")))?;
    }
    fs::write(mark, made)?;
    Ok(())
}

/// Rectangles and a diagonal on a gradient with some noise.
fn drawn(seed: u64) -> RgbImage {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let phase: f32 = random.random_range(5.0..9.0);
    let mut image = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let noise: f32 = random.random_range(-20.0..20.0);
        let waves = [(x / phase + y / 31.0).sin(), (y / phase).cos(), 2.0 * x / SIDE as f32 - 1.0];
        Rgb(waves.map(|wave| (127.0 + 105.0 * wave + noise) as u8))
    });
    for _ in 0..6 {
        let (left, top) = (random.random_range(0..SIDE - 60), random.random_range(0..SIDE - 60));
        let (width, height) = (random.random_range(8..60), random.random_range(8..60));
        let color = Rgb(std::array::from_fn(|_| random.random::<u8>()));
        for (x, y) in (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y))) {
            image.put_pixel(x, y, color);
        }
    }
    for x in 0..SIDE {
        image.put_pixel(x, SIDE - 1 - x, Rgb([255; 3]));
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use vlm_model::processor::Processor;

    #[test]
    fn the_special_tokens_are_where_the_tokenizer_has_them() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), Dimensions::ThreeBillion).expect("written");
        let tokenizer = Processor::from_folder(folder.path()).expect("a processor").tokenizer;
        let tokens = Dimensions::Bench.config(None).tokens;
        for (name, id) in [
            ("<|endoftext|>", tokens.bos),
            ("<|im_end|>", tokens.eos),
            ("<|vision_start|>", tokens.vision_start),
            ("<|vision_end|>", tokens.vision_end),
            ("<|vision_pad|>", tokens.vision_pad),
            ("<|image_pad|>", tokens.image_pad),
            ("<|video_pad|>", tokens.video_pad),
        ] {
            assert_eq!(tokenizer.id_of(name), Some(id), "{name}");
        }
    }

    #[test]
    fn pictures_differ_and_are_drawn_again_alike() {
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
