//! What a recipe's terms need of a run, known before anything is computed.

use advantage::Shaper;
use dependency::{BuiltInDivergence, Metric};

use crate::TrainError;
use crate::loss::{BuiltInLoss, KlEstimator};
use crate::recipe::{Algorithm, Recipe};

impl Algorithm {
    /// Finds terms that can never be computed.
    ///
    /// # Errors
    /// [`TrainError::Objective`] if a coefficient is not finite, the dual clip is not above 1, a shaper or a perception term has
    /// no contrast to read, a shaper takes logarithms of a divergence that may be -1 or less, or rewards are to be lowered by a
    /// divergence that is not estimated from sampled tokens.
    pub fn check(&self) -> Result<(), TrainError> {
        let (objective, reward_kl) = (&self.objective, self.recipe.reward_kl);
        let contrasts = self.metric.as_deref().map_or(0, |metric| metric.contrasts().len());
        let coefficient = |kl: Option<crate::ReferenceKl>| kl.is_none_or(|kl| kl.coefficient.is_finite());
        let finite = "a finite coefficient";
        let requirements = [
            ("entropy_penalty", finite, objective.entropy_penalty.is_finite()),
            ("entropy_bonus", finite, objective.entropy_bonus.is_finite()),
            ("reference_kl", finite, coefficient(objective.reference_kl)),
            ("reward_kl", finite, coefficient(reward_kl)),
            ("loss.dual", "a number above 1", dual_clip_is_above_one(&self.recipe)),
            (
                "shapers",
                "a dependency metric, which at least one of them reads",
                contrasts > 0 || !self.recipe.shapers.iter().any(Shaper::reads_dependency),
            ),
            (
                "shapers",
                "a divergence above -1, since one of them takes the logarithm of 1 more than it, and not sampled-k1",
                !takes_logarithms_of_signed(&self.recipe),
            ),
            (
                "perception",
                "a dependency metric, whose first contrast it reads",
                objective.perception.is_none() || contrasts > 0,
            ),
            (
                "reward_kl",
                "an estimator that reads the sampled token alone, k1, k2 or k3",
                reward_kl.is_none_or(|kl| kl.estimator != KlEstimator::Full),
            ),
        ];
        match requirements.into_iter().find(|(_, _, met)| !met) {
            Some((term, needs, _)) => Err(TrainError::Objective { term, needs }),
            None => Ok(()),
        }
    }

    /// Whether a reference policy is read at all.
    #[must_use]
    pub fn needs_reference(&self) -> bool {
        self.objective.reference_kl.is_some() || self.recipe.reward_kl.is_some()
    }

    /// Whether the sampled tokens' log-probabilities under the reference policy are read.
    #[must_use]
    pub fn scores_reference(&self) -> bool {
        self.objective.wants_reference_log_probs() || self.recipe.reward_kl.is_some()
    }
}

fn dual_clip_is_above_one(recipe: &Recipe) -> bool {
    match &recipe.loss {
        BuiltInLoss::ClippedSurrogate(surrogate) => surrogate.dual.is_none_or(|dual| dual > 1.0 && dual.is_finite()),
        _ => true,
    }
}

/// The log-ratio of a sampled token is below -1 as often as not, and has no logarithm then.
fn takes_logarithms_of_signed(recipe: &Recipe) -> bool {
    let Some(Metric::VisualDependency(metric)) = &recipe.dependency else { return false };
    let signed = matches!(metric.contrast.divergence, BuiltInDivergence::SampledK1(_));
    signed && recipe.shapers.iter().any(Shaper::takes_logarithm)
}
