//! Perception-aware policy optimization.

use advantage::NonNegative;
use dependency::{
    BuiltInDivergence, BuiltInPerturbation, Contrast, Fraction, Metric, PatchBlackout, SampledK3, Unknown,
    VisualDependency,
};

use super::{Recipe, dapo};
use crate::loss::{ImplicitPerception, Objective};

/// PAPO over DAPO (PAPO-D): the policy is driven away from what it says of a blackened image, and held together by two entropy
/// terms. Tokens are not weighed: the credit is DAPO's.
///
/// # Source
/// PAPO, arXiv:2507.06448, with the released settings of PAPO-D for 3B and 7B models: gamma 0.01, both eta 0.03, squares of 14 pixels
/// black with probability 0.6 on the image before it is resized, one draw per prompt. Its reward, 0.9 for the answer and 0.1 for the
/// form, is a setting of the run: `reward.format_weight = 0.1`.
///
/// # Departures
/// None from the released code that are known; where that departs from the paper, [`ImplicitPerception`] says so.
#[must_use]
pub fn papo() -> Recipe {
    let dapo = dapo();
    let probability = const { Fraction::literal(0.6) };
    let blackout = BuiltInPerturbation::PatchBlackout(PatchBlackout { probability, ..PatchBlackout::default() });
    let contrast = Contrast::new("blackout", blackout, BuiltInDivergence::SampledK3(SampledK3::default()));
    let perception = ImplicitPerception {
        coefficient: const { NonNegative::literal(0.01) },
        masked_entropy: const { NonNegative::literal(0.03) },
    };
    Recipe {
        name: "papo".to_owned(),
        dependency: Some(Metric::VisualDependency(VisualDependency { contrast, unknown: Unknown::Keep })),
        objective: Objective { entropy_penalty: 0.03, perception: Some(perception), ..dapo.objective },
        ..dapo
    }
}
