//! Laws of the metrics of several contrasts.

use burn::tensor::{Bool, Tensor, TensorData};
use dependency::{
    Blur, BuiltInDivergence, BuiltInPerturbation, Combination, Contrast, DependencyBound, DependencyError,
    DependencyMetric, Metric, NonNegative, Reduce, RobustVisualDependency, SampledK3, SolidFill, View,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::device::device;

fn contrast(name: &str, view: impl Into<View>) -> Contrast {
    Contrast::new(name, view, BuiltInDivergence::SampledK3(SampledK3::default()))
}

fn grounding() -> Contrast {
    contrast("blind", View::Blind)
}

/// `count` contrasts of different names.
fn mild(count: usize) -> Vec<Contrast> {
    let blur = BuiltInPerturbation::Blur(Blur::default());
    (0..count).map(|index| contrast(&format!("blur {index}"), blur)).collect()
}

fn robust(count: usize, combination: Combination, over: Reduce) -> Metric {
    let metric = RobustVisualDependency::new(grounding(), mild(count), combination, over);
    Metric::RobustVisualDependency(metric.expect("a perturbation"))
}

fn bound(count: usize, caution: f64) -> Metric {
    let caution = NonNegative::new(caution).expect("a caution");
    Metric::DependencyBound(DependencyBound::new(mild(count), caution).expect("a contrast"))
}

/// The divergences of one token under every contrast, and whether it is a response token.
type Token = (Vec<f32>, bool);

/// The score of every token, in one row or, with `as_column`, one in each row.
fn scores(metric: &Metric, tokens: &[Token], as_column: bool) -> Vec<f32> {
    let shape = if as_column { [tokens.len(), 1] } else { [1, tokens.len()] };
    let divergences: Vec<Tensor<2>> = (0..metric.contrasts().len())
        .map(|contrast| {
            let values: Vec<f32> = tokens.iter().map(|(divergences, _)| divergences[contrast]).collect();
            Tensor::from_data(TensorData::new(values, shape), &device())
        })
        .collect();
    let response: Vec<bool> = tokens.iter().map(|(_, response)| *response).collect();
    let response = Tensor::<2, Bool>::from_data(TensorData::new(response, shape), &device());
    metric.score(&divergences, &response).expect("a divergence for each contrast").into_data().iter().collect()
}

fn score(metric: &Metric, divergences: &[f32]) -> f32 {
    scores(metric, &[(divergences.to_vec(), true)], false)[0]
}

fn combinations(strength: f64) -> [Combination; 4] {
    let strength = NonNegative::new(strength).expect("a strength");
    [
        Combination::Exponential { strength },
        Combination::Difference { strength },
        Combination::Ratio { strength },
        Combination::Share { strength },
    ]
}

fn combination(strengths: &'static [f64]) -> impl Strategy<Value = Combination> {
    (select(strengths), 0..4usize).prop_map(|(strength, which)| combinations(strength)[which])
}

fn reduce() -> impl Strategy<Value = Reduce> {
    select(vec![Reduce::Mean, Reduce::Max])
}

/// Digits, or the number, are lost below the smallest normal one.
const SUBNORMAL: f64 = f32::MIN_POSITIVE as f64;

/// Divergences as they are measured, now and then negative.
fn usual() -> impl Strategy<Value = f32> {
    prop_oneof![4 => 0.0f32..10.0, 2 => (-18.0f32..3.0).prop_map(f32::exp), 1 => -2.0f32..0.0, 1 => Just(0.0)]
}

/// Anything but not-a-number.
fn extreme() -> impl Strategy<Value = f32> {
    prop_oneof![
        1 => usual(),
        1 => (-100.0f32..88.0).prop_map(f32::exp),
        1 => select(&[0.0, f32::MAX, f32::MAX / 2.0, f32::INFINITY, -f32::INFINITY, f32::MIN_POSITIVE, 1e-45, 1e20, 1e-20][..]),
    ]
}

/// Tokens with `least..=4` divergences each, of which some are not a number.
fn tokens(least: usize) -> impl Strategy<Value = Vec<Token>> {
    (least..=4usize).prop_flat_map(|contrasts| {
        let divergence = prop_oneof![15 => usual(), 1 => Just(f32::NAN)];
        prop::collection::vec((prop::collection::vec(divergence, contrasts), any::<bool>()), 1..=8)
    })
}

/// The formula as it is written down; a negative divergence counts as 0.
fn naive_robust(combination: Combination, over: Reduce, divergences: &[f32]) -> f64 {
    let divergences: Vec<f64> = divergences.iter().map(|&divergence| f64::from(divergence).max(0.0)).collect();
    let (v, perturbations) = (divergences[0], &divergences[1..]);
    let d = match over {
        Reduce::Mean => perturbations.iter().sum::<f64>() / perturbations.len() as f64,
        Reduce::Max => perturbations.iter().copied().fold(0.0, f64::max),
    };
    match combination {
        Combination::Exponential { strength } => v * (-strength.value() * d).exp(),
        Combination::Difference { strength } => (v - strength.value() * d).max(0.0),
        Combination::Ratio { strength } => v / (1.0 + strength.value() * d),
        Combination::Share { strength } => v * v / (v + strength.value() * d + 1e-8),
    }
}

fn mean(divergences: &[f32]) -> f64 {
    divergences.iter().map(|&divergence| f64::from(divergence).max(0.0)).sum::<f64>() / divergences.len() as f64
}

fn naive_bound(caution: f64, divergences: &[f32]) -> f64 {
    let mean = mean(divergences);
    let squares = divergences.iter().map(|&divergence| (f64::from(divergence).max(0.0) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / divergences.len() as f64).sqrt();
    (mean - caution * deviation).max(0.0)
}

/// Against padding, unknown divergences and the plain formula. Terms up to 40 cancel in a difference.
fn equals_naive(
    metric: &Metric,
    tokens: &[Token],
    as_column: bool,
    naive: impl Fn(&[f32]) -> f64,
) -> Result<(), TestCaseError> {
    let found = scores(metric, tokens, as_column);
    for (found, (divergences, response)) in found.into_iter().zip(tokens) {
        if !response {
            prop_assert_eq!(found, 0.0);
        } else if divergences.iter().any(|divergence| divergence.is_nan()) {
            prop_assert!(found.is_nan(), "{} of {:?}", found, divergences);
        } else {
            let expected = naive(divergences);
            let allowed = 2e-5 * expected + 1e-5;
            prop_assert!(
                (f64::from(found) - expected).abs() <= allowed,
                "{} but expected {} of {:?}",
                found,
                expected,
                divergences
            );
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn robust_equals_the_naive_formula(
        tokens in tokens(2),
        as_column in any::<bool>(),
        combination in combination(&[0.0, 0.25, 1.0, 3.0]),
        over in reduce(),
    ) {
        let metric = robust(tokens[0].0.len() - 1, combination, over);
        equals_naive(&metric, &tokens, as_column, |divergences| naive_robust(combination, over, divergences))?;
    }

    #[test]
    fn bound_equals_the_naive_formula(tokens in tokens(1), as_column in any::<bool>(), caution in select(&[0.0, 0.5, 1.0, 4.0][..])) {
        let metric = bound(tokens[0].0.len(), caution);
        equals_naive(&metric, &tokens, as_column, |divergences| naive_bound(caution, divergences))?;
    }

    /// Robustness only ever takes away, and what is left is a finite number, whatever was measured and set.
    #[test]
    fn robust_never_exceeds_the_grounding(
        divergences in prop::collection::vec(extreme(), 2..=5),
        combination in combination(&[0.0, 1e-300, 1e-20, 1.0, 1e20, 1e300]),
        over in reduce(),
    ) {
        let found = score(&robust(divergences.len() - 1, combination, over), &divergences);
        // Units in the last place: the exponential of a device may exceed 1 by one.
        let most = f64::from(divergences[0]).max(0.0) * (1.0 + 1e-6);
        prop_assert!(found.is_finite() && found >= 0.0 && f64::from(found) <= most, "{} of {:?}", found, divergences);
    }

    /// Nor does the bound exceed the mean.
    #[test]
    fn bound_never_exceeds_the_mean(
        divergences in prop::collection::vec(extreme(), 1..=5),
        caution in select(&[0.0, 1e-300, 1.0, 1e20, 1e300][..]),
    ) {
        let found = score(&bound(divergences.len(), caution), &divergences);
        let most = mean(&divergences) * (1.0 + 1e-6) + SUBNORMAL;
        prop_assert!(found.is_finite() && found >= 0.0 && f64::from(found) <= most, "{} of {:?}", found, divergences);
    }

    /// A stable token keeps its grounding; of a share, all but epsilon.
    #[test]
    fn without_instability_the_grounding_stays(
        v in prop_oneof![usual(), (-30.0f32..88.0).prop_map(f32::exp)],
        count in 1..=3usize,
        combination in combination(&[0.0, 1.0, 1e300]),
        over in reduce(),
    ) {
        let mut divergences = vec![0.0; count + 1];
        divergences[0] = v;
        let found = f64::from(score(&robust(count, combination, over), &divergences));
        let v = f64::from(v).max(0.0);
        let expected = if matches!(combination, Combination::Share { .. }) { v * v / (v + 1e-8) } else { v };
        prop_assert!((found - expected).abs() <= 1e-6 * expected + SUBNORMAL, "{} but expected {}", found, expected);
    }

    /// More grounding scores no less, more instability no more.
    #[test]
    fn robust_is_monotone(
        divergences in prop::collection::vec(usual(), 2..=4),
        more in 0.0f32..3.0,
        combination in combination(&[0.25, 1.0, 3.0]),
        over in reduce(),
    ) {
        let metric = robust(divergences.len() - 1, combination, over);
        let before = score(&metric, &divergences);
        let with_more = |index: usize| {
            let mut changed = divergences.clone();
            changed[index] += more;
            score(&metric, &changed)
        };
        let rounding = 1e-5 * (1.0 + before);
        prop_assert!(with_more(0) >= before - rounding);
        for index in 1..divergences.len() {
            prop_assert!(with_more(index) <= before + rounding);
        }
    }

    /// The order of the perturbations does not count, and copies of one count as one.
    #[test]
    fn perturbations_are_a_set(
        divergences in prop::collection::vec(usual(), 2..=4),
        combination in combination(&[1.0]),
        over in reduce(),
        copies in 1..=3usize,
    ) {
        let count = divergences.len() - 1;
        let turned = [&divergences[..1], &divergences[2..], &divergences[1..2]].concat();
        let near = |left: f32, right: f32| (left - right).abs() <= 1e-5 * (1.0 + left.abs());
        let before = score(&robust(count, combination, over), &divergences);
        prop_assert!(near(score(&robust(count, combination, over), &turned), before));
        let copied = [divergences[..1].to_vec(), divergences[1..].repeat(copies)].concat();
        prop_assert!(near(score(&robust(count * copies, combination, over), &copied), before));

        let before = score(&bound(count + 1, 1.0), &divergences);
        let turned = [&divergences[1..], &divergences[..1]].concat();
        prop_assert!(near(score(&bound(count + 1, 1.0), &turned), before));
        prop_assert!(near(score(&bound((count + 1) * copies, 1.0), &divergences.repeat(copies)), before));
    }

    /// Measurements that agree are certain.
    #[test]
    fn bound_of_equal_measurements_is_their_value(v in extreme(), count in 1..=5usize, caution in select(&[0.0, 1.0, 1e300][..])) {
        let found = score(&bound(count, caution), &vec![v; count]);
        let found = f64::from(found);
        prop_assert!((found - f64::from(v.clamp(0.0, f32::MAX))).abs() <= 1e-6 * found + SUBNORMAL, "{} but {}", found, v);
    }
}

/// The largest numbers are summed without overflow, and each rule's constants are these.
#[test]
fn robust_by_hand() {
    const MOST: f32 = f32::MAX;
    let [exponential, difference, ratio, share] = combinations(1.0);
    for (combination, over, divergences, expected) in [
        (exponential, Reduce::Mean, [2.0, 1.0, 0.0], 2.0 * (-0.5f64).exp()),
        (exponential, Reduce::Max, [2.0, 1.0, 0.0], 2.0 * (-1.0f64).exp()),
        (difference, Reduce::Mean, [2.0, 1.0, 0.0], 1.5),
        (difference, Reduce::Mean, [0.25, 1.0, 0.0], 0.0),
        (difference, Reduce::Mean, [MOST, MOST, 0.0], f64::from(MOST) / 2.0),
        (difference, Reduce::Mean, [MOST, MOST, MOST / 2.0], f64::from(MOST) / 4.0),
        (difference, Reduce::Mean, [MOST, MOST, f32::INFINITY], 0.0),
        (ratio, Reduce::Max, [2.0, 1.0, 0.0], 1.0),
        (ratio, Reduce::Mean, [MOST, 1.0, 1.0], f64::from(MOST) / 2.0),
        (share, Reduce::Mean, [2.0, 1.0, 3.0], 1.0),
        (share, Reduce::Mean, [1e-8, 0.0, 0.0], 5e-9),
        (share, Reduce::Max, [MOST, 0.0, 0.0], f64::from(MOST)),
        (share, Reduce::Max, [MOST, MOST, 0.0], 0.0),
        (share, Reduce::Max, [MOST / 4.0, MOST / 4.0, -1.0], f64::from(MOST) / 8.0),
    ] {
        let found = f64::from(score(&robust(2, combination, over), &divergences));
        assert!((found - expected).abs() <= 1e-6 * expected, "{found} of {combination:?}, {over:?}, {divergences:?}");
    }
    // Ten tenths of the largest number, each rounded, exceed it.
    for combination in combinations(0.0) {
        assert_eq!(score(&robust(10, combination, Reduce::Mean), &[MOST; 11]), MOST);
    }
}

#[test]
fn bound_by_hand() {
    const MOST: f32 = f32::MAX;
    for (caution, divergences, expected) in [
        (1.0, [3.0, 1.0], 1.0),
        (0.5, [3.0, 1.0], 1.5),
        (2.0, [3.0, 1.0], 0.0),
        (3.0, [3.0, 1.0], 0.0),
        (0.5, [MOST, 0.0], f64::from(MOST) / 4.0),
        (0.0, [MOST, f32::INFINITY], f64::from(MOST)),
        (0.5, [4e-30, 0.0], 1e-30),
        (1.0, [-1.0, -3.0], 0.0),
    ] {
        let found = f64::from(score(&bound(2, caution), &divergences));
        // The terms cancel, so the error is one of the mean.
        let allowed = 1e-6 * mean(&divergences).min(f64::from(MOST));
        assert!((found - expected).abs() <= allowed, "{found} at {caution} of {divergences:?}");
    }
}

#[test]
fn contrasts_come_grounding_first() {
    let expected = [vec![grounding()], mild(2)].concat();
    assert_eq!(robust(2, Combination::default(), Reduce::default()).contrasts(), expected);
    assert_eq!(bound(3, 1.0).contrasts(), mild(3));
}

#[test]
fn nothing_to_compare_is_refused() {
    let error =
        RobustVisualDependency::new(grounding(), Vec::new(), Combination::default(), Reduce::Mean).expect_err("none");
    assert_eq!(error, DependencyError::NoContrasts { metric: "robust-visual-dependency", list: "perturbations" });
    let error = DependencyBound::new(Vec::new(), NonNegative::literal(1.0)).expect_err("none");
    assert_eq!(error, DependencyError::NoContrasts { metric: "dependency-bound", list: "contrasts" });
    assert!(error.to_string().contains("contrasts of dependency-bound are empty"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let response = Tensor::<2, Bool>::from_data([[true, false]], &device());
    let fits = || Tensor::<2>::zeros([1, 2], &device());
    let wide = || Tensor::<2>::zeros([1, 3], &device());
    for metric in [robust(2, Combination::default(), Reduce::Mean), bound(3, 1.0)] {
        let error = metric.score(&[fits(), fits()], &response).expect_err("too few");
        assert_eq!(error, DependencyError::DivergenceCount { found: 2, expected: 3 });
        let error = metric.score(&[fits(), fits(), wide()], &response).expect_err("too wide");
        let contrast = metric.contrasts()[2].name.clone();
        assert_eq!(error, DependencyError::Shape { contrast, found: [1, 3], expected: [1, 2] });
    }
}

#[test]
fn recipes_name_the_metrics() {
    let read = |text: &str| serde_json::from_str::<Metric>(text);
    let blind = r#"{"name": "blind", "view": "blind", "divergence": {"kind": "sampled-k3"}}"#;
    let blur = r#"{"name": "blur 0", "view": {"perturbed": {"perturbation": {"kind": "blur"}}}, "divergence": {"kind": "sampled-k3"}}"#;

    let text = format!(r#"{{"kind": "robust-visual-dependency", "grounding": {blind}, "perturbations": [{blur}]}}"#);
    let strength = NonNegative::literal(1.0);
    let metric = robust(1, Combination::Exponential { strength }, Reduce::Mean);
    assert_eq!(read(&text).expect("defaults"), metric);
    let with = |more: &str| text.replace(r#""grounding""#, &format!(r#"{more}, "grounding""#));
    for ((combination, name), over) in combinations(0.5)
        .into_iter()
        .zip(["exponential", "difference", "ratio", "share"])
        .zip([Reduce::Mean, Reduce::Max, Reduce::Mean, Reduce::Max])
    {
        let reduce = if over == Reduce::Mean { "mean" } else { "max" };
        let text = with(&format!(r#""over": "{reduce}", "combination": {{"kind": "{name}", "strength": 0.5}}"#));
        let metric = robust(1, combination, over);
        assert_eq!(read(&text).expect("a metric"), metric);
        assert_eq!(read(&serde_json::to_string(&metric).expect("data")).expect("what was written"), metric);
    }
    for (combination, name) in combinations(1.0).into_iter().zip(["exponential", "difference", "ratio", "share"]) {
        let text = with(&format!(r#""combination": {{"kind": "{name}"}}"#));
        assert_eq!(read(&text).expect("strength 1"), robust(1, combination, Reduce::Mean));
    }
    for wrong in [
        text.replace(&format!("[{blur}]"), "[]"),
        with(r#""combination": {"kind": "ratio", "strength": -1}"#),
        with(r#""combination": {"kind": "ratio", "power": 1}"#),
        with(r#""over": "median""#),
        with(r#""contrast": 1"#),
    ] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }

    let grey = BuiltInPerturbation::SolidFill(SolidFill::default());
    let contrast = Contrast { base: grey.into(), ..grounding() };
    let metric = DependencyBound::new(vec![contrast], NonNegative::literal(1.0)).expect("a contrast");
    let metric = Metric::DependencyBound(metric);
    let base = blind.replace(r#""view""#, r#""base": {"perturbed": {"perturbation": {"kind": "solid-fill"}}}, "view""#);
    let text = format!(r#"{{"kind": "dependency-bound", "contrasts": [{base}]}}"#);
    assert_eq!(read(&text).expect("defaults"), metric);
    assert_eq!(read(&serde_json::to_string(&metric).expect("data")).expect("what was written"), metric);
    let cautious = text.replace(r#""contrasts""#, r#""caution": 2.5, "contrasts""#);
    let Metric::DependencyBound(metric) = read(&cautious).expect("a metric") else { panic!("another metric") };
    assert_eq!(metric.caution.value(), 2.5);
    let none = read(r#"{"kind": "dependency-bound", "contrasts": []}"#).expect_err("no contrast").to_string();
    assert!(none.contains("0 contrasts"), "{none}");
    assert!(read(&cautious.replace("2.5", "-2.5")).is_err());
}
