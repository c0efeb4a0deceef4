//! Everything that credit is made of: each divergence, metric, estimator and shaper.

use std::collections::BTreeSet;

use advantage::{
    AdvantageEstimator as _, Credit, CreditShaper as _, Estimator, Evidence, Fraction, Groups, PassAtK,
    ReinforcePlusPlusBaseline, Shaper, Signal, SoftTokenFilter, TokenFilter, assign,
};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use dependency::{
    BuiltInDivergence, Contrast, DependencyBound, DependencyMetric as _, Divergence as _, EntropyOf, ForwardKl,
    JensenShannon, Metric, NonNegative, ProbabilityDrop, SampledAbsolute, SampledK1, SampledK2, SampledK3, Side, View,
};

use super::check::{Check, Extent, Output, Run};
use super::compare::Tolerance;
use super::inputs::{indices, uniform};
use crate::TrainError;
use crate::recipe::built_in;

/// Tokens and words of the predictions that divergences compare.
const TOKENS: usize = 48;
const VOCABULARY: usize = 448;

/// Responses of the batch that credit is given to, and their lengths.
const LENGTHS: [usize; 11] = [24, 17, 3, 9, 24, 1, 12, 20, 5, 16, 8];
const GROUPS: [usize; 3] = [4, 4, 3];
const COLUMNS: usize = 24;

const DIVERGENCES: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 1e-4,
    of_largest: 0.0,
    reason: "log-probabilities of a device are off by some 1e-6, and divergences are differences of them",
};
const CREDIT: Tolerance = Tolerance {
    absolute: 1e-5,
    relative: 1e-4,
    of_largest: 0.0,
    reason: "the algorithms' recorded cases are held to 2e-5; GPUs sum in another order and have another exp",
};

/// The checks: one for each component there is.
pub(super) fn checks() -> Vec<Check> {
    let full = |name: String, tolerance, run: Box<Run>| Check::new(name, Extent::Full, tolerance, run);
    let mut checks = Vec::new();
    for (name, divergence) in divergences() {
        let name = format!("divergence {name}");
        let shown = name.clone();
        checks.push(full(name, DIVERGENCES, Box::new(move |device| Ok(vec![diverged(&shown, divergence, device)]))));
    }
    for (name, metric) in metrics() {
        let name = format!("metric {name}");
        let shown = name.clone();
        checks.push(full(name, CREDIT, Box::new(move |device| Ok(vec![scored(&shown, &metric, device)?]))));
    }
    for (name, estimator) in estimators() {
        let name = format!("estimator {name}");
        let shown = name.clone();
        let run =
            move |device: &Device| Ok(vec![Output::new(shown.clone(), estimator.estimate(&evidence(device, false)?)?)]);
        checks.push(full(name, CREDIT, Box::new(run)));
    }
    for (name, shaper) in shapers() {
        let name = format!("shaper {name}");
        let shown = name.clone();
        checks.push(full(name, CREDIT, Box::new(move |device| shaped(&shown, shaper, device))));
    }
    checks
}

/// Every built-in divergence by its name in a recipe.
fn divergences() -> Vec<(String, BuiltInDivergence)> {
    let all = [
        BuiltInDivergence::ForwardKl(ForwardKl::default()),
        BuiltInDivergence::JensenShannon(JensenShannon::default()),
        BuiltInDivergence::SampledK1(SampledK1::default()),
        BuiltInDivergence::SampledK2(SampledK2::default()),
        BuiltInDivergence::SampledK3(SampledK3::default()),
        BuiltInDivergence::SampledAbsolute(SampledAbsolute::default()),
        BuiltInDivergence::ProbabilityDrop(ProbabilityDrop::default()),
        BuiltInDivergence::Entropy(EntropyOf { of: Side::Clean }),
        BuiltInDivergence::Entropy(EntropyOf { of: Side::Contrast }),
    ];
    distinct(all)
}

/// The metrics of the built-in recipes, and the one that is in none.
fn metrics() -> Vec<(String, Metric)> {
    let contrast = |name: &str| Contrast::new(name, View::Blind, BuiltInDivergence::SampledK3(SampledK3::default()));
    let contrasts = ["one", "two", "three"].map(contrast).to_vec();
    let bound = DependencyBound::new(contrasts, const { NonNegative::literal(1.0) });
    let others = bound.into_iter().map(Metric::DependencyBound);
    // Whatever their contrasts are, they compute the same.
    let mut kinds = BTreeSet::new();
    let all = distinct(built_in().into_iter().filter_map(|recipe| recipe.dependency).chain(others));
    all.into_iter().filter(|(name, _)| kinds.insert(name.split('#').next().unwrap_or_default().to_owned())).collect()
}

