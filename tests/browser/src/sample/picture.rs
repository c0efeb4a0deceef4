//! A scene of shapes, drawn.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use rand::{Rng, RngExt};

const SIDE: u32 = 168;
const PATCH: u32 = 14;
const COLORS: [(&str, [u8; 3]); 4] =
    [("red", [214, 48, 49]), ("blue", [9, 110, 214]), ("green", [0, 150, 100]), ("yellow", [240, 190, 40])];

/// Shapes on paper, and a question about them.
pub(super) struct Scene {
    pub(super) question: String,
    pub(super) answer: String,
    pub(super) color: String,
    image: RgbImage,
}

impl Scene {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let mut image = RgbImage::from_pixel(SIDE, SIDE, Rgb([248, 246, 240]));
        let asked = rng.random_range(0..COLORS.len());
        let mut count = 0;
        for cell in 0..9_u32 {
            if rng.random::<f32>() < 0.3 {
                continue;
            }
            let color = if rng.random::<f32>() < 0.45 { asked } else { rng.random_range(0..COLORS.len()) };
            count += usize::from(color == asked);
            let middle =
                [28 + 56 * (cell % 3), 28 + 56 * (cell / 3)].map(|at| (at + rng.random_range(0..8)) as i32 - 4);
            let size = rng.random_range(12..23);
            shape(&mut image, middle, size, rng.random_range(0..3), COLORS[color].1);
        }
        let color = COLORS[asked].0.to_owned();
        Self {
            question: format!("<image>\nHow many {color} shapes are there?"),
            answer: count.to_string(),
            color,
            image,
        }
    }

    /// An answer that is not the right one.
    pub(super) fn wrong(&self, rng: &mut impl Rng) -> String {
        let right: usize = self.answer.parse().unwrap_or(0);
        (right + rng.random_range(1..4)).to_string()
    }

    pub(super) fn png(&self) -> Vec<u8> {
        encoded(&self.image)
    }

    /// Half of the patches black.
    pub(super) fn blackened(&self, rng: &mut impl Rng) -> Vec<u8> {
        let mut image = self.image.clone();
        for patch in 0..(SIDE / PATCH).pow(2) {
            if rng.random::<bool>() {
                let (left, top) = (patch % (SIDE / PATCH) * PATCH, patch / (SIDE / PATCH) * PATCH);
                for at in 0..PATCH * PATCH {
                    image.put_pixel(left + at % PATCH, top + at / PATCH, Rgb([0, 0, 0]));
                }
            }
        }
        encoded(&image)
    }
}

fn shape(image: &mut RgbImage, [x, y]: [i32; 2], size: i32, kind: u32, color: [u8; 3]) {
    for (across, down) in (-size..=size).flat_map(|across| (-size..=size).map(move |down| (across, down))) {
        let inside = match kind {
            0 => across * across + down * down <= size * size,
            1 => across.abs().max(down.abs()) <= size * 4 / 5,
            _ => 2 * across.abs() <= size + down,
        };
        let (x, y) = (x + across, y + down);
        if inside && (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y) {
            image.put_pixel(x as u32, y as u32, Rgb(color));
        }
    }
}

fn encoded(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).expect("memory takes a PNG");
    bytes.into_inner()
}
