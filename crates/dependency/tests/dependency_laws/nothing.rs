//! A batch without a token has a score without a token.

use burn::tensor::{Bool, Tensor};
use dependency::{
    BuiltInDivergence, Combination, Contrast, DependencyBound, DependencyMetric, Metric, NonNegative, Reduce,
    RobustVisualDependency, SampledK3, Unknown, View, VisualDependency,
};

use crate::device::device;

fn contrast(name: &str) -> Contrast {
    Contrast::new(name, View::Blind, BuiltInDivergence::SampledK3(SampledK3::default()))
}

#[test]
fn no_token_no_score() {
    let visual = VisualDependency { contrast: contrast("a"), unknown: Unknown::Zero };
    let robust = |over| {
        let metric = RobustVisualDependency::new(contrast("a"), vec![contrast("b")], Combination::default(), over);
        Metric::RobustVisualDependency(metric.expect("a perturbation"))
    };
    let bound = DependencyBound::new(vec![contrast("a"), contrast("b")], NonNegative::literal(1.0));
    for metric in [
        Metric::VisualDependency(visual),
        robust(Reduce::Mean),
        robust(Reduce::Max),
        Metric::DependencyBound(bound.expect("contrasts")),
    ] {
        for shape in [[0, 1], [0, 7], [3, 0], [0, 0]] {
            let divergences = vec![Tensor::<2>::zeros(shape, &device()); metric.contrasts().len()];
            let response: Tensor<2, Bool> = Tensor::<2>::zeros(shape, &device()).greater_scalar(0.0);
            let score = metric.score(&divergences, &response).expect("fits");
            assert_eq!(score.dims(), shape, "{metric:?}");
        }
    }
}