/// The estimators of the built-in recipes, and those that are in none.
fn estimators() -> Vec<(String, Estimator)> {
    let others = [
        Estimator::PassAtK(PassAtK::default()),
        Estimator::ReinforcePlusPlusBaseline(ReinforcePlusPlusBaseline::default()),
    ];
    distinct(built_in().into_iter().map(|recipe| recipe.estimator).chain(others))
}

/// The shapers of the built-in recipes, and those that are in none.
fn shapers() -> Vec<(String, Shaper)> {
    let others = [
        Shaper::SoftTokenFilter(SoftTokenFilter::default()),
        Shaper::TokenFilter(TokenFilter { by: Signal::Either, ..TokenFilter::default() }),
    ];
    distinct(built_in().into_iter().flat_map(|recipe| recipe.shapers).chain(others))
}

/// Components that differ, each under its kind; further settings of a kind get a number.
fn distinct<T: serde::Serialize + PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<(String, T)> {
    let mut found: Vec<(String, T)> = Vec::new();
    for component in all {
        if found.iter().any(|(_, known)| *known == component) {
            continue;
        }
        let kind = serde_json::to_value(&component).ok().and_then(|value| value["kind"].as_str().map(str::to_owned));
        let kind = kind.unwrap_or_default();
        let of_kind = found.iter().filter(|(name, _)| name.split('#').next() == Some(&kind)).count();
        let name = if of_kind == 0 { kind } else { format!("{kind}#{}", of_kind + 1) };
        found.push((name, component));
    }
    found
}

/// Two predictions of the same tokens: some the same, some nearly so, some far apart, some with impossible words.
fn predictions(device: &Device) -> (Tensor<2>, Tensor<2>, Tensor<1, Int>) {
    let mut clean = uniform(20, TOKENS * VOCABULARY, -6.0, 6.0);
    let moved = uniform(21, TOKENS * VOCABULARY, -1.0, 1.0);
    let mut contrast: Vec<f32> = Vec::with_capacity(clean.len());
    for (token, (row, moved)) in clean.chunks(VOCABULARY).zip(moved.chunks(VOCABULARY)).enumerate() {
        let size = [0.0, 1e-3, 0.1, 1.0, 5.0][token % 5];
        contrast.extend(row.iter().zip(moved).map(|(logit, moved)| logit + size * moved));
    }
    let sampled = indices(22, TOKENS, VOCABULARY as u32 - 1);
    // The last word is never sampled: impossible for both, or for one of the two.
    for token in (0..TOKENS).step_by(6) {
        let last = (token + 1) * VOCABULARY - 1;
        clean[last] = f32::NEG_INFINITY;
        contrast[last] = f32::NEG_INFINITY;
    }
    let shape = [TOKENS, VOCABULARY];
    let sampled: Vec<i64> = sampled.into_iter().map(i64::from).collect();
    (
        Tensor::from_data(TensorData::new(clean, shape), device),
        Tensor::from_data(TensorData::new(contrast, shape), device),
        Tensor::from_data(TensorData::new(sampled, [TOKENS]), device),
    )
}

fn diverged(name: &str, divergence: BuiltInDivergence, device: &Device) -> Output {
    let (clean, contrast, sampled) = predictions(device);
    Output::new(name, divergence.per_token(clean, contrast, sampled))
}

/// The tokens of the batch: true where there is one.
fn response(device: &Device) -> Tensor<2, Bool> {
    let tokens = LENGTHS.iter().flat_map(|&length| (0..COLUMNS).map(move |column| column < length));
    let tokens: Vec<bool> = tokens.collect();
    Tensor::from_data(TensorData::new(tokens, [LENGTHS.len(), COLUMNS]), device)
}

/// A column for every token, not-a-number on padding.
fn columns(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let tensor: Tensor<2> = Tensor::from_data(TensorData::new(values, [LENGTHS.len(), COLUMNS]), device);
    tensor.mask_fill(response(device).bool_not(), f32::NAN)
}

fn count() -> usize {
    LENGTHS.len() * COLUMNS
}

/// Dependencies from next to nothing to several nats.
fn dependencies(seed: u64) -> Vec<f32> {
    uniform(seed, count(), -20.0, 2.0).iter().map(|value| value.exp()).collect()
}

fn scored(name: &str, metric: &Metric, device: &Device) -> Result<Output, TrainError> {
    let divergences: Vec<Tensor<2>> =
        (0..metric.contrasts().len()).map(|index| columns(dependencies(40 + index as u64), device)).collect();
    Ok(Output::new(name, metric.score(&divergences, &response(device))?))
}

