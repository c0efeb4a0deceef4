//! Recorded perturbations.

use std::convert::Infallible;
use std::num::NonZeroU32;

use dependency::{
    DiffusionNoise, DiffusionStep, Fraction, NoiseAnnealing, NoiseDecay, NonNegative, PatchBlackout, Perturbation,
};
use image::{Rgb, RgbImage};
use rand::TryRng;
use serde_json::Value;

use crate::cases::{assert_close, for_each_case, number, row, table};

/// A generator whose next uniform numbers are written down.
struct Script(std::vec::IntoIter<f64>);

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unimplemented_draw()
    }

    /// The 53 high bits are the digits of a number in `0..1`.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let draw = self.0.next().expect("a draw for each cell, and no more");
        Ok(((draw * (1u64 << 53) as f64) as u64) << 11)
    }

    fn try_fill_bytes(&mut self, _bytes: &mut [u8]) -> Result<(), Infallible> {
        unimplemented_draw()
    }
}

fn unimplemented_draw<T>() -> T {
    panic!("only numbers in 0..1 are drawn")
}

/// The recorded image, which is grey where it has two axes.
fn picture(value: &Value) -> RgbImage {
    let rows = value.as_array().expect("rows");
    let pixels: Vec<Vec<[u8; 3]>> = rows
        .iter()
        .map(|row| {
            row.as_array()
                .expect("pixels")
                .iter()
                .map(|pixel| match pixel.as_array() {
                    Some(channels) => [0, 1, 2].map(|channel| number(&channels[channel]) as u8),
                    None => [number(pixel) as u8; 3],
                })
                .collect()
        })
        .collect();
    RgbImage::from_fn(pixels[0].len() as u32, pixels.len() as u32, |x, y| Rgb(pixels[y as usize][x as usize]))
}

#[test]
fn patch_blackout() {
    for_each_case("patch_blacken", |case, input, output| {
        let blackout = PatchBlackout {
            patch: NonZeroU32::new(number(&input["patch"]) as u32).expect("a side"),
            probability: Fraction::new(number(&input["prob"])).expect("a probability"),
        };
        let mut script = Script(table(&input["draws"]).concat().into_iter());
        assert_eq!(blackout.apply(&picture(&input["image"]), &mut script), picture(output), "{case}");
        assert_eq!(script.0.len(), 0, "{case} draws once per cell");
    });
}

#[test]
fn noise_of_a_training_step() {
    for_each_case("noisyrollout", |case, input, output| {
        let named = |name: &str| number(&input[name]);
        let at_least_0 = |name: &str| NonNegative::new(named(name)).expect("at least 0");
        let decay = match input["mode"].as_str().expect("a word") {
            "sigmoid" => NoiseDecay::Sigmoid { steepness: at_least_0("coef"), middle: at_least_0("mid_step") },
            "linear" => NoiseDecay::Linear,
            "pow" => NoiseDecay::Power { exponent: at_least_0("coef") },
            "none" => NoiseDecay::Constant,
            other => panic!("{case}: decay {other} is not known"),
        };
        assert_eq!(named("diffusion_steps"), 1000.0, "{case}");
        let initial = DiffusionStep::new(named("initial") as u16).expect("a step of the process");
        let total = NonZeroU32::new(named("total") as u32).expect("some steps");
        let step = NoiseAnnealing { initial, decay }.at(named("step") as u32, total);
        assert_eq!(f64::from(step.value()), number(&output["noise_step"]), "{case}");
        let (signal, noise) = DiffusionNoise { step }.coefficients();
        assert_close(case, &[signal, noise], &row(&output["signal_and_noise"]));
    });
}
