//! Laws of the noise of a diffusion process and of how it fades.

use std::num::NonZeroU32;

use dependency::{DependencyError, DiffusionNoise, DiffusionStep, NoiseAnnealing, NoiseDecay, NonNegative};
use image::{Rgb, RgbImage};
use proptest::prelude::*;

use super::apply;

fn step(step: u16) -> DiffusionStep {
    DiffusionStep::new(step).expect("a step of the process")
}

fn decays() -> impl Strategy<Value = NoiseDecay> {
    let number = |value| NonNegative::new(value).expect("not negative");
    prop_oneof![
        (0.0..100.0f64, 0.0..200.0f64).prop_map(move |(steepness, middle)| NoiseDecay::Sigmoid {
            steepness: number(steepness),
            middle: number(middle)
        }),
        Just(NoiseDecay::Linear),
        (0.0..10.0f64).prop_map(move |exponent| NoiseDecay::Power { exponent: number(exponent) }),
        Just(NoiseDecay::Constant),
    ]
}

proptest! {
    /// Every step takes from the image and gives to the noise; the squares sum to 1.
    #[test]
    fn signal_fades_into_noise(first in 0..1000u16, second in 0..1000u16) {
        let coefficients = |at| DiffusionNoise { step: step(at) }.coefficients();
        let (signal, noise) = coefficients(first);
        prop_assert!((signal * signal + noise * noise - 1.0).abs() < 1e-12);
        prop_assert!(signal > 0.0 && signal < 1.0 && noise > 0.0 && noise < 1.0);
        let (other_signal, other_noise) = coefficients(second);
        prop_assert_eq!(first < second, signal > other_signal);
        prop_assert_eq!(first < second, noise < other_noise);
    }

    /// The strength never rises, never exceeds the initial one, and a run may go on beyond its planned end.
    #[test]
    fn noise_only_fades(initial in 0..1000u16, decay in decays(), total in 1..300u32, steps in (0..400u32, 0..400u32)) {
        let annealing = NoiseAnnealing { initial: step(initial), decay };
        let at = |step: u32| annealing.at(step, NonZeroU32::new(total).expect("some steps"));
        let (early, late) = (at(steps.0.min(steps.1)), at(steps.0.max(steps.1)));
        prop_assert!(late <= early && early <= step(initial));
    }
}

/// The last step turns an image into noise; what lies beyond it does not exist.
#[test]
fn the_process_has_a_thousand_steps() {
    let last = step(999);
    assert_eq!((last.value(), u16::from(last), DiffusionStep::try_from(999)), (999, 999, Ok(last)));
    let (signal, _) = DiffusionNoise { step: last }.coefficients();
    // exp(-sum of the variances / 2) = exp(-1000 * (5e-3 + 1e-5) / 4).
    assert!((signal - (-1.2525_f64).exp()).abs() < 2e-3, "{signal}");
    let error = DiffusionStep::new(1000).expect_err("beyond the last");
    assert_eq!(error, DependencyError::OutOfRange { value: 1000.0, range: "0..=999" });
    assert_eq!(DiffusionStep::try_from(1000), Err(error));
    assert!(serde_json::from_str::<DiffusionNoise>(r#"{"step": 1000}"#).is_err());
    assert_eq!(
        serde_json::from_str::<DiffusionNoise>(r#"{"step": 999}"#).expect("the last"),
        DiffusionNoise { step: last }
    );
}

/// On grey 128, the recorded coefficients of step 134 show: nothing is clipped.
#[test]
fn noise_has_the_promised_spread() {
    let grey = RgbImage::from_pixel(100, 100, Rgb([128; 3]));
    let copy = apply(&DiffusionNoise { step: step(134) }, &grey, 5);
    let values: Vec<f64> = copy.iter().map(|&value| f64::from(value)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
    // Five standard errors: 5 * 18.8 / sqrt(30 000), and that over the square root of two.
    assert!((mean - 0.997_265_6 * 128.0).abs() < 0.55, "{mean}");
    assert!((deviation - 0.073_900_6 * 255.0).abs() < 0.39, "{deviation}");

    let strong = apply(&DiffusionNoise::default(), &grey, 5);
    assert!(strong.contains(&0) && strong.contains(&255), "clipped at both ends");
}

/// By hand: what is left of 500 after a quarter of the run, and of the default, which is that of Geometry3K.
#[test]
fn decays_leave_what_they_promise() {
    let total = NonZeroU32::new(100).expect("not 0");
    let number = NonNegative::literal;
    let left = |decay| NoiseAnnealing { decay, ..NoiseAnnealing::default() }.at(25, total).value();
    assert_eq!(left(NoiseDecay::Linear), 375);
    assert_eq!(left(NoiseDecay::Power { exponent: number(2.0) }), 468);
    assert_eq!(left(NoiseDecay::Constant), 500);
    assert_eq!(left(NoiseDecay::Sigmoid { steepness: number(10.0), middle: number(25.0) }), 250);
    let text = r#"{"initial":500,"decay":{"kind":"sigmoid","steepness":30.0,"middle":40.0}}"#;
    assert_eq!(serde_json::to_string(&NoiseAnnealing::default()).expect("data"), text);
    for (written, decay) in [
        (r#"{"kind":"linear"}"#, NoiseDecay::Linear),
        (r#"{"kind":"constant"}"#, NoiseDecay::Constant),
        (r#"{"kind":"power","exponent":3}"#, NoiseDecay::Power { exponent: number(3.0) }),
    ] {
        assert_eq!(serde_json::from_str::<NoiseDecay>(written).expect("a decay"), decay);
    }
    assert!(serde_json::from_str::<NoiseDecay>(r#"{"kind":"power","exponent":-1}"#).is_err());
}
