//! Laws of the metrics, and of naming them in a recipe.

use burn::tensor::{Bool, Tensor, TensorData};
use dependency::{
    Blur, BuiltInDivergence, BuiltInPerturbation, Contrast, DependencyError, DependencyMetric, EntropyOf, ForwardKl,
    JensenShannon, Metric, PatchBlackout, Positive, ProbabilityDrop, SampledAbsolute, SampledK1, SampledK2, SampledK3,
    Side, Unknown, View, VisualDependency,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::device::device;

fn blind() -> Contrast {
    Contrast::new("blind", View::Blind, BuiltInDivergence::SampledK3(SampledK3::default()))
}

fn metric() -> Metric {
    keeping(Unknown::Keep)
}

fn keeping(unknown: Unknown) -> Metric {
    Metric::VisualDependency(VisualDependency { contrast: blind(), unknown })
}

proptest! {
    /// A token's score is its divergence, unknown ones only if they are kept; padding scores 0, whatever stands there.
    #[test]
    fn scores_tokens_and_only_tokens(
        (width, cells) in (1..=6usize).prop_flat_map(|width| {
            let divergence = select(&[0.0f32, 1e-9, -0.5, 10.0, f32::MAX, f32::NAN, f32::INFINITY, -f32::INFINITY][..]);
            (Just(width), prop::collection::vec(prop::collection::vec((divergence, any::<bool>()), width), 1..=5))
        }),
        unknown in select(vec![Unknown::Keep, Unknown::Zero]),
    ) {
        let shape = [cells.len(), width];
        let cells = cells.concat();
        let (divergence, response): (Vec<f32>, Vec<bool>) = cells.iter().copied().unzip();
        let score = keeping(unknown)
            .score(
                &[Tensor::from_data(TensorData::new(divergence, shape), &device())],
                &Tensor::<2, Bool>::from_data(TensorData::new(response, shape), &device()),
            )
            .expect("one divergence");
        for ((divergence, response), score) in cells.into_iter().zip(score.into_data().iter::<f32>()) {
            let counts = response && (unknown == Unknown::Keep || divergence.is_finite());
            let expected = if counts { divergence } else { 0.0 };
            prop_assert!(score == expected || score.is_nan() && expected.is_nan());
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let response = Tensor::<2, Bool>::from_data([[true, false]], &device());
    let one = Tensor::<2>::zeros([1, 2], &device());
    assert_eq!(metric().contrasts(), [blind()]);
    let count = |found| DependencyError::DivergenceCount { found, expected: 1 };
    assert_eq!(metric().score(&[], &response).expect_err("too few"), count(0));
    assert_eq!(metric().score(&[one.clone(), one], &response).expect_err("too many"), count(2));
    let wide = Tensor::zeros([1, 3], &device());
    let error = metric().score(&[wide], &response).expect_err("too wide");
    assert_eq!(error, DependencyError::Shape { contrast: "blind".to_owned(), found: [1, 3], expected: [1, 2] });
}

#[test]
fn recipes_name_components() {
    let read = |text: &str| serde_json::from_str::<Metric>(text);
    let text = |view: &str, divergence: &str| {
        format!(
            r#"{{"kind": "visual-dependency", "contrast": {{"name": "blind", "view": {view}, "divergence": {divergence}}}}}"#
        )
    };
    let k3 = r#"{"kind": "sampled-k3"}"#;
    assert_eq!(read(&text(r#""blind""#, k3)).expect("defaults"), metric());

    let view = |perturbation| View::from(perturbation);
    for (view, written) in [
        (
            view(BuiltInPerturbation::PatchBlackout(PatchBlackout::default())),
            r#"{"perturbed": {"perturbation": {"kind": "patch-blackout", "patch": 14, "probability": 0.5}}}"#,
        ),
        (view(BuiltInPerturbation::Blur(Blur::default())), r#"{"perturbed": {"perturbation": {"kind": "blur"}}}"#),
    ] {
        let divergence = BuiltInDivergence::ForwardKl(ForwardKl {});
        let contrast = Contrast { view, divergence, ..blind() };
        let metric = Metric::VisualDependency(VisualDependency { contrast, unknown: Unknown::default() });
        assert_eq!(read(&text(written, r#"{"kind": "forward-kl"}"#)).expect("a metric"), metric);
        let again = serde_json::to_string(&metric).expect("data");
        assert_eq!(read(&again).expect("what was written"), metric);
    }

    for (divergence, written) in [
        (BuiltInDivergence::JensenShannon(JensenShannon {}), r#"{"kind":"jensen-shannon"}"#),
        (
            BuiltInDivergence::SampledK3(SampledK3::default()),
            r#"{"kind":"sampled-k3","difference_clamp":20.0,"cap":10.0}"#,
        ),
        (BuiltInDivergence::SampledK1(SampledK1 { cap: None }), r#"{"kind":"sampled-k1"}"#),
        (
            BuiltInDivergence::SampledK1(SampledK1 { cap: Some(Positive::literal(10.0)) }),
            r#"{"kind":"sampled-k1","cap":10.0}"#,
        ),
        (BuiltInDivergence::SampledK2(SampledK2 { cap: None }), r#"{"kind":"sampled-k2"}"#),
        (BuiltInDivergence::SampledAbsolute(SampledAbsolute { cap: None }), r#"{"kind":"sampled-absolute"}"#),
        (BuiltInDivergence::ProbabilityDrop(ProbabilityDrop {}), r#"{"kind":"probability-drop"}"#),
        (BuiltInDivergence::Entropy(EntropyOf { of: Side::Clean }), r#"{"kind":"entropy","of":"clean"}"#),
        (BuiltInDivergence::Entropy(EntropyOf { of: Side::Contrast }), r#"{"kind":"entropy","of":"contrast"}"#),
    ] {
        assert_eq!(serde_json::from_str::<BuiltInDivergence>(written).expect("a divergence"), divergence);
        assert_eq!(serde_json::to_string(&divergence).expect("data"), written);
    }
    let zero = text(r#""blind""#, k3).replace(r#""contrast""#, r#""unknown": "zero", "contrast""#);
    assert_eq!(read(&zero).expect("a metric"), keeping(Unknown::Zero));

    for wrong in [
        text(r#""blind""#, r#"{"kind": "sampled-k1", "cap": 0}"#),
        text(r#""blind""#, r#"{"kind": "sampled-k2", "difference_clamp": 20}"#),
        text(r#""blind""#, r#"{"kind": "entropy"}"#),
        text(r#""blind""#, r#"{"kind": "probability-drop", "cap": 1}"#),
        zero.replace("zero", "drop"),
        text(r#"{"perturbed": {"perturbation": {"kind": "patch-blackout", "patch": 0}}}"#, k3),
        text(r#"{"perturbed": {"perturbation": {"kind": "patch-blackout", "probability": 1.5}}}"#, k3),
        text(r#"{"perturbed": {"perturbation": {"kind": "gaussian-noise", "sigma": -1}}}"#, k3),
        text(r#"{"perturbed": {"perturbation": {"kind": "blur", "sigma": 1}}}"#, k3),
        text(r#"{"perturbed": {"perturbation": {"kind": "solid-fill", "value": 256}}}"#, k3),
        text(r#"{"blind": {"kind": "blur"}}"#, k3),
        text(r#""blind""#, r#"{"kind": "sampled-k3", "cap": 0}"#),
        text(r#""blind""#, r#"{"kind": "forward-kl", "cap": 1}"#),
    ] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
}
