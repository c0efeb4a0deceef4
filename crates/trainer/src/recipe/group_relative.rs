//! Recipes that compare responses to the same prompt and give every token of a response the same credit.

use advantage::{DrGrpo, Estimator, Grpo};

use super::{AccuracyBand, Recipe};
use crate::loss::{BuiltInLoss, ClipRange, ClippedSurrogate, Objective, Reduction};

/// Group-normalized rewards and a symmetric clip.
///
/// # Source
/// DeepSeekMath, arXiv:2402.03300. Clip bounds and the dual clip of 3 are the released code's defaults (EasyR1), which the
/// papers' GRPO baselines use.
///
/// # Departures
/// The paper pulls towards a reference policy by the k3 estimate with a coefficient of 0.04; the baselines of the papers here do
/// without, and so does this. [`Objective::reference_kl`] brings it back.
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

/// GRPO without its two divisions: by the deviation of a group's rewards and by the length of a response.
///
/// # Source
/// Understanding R1-Zero-Like Training, arXiv:2503.20783, section 3.2.
///
/// # Departures
/// The dual clip of GRPO stays.
#[must_use]
pub fn dr_grpo() -> Recipe {
    let grpo = grpo();
    Recipe {
        name: "dr-grpo".to_owned(),
        estimator: Estimator::DrGrpo(DrGrpo::default()),
        objective: Objective { reduction: Reduction::DrGrpo { max_length: None }, ..grpo.objective },
        ..grpo
    }
}

/// GRPO with every token counted alike, a wider upper clip and groups of mixed outcome only.
///
/// # Source
/// DAPO, arXiv:2503.14476, sections 3.1 to 3.3; the bounds of the band are those of the released VPPO configuration.
///
/// # Departures
/// The dual clip of GRPO stays, as in the code of VPPO and PAPO. The penalty for long responses (section 3.4) is a setting of the
/// run, `rollout.overlong_penalty`, and not of the recipe, since it depends on the run's length limit.
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
