//! Recorded scores.

use burn::tensor::{Bool, Tensor};
use dependency::{
    BuiltInDivergence, Combination, Contrast, DependencyBound, DependencyMetric, ForwardKl, NonNegative,
    ProbabilityDrop, Reduce, RobustVisualDependency, SampledAbsolute, SampledK3, Unknown, View, VisualDependency,
};
use serde_json::Value;

use crate::cases::{assert_close, for_each_case, number, table, tensor, values};

/// A contrast whose divergence is recorded.
fn contrast() -> Contrast {
    Contrast::new("blind", View::Blind, BuiltInDivergence::ForwardKl(ForwardKl {}))
}

fn response(input: &Value) -> Tensor<2, Bool> {
    tensor(&input["mask"]).greater_scalar(0.0)
}

/// One table of each view: the recorded array has two axes or three.
fn views(value: &Value) -> Vec<Tensor<2>> {
    if value[0][0].is_array() {
        value.as_array().expect("views").iter().map(tensor).collect()
    } else {
        vec![tensor(value)]
    }
}

#[test]
fn visual_dependency() {
    for_each_case("visual_dependency", |case, input, output| {
        let (clean, contrast_view) = (tensor(&input["logp_clean"]), tensor(&input["logp_corrupt"]));
        let divergence = match input["metric"].as_str() {
            Some("k3") => SampledK3::default().between(clean, contrast_view),
            Some("abs") => SampledAbsolute::default().between(clean, contrast_view),
            Some("prob_drop") => ProbabilityDrop {}.between(clean, contrast_view),
            other => panic!("{case}: unknown metric {other:?}"),
        };
        let unknown = match input["nan_policy"].as_str() {
            Some("propagate") => Unknown::Keep,
            Some("zero") => Unknown::Zero,
            other => panic!("{case}: unknown policy {other:?}"),
        };
        let metric = VisualDependency { contrast: contrast(), unknown };
        let score = metric.score(&[divergence], &response(input)).expect("one divergence");
        assert_close(case, &values(score), &table(output).concat());
    });
}

#[test]
fn robust_visual_dependency() {
    for_each_case("rvd", |case, input, output| {
        let strength = NonNegative::new(number(&input["lam"])).expect("a strength");
        let combination = match input["variant"].as_str() {
            Some("exp") => Combination::Exponential { strength },
            Some("diff") => Combination::Difference { strength },
            Some("ratio") => Combination::Ratio { strength },
            Some("share") => Combination::Share { strength },
            other => panic!("{case}: unknown variant {other:?}"),
        };
        assert_eq!(number(&input["eps"]), 1e-8, "{case}");
        let over = if input["reduce"] == "max" { Reduce::Max } else { Reduce::Mean };
        let mut divergences = vec![tensor(&input["vis"])];
        divergences.extend(views(&input["pert"]));
        let perturbations = vec![contrast(); divergences.len() - 1];
        let metric = RobustVisualDependency::new(contrast(), perturbations, combination, over).expect("a perturbation");
        let score = metric.score(&divergences, &response(input)).expect("one divergence each");
        assert_close(case, &values(score), &table(output).concat());
    });
}

#[test]
fn dependency_bound() {
    for_each_case("rvd_lcb", |case, input, output| {
        let divergences = views(&input["vis_views"]);
        let caution = NonNegative::new(number(&input["kappa"])).expect("a caution");
        let metric = DependencyBound::new(vec![contrast(); divergences.len()], caution).expect("a contrast");
        let score = metric.score(&divergences, &response(input)).expect("one divergence each");
        assert_close(case, &values(score), &table(output).concat());
    });
}
