//! Perception-grounded policy optimization.

use advantage::{Fraction, PerceptionGate, Shaper, Threshold};
use dependency::{BuiltInDivergence, Contrast, Metric, SampledK3, Unknown, View, VisualDependency};

use super::{Recipe, dapo};

/// PGPO: dependency by the sampled k3 against the blind view, and a gate that moves advantage to dependent tokens, over DAPO.
///
/// # Source
/// PGPO, arXiv:2604.01840, equations 1 and 4 to 8 with the best setting of its ablation, a threshold of 0.4 and a boost of 2. Like the
/// paper, no entropy penalty. Its reward, 0.9 for the answer and 0.1 for the form, is a setting of the run:
/// `reward.format_weight = 0.1`.
///
/// # Departures
/// The estimate is clamped as in VPPO; the paper does not say. Groups are admitted by accuracy; the paper lists the overall reward,
/// by which an all-wrong group of good form would pass without teaching anything. Responses without an image bypass the gate.
#[must_use]
pub fn pgpo() -> Recipe {
    Recipe {
        name: "pgpo".to_owned(),
        dependency: Some(Metric::VisualDependency(VisualDependency {
            contrast: against_nothing(),
            unknown: Unknown::Keep,
        })),
        shapers: vec![Shaper::PerceptionGate(PerceptionGate::default())],
        ..dapo()
    }
}

/// PGPO as a development snapshot of its authors has it: the least dependent 40 % of a response's tokens lose, but not all, and the
/// weights are left as they come.
///
/// # Source
/// Known at second hand, from a re-implementation that quotes the snapshot; the snapshot itself is not public. Whether the published
/// results are its or the paper's equations' is not known.
///
/// # Departures
/// As for [`pgpo`].
#[must_use]
pub fn pgpo_dev() -> Recipe {
    let gate = PerceptionGate {
        threshold: Threshold::Quantile(const { Fraction::literal(0.4) }),
        floor: const { Fraction::literal(0.1) },
        conserve_mass: false,
        ..PerceptionGate::default()
    };
    Recipe { name: "pgpo-dev".to_owned(), shapers: vec![Shaper::PerceptionGate(gate)], ..pgpo() }
}

/// The prediction without the image.
pub(super) fn against_nothing() -> Contrast {
    Contrast::new("blind", View::Blind, BuiltInDivergence::SampledK3(SampledK3::default()))
}
