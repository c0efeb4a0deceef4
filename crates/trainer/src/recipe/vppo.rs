//! Visually-perceptive policy optimization.

use advantage::{Ceiling, Fraction, Shaper, Signal, TokenFilter, TrajectoryShaping};
use dependency::{
    BuiltInDivergence, BuiltInPerturbation, Contrast, Metric, PatchBlackout, SampledK3, VisualDependency,
};

use super::{Recipe, dapo};
use crate::loss::Objective;

/// VPPO as released: dependency by the sampled k3 against a patch blackout, trajectory shaping, token filter and entropy
/// penalty over DAPO.
///
/// # Departures
/// Trajectory shaping takes its extremes and mean over the whole optimizer batch instead of a micro-batch; the blackout is
/// drawn once per prompt instead of once per response; responses without an image bypass both shapers.
#[must_use]
pub fn vppo() -> Recipe {
    let dapo = dapo();
    let blackout = BuiltInPerturbation::PatchBlackout(PatchBlackout::default());
    let contrast = Contrast::new("blackout", blackout, BuiltInDivergence::SampledK3(SampledK3::default()));
    Recipe {
        name: "vppo".to_owned(),
        dependency: Some(Metric::VisualDependency(VisualDependency { contrast })),
        shapers: vec![
            Shaper::TrajectoryShaping(TrajectoryShaping {
                floor: const { Fraction::literal(0.9) },
                ceiling: Ceiling::MeanOne,
            }),
            Shaper::TokenFilter(TokenFilter { keep: const { Fraction::literal(0.4) }, by: Signal::Dependency }),
        ],
        objective: Objective { entropy_penalty: 0.06, ..dapo.objective },
        ..dapo
    }
}