/// A batch of everything that can be known of one. Of one response nothing is known of a token, or of all.
fn evidence(device: &Device, unknown: bool) -> Result<Evidence, TrainError> {
    let rewards = [1.0, 0.0, 1.0, 0.1, 0.0, 0.0, 1.0, 0.25, 0.5, 0.5, 0.5];
    let visual: Vec<bool> = (0..LENGTHS.len()).map(|row| row != 5).collect();
    let mut dependency = dependencies(30);
    if unknown {
        dependency[3] = f32::NAN;
        dependency[4 * COLUMNS..5 * COLUMNS].fill(f32::NAN);
    }
    let evidence = Evidence::new(Tensor::from_data(rewards, device), Groups::new(GROUPS.to_vec())?, response(device))?
        .with_visual(Tensor::from_data(TensorData::new(visual, [LENGTHS.len()]), device))?
        .with_dependency(columns(dependency, device))?
        .with_entropy(columns(uniform(31, count(), 0.0, 3.0), device))?
        .with_token_rewards(columns(uniform(32, count(), -0.01, 0.01), device))?;
    Ok(evidence.with_progress(const { Fraction::literal(0.5) }))
}

fn shaped(name: &str, shaper: Shaper, device: &Device) -> Result<Vec<Output>, TrainError> {
    let mut outputs = Vec::new();
    for (unknown, of) in [(false, ""), (true, ", some unknown")] {
        let evidence = evidence(device, unknown)?;
        let plain = assign(&advantage::Grpo::default(), &[], &evidence)?;
        let Credit { advantage, gate } = shaper.shape(&evidence, plain)?;
        let padding = response(device).bool_not();
        outputs.push(Output::new(format!("{name}, advantage{of}"), advantage.mask_fill(padding.clone(), 0.0)));
        outputs.push(Output::new(format!("{name}, gate{of}"), gate.mask_fill(padding, 0.0)));
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when a component is added to its enum, to be checked here: then it belongs among `others`
    /// above, unless a built-in recipe has it, and its kind below.
    fn known(divergence: BuiltInDivergence, metric: &Metric, estimator: Estimator, shaper: Shaper) {
        match divergence {
            BuiltInDivergence::ForwardKl(_)
            | BuiltInDivergence::JensenShannon(_)
            | BuiltInDivergence::SampledK3(_)
            | BuiltInDivergence::SampledK1(_)
            | BuiltInDivergence::SampledK2(_)
            | BuiltInDivergence::SampledAbsolute(_)
            | BuiltInDivergence::ProbabilityDrop(_)
            | BuiltInDivergence::Entropy(_) => {}
        }
        match metric {
            Metric::VisualDependency(_) | Metric::RobustVisualDependency(_) | Metric::DependencyBound(_) => {}
        }
        match estimator {
            Estimator::Grpo(_)
            | Estimator::DrGrpo(_)
            | Estimator::Rloo(_)
            | Estimator::ReinforcePlusPlus(_)
            | Estimator::ReinforcePlusPlusBaseline(_)
            | Estimator::PassAtK(_) => {}
        }
        match shaper {
            Shaper::TrajectoryShaping(_)
            | Shaper::TokenFilter(_)
            | Shaper::SoftTokenFilter(_)
            | Shaper::PerceptionGate(_)
            | Shaper::PerceptualReshaping(_) => {}
        }
    }

    #[test]
    fn every_kind_of_component_is_checked() {
        fn kinds<T>(components: &[(String, T)]) -> BTreeSet<&str> {
            components.iter().map(|(name, _)| name.split('#').next().unwrap_or_default()).collect()
        }
        let (divergences, metrics, estimators, shapers) = (divergences(), metrics(), estimators(), shapers());
        known(divergences[0].1, &metrics[0].1, estimators[0].1, shapers[0].1);
        let expected = [
            "entropy",
            "forward-kl",
            "jensen-shannon",
            "probability-drop",
            "sampled-absolute",
            "sampled-k1",
            "sampled-k2",
            "sampled-k3",
        ];
        assert_eq!(kinds(&divergences), BTreeSet::from(expected));
        let expected = ["dependency-bound", "robust-visual-dependency", "visual-dependency"];
        assert_eq!(kinds(&metrics), BTreeSet::from(expected));
        let expected =
            ["dr-grpo", "grpo", "grpo-pass-at-k", "reinforce-plus-plus", "reinforce-plus-plus-baseline", "rloo"];
        assert_eq!(kinds(&estimators), BTreeSet::from(expected));
        let expected =
            ["perception-gate", "perceptual-reshaping", "soft-token-filter", "token-filter", "trajectory-shaping"];
        assert_eq!(kinds(&shapers), BTreeSet::from(expected));
        let contrast = BuiltInDivergence::Entropy(EntropyOf { of: Side::Contrast });
        assert!(divergences.iter().any(|(_, divergence)| *divergence == contrast), "either side's entropy");
    }
}
