//! The components reproduce recorded outputs of an independent f64 implementation.

#[path = "dependency_laws/device.rs"]
mod device;

use std::convert::Infallible;
use std::num::NonZeroU32;

use burn::tensor::{Bool, Int, Tensor, TensorData};
use dependency::{
    BuiltInDivergence, Contrast, DependencyMetric, Divergence, Fraction, PatchBlackout, Perturbation, Positive,
    SampledK3, View, VisualDependency, entropy, forward_kl, jensen_shannon,
};
use device::device;
use image::{Rgb, RgbImage};
use rand::TryRng;
use serde_json::Value;

const GOLDEN: &str = include_str!("../../../tests/fixtures/credit/golden.json");

/// Calls `check` with every recorded case of `function`: its name, its inputs and its output.
fn for_each_case(function: &str, check: impl Fn(&str, &Value, &Value)) {
    let golden: Value = serde_json::from_str(GOLDEN).expect("the fixture is JSON");
    let cases = golden["cases"][function].as_array().expect("a list of cases");
    assert_eq!(Some(cases.len() as u64), golden["meta"]["counts"][function].as_u64());
    for case in cases {
        check(case["id"].as_str().expect("a name"), &case["in"], &case["out"]);
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("nan, inf or -inf"),
        number => number.as_f64().expect("a number"),
    }
}

fn row(value: &Value) -> Vec<f64> {
    value.as_array().expect("a row").iter().map(number).collect()
}

fn table(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().expect("a table").iter().map(row).collect()
}

fn tensor(value: &Value) -> Tensor<2> {
    let table = table(value);
    let values: Vec<f32> = table.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, [table.len(), table[0].len()]), &device())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The fixture's tolerance for f32: 2e-5 relative, 2e-6 absolute.
fn assert_close(case: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = 2e-6 + 2e-5 * expected.abs();
        assert!((found - expected).abs() <= allowed, "{case}[{index}]: {found} but expected {expected}");
    }
}

#[test]
fn divergences_over_the_vocabulary() {
    for_each_case("divergence_full", |case, input, output| {
        let (clean, contrast) = (tensor(&input["logits_p"]), tensor(&input["logits_q"]));
        assert_close(case, &values(entropy(clean.clone())), &row(&output["entropy_p"]));
        assert_close(case, &values(forward_kl(clean.clone(), contrast.clone())), &row(&output["kl"]));
        assert_close(case, &values(jensen_shannon(clean, contrast)), &row(&output["js"]));
    });
}

/// Against a uniform prediction, k3 of the sampled token is a function of its recorded log-probability.
#[test]
fn log_probability_of_the_sampled_token() {
    for_each_case("token_logprob", |case, input, output| {
        let clean = tensor(&input["logits"]);
        let [tokens, vocabulary] = clean.dims();
        let sampled = row(&input["ids"]);
        let sampled = Tensor::<1, Int>::from_data(TensorData::new(sampled, [tokens]), &device());
        let expected: Vec<f64> = row(output)
            .iter()
            .map(|log_prob| {
                let difference = -(vocabulary as f64).ln() - log_prob;
                (difference.exp_m1() - difference).min(10.0)
            })
            .collect();
        let found = SampledK3::default().per_token(clean.clone(), clean.zeros_like(), sampled);
        assert_close(case, &values(found), &expected);
    });
}

#[test]
fn k3() {
    for_each_case("kl_estimate", |case, input, output| {
        let limit = input["diff_clamp"].as_f64().unwrap_or(80.0);
        let estimate = SampledK3 {
            difference_clamp: Positive::new(limit).expect("a limit"),
            cap: Positive::literal(f32::MAX as f64),
        };
        let found = estimate.between(tensor(&input["logp"]), tensor(&input["logq"]));
        assert_close(case, &values(found), &table(output).concat());
    });
}

#[test]
fn visual_dependency() {
    for_each_case("visual_dependency", |case, input, output| {
        let estimate = SampledK3::default();
        let divergence = estimate.between(tensor(&input["logp_clean"]), tensor(&input["logp_corrupt"]));
        let metric =
            VisualDependency { contrast: Contrast::new("blind", View::Blind, BuiltInDivergence::SampledK3(estimate)) };
        let response: Tensor<2, Bool> = tensor(&input["mask"]).greater_scalar(0.0);
        let mut score = values(metric.score(&[divergence], &response).expect("one divergence"));
        if input["nan_policy"] == "zero" {
            // That is for the reader of the score to decide; ours keeps what is not a number.
            assert!(score.iter().any(|score| score.is_nan()), "{case}");
            score.iter_mut().filter(|score| score.is_nan()).for_each(|score| *score = 0.0);
        }
        assert_close(case, &score, &table(output).concat());
    });
}

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
