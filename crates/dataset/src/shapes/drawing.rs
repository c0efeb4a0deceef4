//! Painting a scene.

use image::{Rgb, RgbImage};

use super::{Scene, Shape};

/// The light grey behind the shapes.
pub const BACKGROUND: [u8; 3] = [240, 240, 240];

/// Samples per pixel and direction.
const SAMPLES: u16 = 3;

/// Paints the shapes in their order over the [`BACKGROUND`]; edges are smoothed by nine samples per pixel. What lies outside of
/// the picture is cut off.
///
/// # Shapes
/// - returns `scene.width` × `scene.height` pixels; the centre of a shape is the centre of the pixel (`x`, `y`).
///
/// # Panics
/// If the picture does not fit into memory.
pub fn render(scene: &Scene) -> RgbImage {
    let mut picture = RgbImage::from_pixel(scene.width, scene.height, Rgb(BACKGROUND));
    for shape in &scene.shapes {
        let reach = (shape.reach().ceil() as u32).saturating_add(1);
        let around = |centre: u32, end: u32| centre.saturating_sub(reach)..centre.saturating_add(reach).min(end);
        for y in around(shape.y, scene.height) {
            for x in around(shape.x, scene.width) {
                blend(picture.get_pixel_mut(x, y), shape.color.rgb(), covered_samples(shape, x, y));
            }
        }
    }
    picture
}

/// How many of a pixel's samples a shape covers, `0..=9`.
fn covered_samples(shape: &Shape, x: u32, y: u32) -> u16 {
    let radius = f64::from(shape.radius);
    let offset = |pixel: u32, centre: u32, sample: u16| {
        let within = f64::from(2 * sample + 1) / f64::from(2 * SAMPLES) - 0.5;
        (f64::from(pixel) - f64::from(centre) + within) / radius
    };
    let covers = |&(row, column): &(u16, u16)| shape.kind.covers(offset(x, shape.x, column), offset(y, shape.y, row));
    let samples = (0..SAMPLES).flat_map(|row| (0..SAMPLES).map(move |column| (row, column)));
    samples.filter(covers).map(|_| 1).sum()
}

/// Mixes `color` into a pixel by the share of its covered samples.
fn blend(pixel: &mut Rgb<u8>, color: [u8; 3], covered: u16) {
    let all = SAMPLES * SAMPLES;
    for (channel, color) in pixel.0.iter_mut().zip(color) {
        let mixed = u16::from(*channel) * (all - covered) + u16::from(color) * covered;
        *channel = (mixed / all) as u8;
    }
}
