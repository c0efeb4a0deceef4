//! Which values a configuration may have, as far as their types do not say.

use rollout::RolloutError;

use super::TrainConfig;
use super::draft::{Fault, expected};

impl TrainConfig {
    /// Finds the first value out of range.
    pub(super) fn validate(&self) -> Result<(), Fault> {
        let (rollout, update, schedule) = (&self.rollout, &self.update, &self.schedule);
        let at_least_one = [
            ("data.max_prompt_tokens", self.data.max_prompt_tokens),
            ("rollout.prompts_per_step", rollout.prompts_per_step),
            ("rollout.responses", rollout.responses),
            ("rollout.max_rounds", rollout.max_rounds),
            ("rollout.max_rows", rollout.max_rows),
            ("update.updates_per_step", update.updates_per_step),
            ("update.tokens_per_micro_batch", update.tokens_per_micro_batch),
            ("update.vocabulary_chunk", update.vocabulary_chunk),
            ("update.max_skipped_in_a_row", update.max_skipped_in_a_row),
            ("schedule.steps", schedule.steps),
            ("schedule.save_every", schedule.save_every),
            ("schedule.keep", schedule.keep),
            ("schedule.validation_samples", schedule.validation_samples),
        ];
        if let Some((key, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(Fault::new(&[key], format!("{key} is 0; use at least 1")));
        }
        let is_share = |value: f32| (0.0..1.0).contains(&value);
        let ranges = [
            (
                "update.learning_rate",
                update.learning_rate.to_string(),
                update.learning_rate >= 0.0 && update.learning_rate.is_finite(),
            ),
            (
                "update.weight_decay",
                update.weight_decay.to_string(),
                update.weight_decay >= 0.0 && update.weight_decay.is_finite(),
            ),
            ("update.beta_1", update.beta_1.to_string(), is_share(update.beta_1)),
            ("update.beta_2", update.beta_2.to_string(), is_share(update.beta_2)),
            ("update.epsilon", update.epsilon.to_string(), update.epsilon > 0.0 && update.epsilon.is_finite()),
            (
                "update.max_sampling_gap",
                update.max_sampling_gap.to_string(),
                update.max_sampling_gap >= 0.0 && update.max_sampling_gap.is_finite(),
            ),
            (
                "update.activation_gib",
                update.activation_gib.to_string(),
                update.activation_gib >= 0.0 && update.activation_gib.is_finite(),
            ),
            ("update.max_gradient_norm", update.max_gradient_norm.to_string(), update.max_gradient_norm > 0.0),
        ];
        if let Some((key, value, _)) = ranges.iter().find(|(_, _, holds)| !holds) {
            return Err(Fault::new(&[key], format!("{key} is {value}{}", expected(key))));
        }
        let limits = self.data.validate();
        limits.map_err(|reason| Fault::new(&["data.min_pixels", "data.max_pixels"], reason))?;
        rollout.sampling.validate().map_err(|error| {
            let key = match &error {
                RolloutError::Sampling { name, .. } => format!("rollout.sampling.{name}"),
                _ => "rollout.sampling".to_owned(),
            };
            Fault::new(&[&key], format!("{key}: {error}"))
        })
    }
}
