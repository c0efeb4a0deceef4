//! Recipes of the REINFORCE family: other baselines, and a reference policy in the reward.

use advantage::{Estimator, ReinforcePlusPlus, Rloo};

use super::{Recipe, grpo};
use crate::loss::{KlEstimator, Objective, Reduction, ReferenceKl};

/// GRPO with the mean reward of the other responses as the baseline, not normalized.
///
/// # Source
/// Back to Basics, arXiv:2402.14740, the estimator of section 2.2.
///
/// # Departures
/// The paper takes a whole response as one action, does one update per rollout without a clip, and takes a reference KL off the
/// reward. Here, as in EasyR1 and verl, the estimator alone is exchanged and the rest is GRPO's.
#[must_use]
pub fn rloo() -> Recipe {
    Recipe { name: "rloo".to_owned(), estimator: Estimator::Rloo(Rloo::default()), ..grpo() }
}

/// Rewards to come, less the divergence from a reference policy at each token, normalized over the whole batch.
///
/// Needs no groups: one response to a prompt is enough.
///
/// # Source
/// REINFORCE++, arXiv:2501.03262. The k1 estimate and its coefficient of 0.01 are the defaults of OpenRLHF, the code of its
/// authors, and 0.01 is also the coefficient of EasyR1's example configuration.
///
/// # Departures
/// The dual clip of GRPO stays, as in EasyR1.
#[must_use]
pub fn reinforce_pp() -> Recipe {
    let grpo = grpo();
    Recipe {
        name: "reinforce-pp".to_owned(),
        estimator: Estimator::ReinforcePlusPlus(ReinforcePlusPlus::default()),
        objective: Objective { reduction: Reduction::TokenMean, ..grpo.objective },
        reward_kl: Some(ReferenceKl { estimator: KlEstimator::K1, coefficient: 0.01 }),
        ..grpo
    }
}
