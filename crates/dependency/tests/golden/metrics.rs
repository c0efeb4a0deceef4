//! Recorded scores.

use burn::tensor::{Bool, Tensor};
use dependency::{BuiltInDivergence, Contrast, DependencyMetric, SampledK3, View, VisualDependency};

use crate::cases::{assert_close, for_each_case, table, tensor, values};

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
