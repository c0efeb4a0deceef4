//! Recipes that compare responses to the same prompt and give every token of a response the same credit.

use advantage::{Estimator, Grpo};

use super::{AccuracyBand, Recipe};
use crate::loss::{BuiltInLoss, ClipRange, ClippedSurrogate, Objective, Reduction};

/// Group-normalized rewards and a symmetric clip.
///
/// # Source
/// Clip bounds and the dual clip of 3 are the released code's defaults (EasyR1), which the papers' GRPO baselines use.
#[must_use]
pub fn grpo() -> Recipe {
    Recipe {
        name: "grpo".to_owned(),
        caveat: None,
        estimator: Estimator::Grpo(Grpo::default()),
        dependency: None,
        shapers: Vec::new(),
        loss: BuiltInLoss::ClippedSurrogate(ClippedSurrogate { clip: ClipRange::known(0.2, 0.2), dual: Some(3.0) }),
        objective: Objective { reduction: Reduction::SequenceMean, ..Objective::default() },
        accuracy_band: None,
        reward_kl: None,
        overlong_filter: false,
    }
}

/// GRPO with every token counted alike, a wider upper clip and groups of mixed outcome only.
#[must_use]
pub fn dapo() -> Recipe {
    let grpo = grpo();
    Recipe {
        name: "dapo".to_owned(),
        loss: BuiltInLoss::ClippedSurrogate(ClippedSurrogate { clip: ClipRange::known(0.2, 0.28), dual: Some(3.0) }),
        objective: Objective { reduction: Reduction::TokenMean, ..grpo.objective },
        accuracy_band: Some(AccuracyBand { low: 0.01, high: 0.99 }),
        ..grpo
    }
}
