//! Old log-probabilities taken from sampling, where that is allowed, and the watch over how far off they are.
//!
//! The engine samples from the policy that is updated next, and notes how likely it found each token. In exact arithmetic
//! computing that again would give the same. Decoding and prefill round differently, and a device with half precision more so;
//! therefore the clean pass of scoring is made unless a run says that it need not be. Then the update's own forward pass tells
//! what is missing, the entropies among it, and measures the gap. A gap above the bound ends it.
//!
//! # Source
//! TRL takes the current log-probabilities for the old ones where the policy has not moved (`num_iterations = 1`); verl's
//! `rollout_correction.bypass_mode` takes those of the rollout, as here.

use advantage::Shaper;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::recipe::Algorithm;
use crate::report::StepReport;
use crate::score::reads_distributions;
use crate::step::Trainer;

impl Trainer {
    /// Whether the next step takes the old log-probabilities from sampling.
    ///
    /// It does if `update.reuse_sampling_log_probs` says so, nothing in the recipe reads whole clean distributions, and no
    /// gap of an earlier step was above `update.max_sampling_gap`.
    #[must_use]
    pub fn reuses_sampling(&self) -> bool {
        let update = &self.config.update;
        update.reuse_sampling_log_probs
            && !self.algorithm.needs_clean_pass()
            && self.standing.sampling_gap <= update.max_sampling_gap
    }

    /// Notes how far the log-probabilities of a step that took them from sampling were off.
    pub(crate) fn watch_gap(&mut self, report: &StepReport) {
        let (gap, bound) = (report.gap_mean, self.config.update.max_sampling_gap);
        // A gap that is not a number counts as larger than any.
        let within = gap <= bound;
        self.standing.sampling_gap = if gap.is_nan() { f64::MAX } else { self.standing.sampling_gap.max(gap) };
        if !within {
            tracing::warn!(
                "step {}: log-probabilities seen at sampling are {gap:.2e} nats off on average, more than \
                 update.max_sampling_gap ({bound:.2e}); from now on they are computed again",
                report.step
            );
        }
    }
}

impl Algorithm {
    /// Whether a component reads more of the clean predictions than the sampled tokens' log-probabilities.
    pub(crate) fn needs_clean_pass(&self) -> bool {
        self.metric.as_deref().is_some_and(reads_distributions) || self.recipe.shapers.iter().any(Shaper::reads_entropy)
    }

    /// Finds settings under which log-probabilities seen at sampling are not the old ones.
    ///
    /// # Errors
    /// [`TrainError::Config`] if they are to be reused though the sampled distribution is not the scored one, the policy moves
    /// within a step, or the objective corrects for the difference.
    pub(crate) fn check_reuse(&self, config: &TrainConfig) -> Result<(), TrainError> {
        let (update, sampling) = (&config.update, &config.rollout.sampling);
        if !update.reuse_sampling_log_probs {
            return Ok(());
        }
        let truncated = |key: &str, value: &dyn std::fmt::Display, whole: &str| {
            format!(
                "true, but rollout.sampling.{key} is {value}: log-probabilities seen at sampling are those of a truncated \
                 distribution and not the policy's; set rollout.sampling.{key} to {whole}, or this to false"
            )
        };
        let reason = if sampling.top_p < 1.0 {
            truncated("top_p", &sampling.top_p, "1")
        } else if sampling.top_k > 0 {
            truncated("top_k", &sampling.top_k, "0")
        } else if sampling.temperature == 0.0 {
            "true, but rollout.sampling.temperature is 0: nothing is sampled; set a temperature, or this to false"
                .to_owned()
        } else if update.updates_per_step > 1 {
            format!(
                "true, but update.updates_per_step is {}: after the first update the policy is not the one that sampled; set \
                 update.updates_per_step to 1, or this to false",
                update.updates_per_step
            )
        } else if self.objective.importance.is_some() {
            "true, but the recipe's objective corrects for the difference between log-probabilities seen at sampling and those \
             computed again, which then is never known; leave its importance out, or set this to false"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(TrainError::Config { place: "update.reuse_sampling_log_probs".to_owned(), reason })
    }
}

#[cfg(test)]
mod tests {
    use advantage::{Signal, TokenFilter};

    use super::*;
    use crate::loss::{ImportanceCorrection, TruncatedImportance};
    use crate::recipe::{Recipe, grpo, papo, pgpo, prpo, vppo, vppo_paper};

    fn config(overrides: &[&str]) -> TrainConfig {
        let always = ["update.reuse_sampling_log_probs=true", "rollout.sampling.top_p=1.0"];
        let overrides: Vec<String> = always.iter().chain(overrides).map(|text| (*text).to_owned()).collect();
        let least = TrainConfig::parse("model = 'm'\noutput = 'o'\n[data]\ntrain = 't.jsonl'", "test").expect("valid");
        least.with_overrides(&overrides).expect("valid")
    }

    #[test]
    fn other_distributions_are_refused() {
        let algorithm = vppo().build();
        algorithm.check_for(&config(&["rollout.sampling.temperature=0.7"])).expect("temperature is scored too");
        for (setting, named) in [
            ("rollout.sampling.top_p=0.99", "top_p is 0.99"),
            ("rollout.sampling.top_k=50", "top_k is 50"),
            ("rollout.sampling.temperature=0.0", "temperature is 0"),
            ("update.updates_per_step=2", "updates_per_step is 2"),
        ] {
            let error = algorithm.check_for(&config(&[setting])).expect_err(setting).to_string();
            assert!(error.contains("update.reuse_sampling_log_probs: true") && error.contains(named), "{error}");
            algorithm
                .check_for(&config(&[setting, "update.reuse_sampling_log_probs=false"]))
                .expect("nothing is reused");
        }
        let mut corrected = vppo();
        corrected.objective.importance = Some(ImportanceCorrection::Truncated(TruncatedImportance::default()));
        let error = corrected.build().check_for(&config(&[])).expect_err("nothing to correct").to_string();
        assert!(error.contains("importance"), "{error}");
    }

    #[test]
    fn what_reads_the_clean_predictions_needs_them() {
        let filter = |by| Shaper::TokenFilter(TokenFilter { by, ..TokenFilter::default() });
        let filtered = |by| Recipe { shapers: vec![filter(by)], ..vppo() };
        for (recipe, needs) in [
            (grpo(), false),
            (vppo(), false),
            (pgpo(), false),
            (prpo(), false),
            (papo(), false),
            (vppo_paper(), true),
            (filtered(Signal::Dependency), false),
            (filtered(Signal::Entropy), true),
            (filtered(Signal::Either), true),
        ] {
            let name = recipe.name.clone();
            assert_eq!(recipe.build().needs_clean_pass(), needs, "{name}");
        }
    }
}
