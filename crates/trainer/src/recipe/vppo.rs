//! Visually-perceptive policy optimization.

use advantage::{AtLeastOne, Ceiling, Shaper, TokenFilter, TrajectoryShaping};
use dependency::{
    BuiltInDivergence, BuiltInPerturbation, Contrast, ForwardKl, Metric, PatchBlackout, SampledK3, Unknown,
    VisualDependency,
};

use super::{Recipe, dapo};
use crate::loss::{BuiltInLoss, ClipRange, ClippedSurrogate, Objective, Reduction};

/// VPPO as released: dependency by the sampled k3 against a patch blackout, trajectory shaping, token filter and entropy
/// penalty over DAPO.
///
/// # Source
/// VPPO, arXiv:2510.09285, and its released configuration for 7B models.
///
/// # Departures
/// Trajectory shaping takes its extremes and mean over the whole optimizer batch instead of a micro-batch; the blackout is
/// drawn once per prompt instead of once per response; responses without an image bypass both shapers.
#[must_use]
pub fn vppo() -> Recipe {
    let dapo = dapo();
    let divergence = BuiltInDivergence::SampledK3(SampledK3::default());
    Recipe {
        name: "vppo".to_owned(),
        dependency: Some(against_blackout(divergence)),
        shapers: vec![
            Shaper::TrajectoryShaping(TrajectoryShaping::default()),
            Shaper::TokenFilter(TokenFilter::default()),
        ],
        objective: Objective { entropy_penalty: 0.06, ..dapo.objective },
        ..dapo
    }
}

/// VPPO as its paper prints it, where the released code does something else.
///
/// The dependency is the divergence over the whole vocabulary (equation 3) instead of an estimate from the sampled token.
/// Trajectory factors lie between two fixed ends (equation 5): 0.9 and 1.1, one of the two pairs of its table 3, whose results are
/// equal. The objective (equation 6) averages over the tokens of a response and then over responses, has no dual clip and no entropy
/// penalty; the latter is in table 10 only.
///
/// # Source
/// VPPO, arXiv:2510.09285, equations 3, 5 and 6.
///
/// # Departures
/// The extremes of equation 5 are taken over the whole optimizer batch; the paper says "batch". Groups of mixed outcome only and
/// the wider upper clip are DAPO's, which the paper builds on.
#[must_use]
pub fn vppo_paper() -> Recipe {
    let vppo = vppo();
    let shaping = TrajectoryShaping {
        ceiling: Ceiling::Fixed(const { AtLeastOne::literal(1.1) }),
        ..TrajectoryShaping::default()
    };
    Recipe {
        name: "vppo-paper".to_owned(),
        dependency: Some(against_blackout(BuiltInDivergence::ForwardKl(ForwardKl {}))),
        shapers: vec![Shaper::TrajectoryShaping(shaping), Shaper::TokenFilter(TokenFilter::default())],
        loss: BuiltInLoss::ClippedSurrogate(ClippedSurrogate { clip: ClipRange::known(0.2, 0.28), dual: None }),
        objective: Objective { reduction: Reduction::SequenceMean, entropy_penalty: 0.0, ..vppo.objective },
        ..vppo
    }
}

/// Dependency on an image half of whose 14-pixel squares are blackened.
fn against_blackout(divergence: BuiltInDivergence) -> Metric {
    let blackout = BuiltInPerturbation::PatchBlackout(PatchBlackout::default());
    let contrast = Contrast::new("blackout", blackout, divergence);
    Metric::VisualDependency(VisualDependency { contrast, unknown: Unknown::Keep })
}
