//! What a recipe's terms need of a run, known before anything is computed.

use advantage::{Estimator, GroupOfOne, PerceptualReshaping, Schedule, Shaper};
use dependency::{BuiltInDivergence, Metric};

use crate::TrainError;
use crate::config::TrainConfig;
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

    /// As [`Self::check`], and finds settings under which a run with these terms could never do what it was asked for.
    ///
    /// # Errors
    /// As [`Self::check`]. [`TrainError::Config`] if there are more updates than problems in a step, or one response to each
    /// problem is all that a recipe is given which compares responses, or log-probabilities seen at sampling are to be reused
    /// that are not the policy's.
    pub fn check_for(&self, config: &TrainConfig) -> Result<(), TrainError> {
        self.check()?;
        self.check_reuse(config)?;
        let wrong = |place: &str, reason| Err(TrainError::Config { place: place.to_owned(), reason });
        let (updates, prompts) = (config.update.updates_per_step, config.rollout.prompts_per_step);
        if updates > prompts {
            let reason = format!(
                "{updates} is more than the {prompts} groups of rollout.prompts_per_step, of which each update takes its own \
                 share; lower it to {prompts}, or raise rollout.prompts_per_step to {updates}"
            );
            return wrong("update.updates_per_step", reason);
        }
        if config.rollout.responses == 1 && self.recipe.compares_responses() {
            let reason = format!(
                "1 leaves recipe {} nothing to compare a response with, so that it would never learn; set it to 2 or more, or \
                 take a recipe that compares over the batch, such as reinforce-pp",
                self.recipe
            );
            return wrong("rollout.responses", reason);
        }
        Ok(())
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

impl Recipe {
    /// Whether a single response to a problem can teach it nothing.
    #[must_use]
    pub fn compares_responses(&self) -> bool {
        // Of one response either none or all are right, which lies strictly between no such bounds.
        let admits_one = self.accuracy_band.is_none_or(|band| band.low < 0.0 || band.high > 1.0);
        let alone = match self.estimator {
            Estimator::Grpo(estimator) => estimator.group_of_one,
            Estimator::DrGrpo(estimator) => estimator.group_of_one,
            Estimator::Rloo(estimator) => estimator.group_of_one,
            Estimator::ReinforcePlusPlusBaseline(estimator) => estimator.group_of_one,
            Estimator::PassAtK(estimator) => estimator.group_of_one,
            Estimator::ReinforcePlusPlus(_) => GroupOfOne::Raw,
        };
        !admits_one || alone != GroupOfOne::Raw
    }

    /// Whether a component reads how far the run has come, so that the same step is another one in a longer run.
    #[must_use]
    pub fn reads_progress(&self) -> bool {
        let rises = |shaper: &Shaper| {
            matches!(shaper, Shaper::PerceptualReshaping(PerceptualReshaping { schedule: Schedule::Rising, .. }))
        };
        self.shapers.iter().any(rises)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{dapo, dr_grpo, grpo, reinforce_pp, rloo, vppo};

    fn config(overrides: &[&str]) -> TrainConfig {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let least = TrainConfig::parse("model = 'm'\noutput = 'o'\n[data]\ntrain = 't.jsonl'", "test").expect("valid");
        least.with_overrides(&overrides).expect("valid")
    }

    #[test]
    fn one_response_is_refused_where_responses_are_compared() {
        let single = config(&["rollout.responses=1"]);
        for recipe in [grpo(), dr_grpo(), rloo(), dapo(), vppo()] {
            let algorithm = recipe.build();
            algorithm.check_for(&config(&["rollout.responses=2"])).expect("two can be compared");
            let error = algorithm.check_for(&single).expect_err("nothing to compare").to_string();
            let named = error.contains("rollout.responses: 1") && error.contains(&algorithm.recipe.name);
            assert!(named && error.contains("reinforce-pp"), "{error}");
        }
        reinforce_pp().build().check_for(&single).expect("it compares over the batch");
        let mut raw = grpo();
        raw.estimator =
            Estimator::Grpo(advantage::Grpo { group_of_one: GroupOfOne::Raw, ..advantage::Grpo::default() });
        raw.build().check_for(&single).expect("the reward itself counts");
    }

    #[test]
    fn more_updates_than_problems_are_refused() {
        let algorithm = vppo().build();
        let with =
            |updates: usize| config(&["rollout.prompts_per_step=4", &format!("update.updates_per_step={updates}")]);
        algorithm.check_for(&with(4)).expect("one problem each");
        let error = algorithm.check_for(&with(5)).expect_err("too many").to_string();
        assert!(error.contains("update.updates_per_step: 5") && error.contains("the 4 groups"), "{error}");
    }
}
