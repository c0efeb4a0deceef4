//! The policy term and everything that is minimised besides it.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{ImplicitPerception, ImportanceCorrection, KlEstimator, LossInput, PolicyLoss, Reduction, ReferenceKl};
use crate::TrainError;

/// What is minimised besides the policy-gradient term, and how tokens are averaged.
///
/// A term that is left out costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// How tokens are averaged. The average counts all response tokens, gated or not.
    pub reduction: Reduction,
    /// Coefficient of the mean negative log-probability of the sampled tokens. 0 leaves it out.
    ///
    /// The VPPO paper calls it an entropy penalty; it is a likelihood-raising proxy and not the entropy's gradient.
    #[serde(default)]
    pub entropy_penalty: f64,
    /// What a nat of the policy's mean entropy, over the whole vocabulary, takes off the loss. 0 leaves it out.
    ///
    /// # Source
    /// The entropy bonus of A3C, arXiv:1602.01783, section 4, and PPO, arXiv:1707.06347, equation 9.
    #[serde(default)]
    pub entropy_bonus: f64,
    /// Pull towards a reference policy; `None` leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_kl: Option<ReferenceKl>,
    /// Draws the policy away from what it says without seeing the image well; `None` leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perception: Option<ImplicitPerception>,
    /// Weights of the policy term for tokens that the engine sampled from another distribution; `None` trusts the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<ImportanceCorrection>,
}

/// The objective's value and parts.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// The value to be minimised; carries gradients. Shape `[1]`.
    pub total: Tensor<1>,
    /// Shape `[12]`; 0 for terms that the objective has not. Sums over the rows, so that those of all rows together are, under
    /// the objective's reduction:
    /// surrogate, entropy proxy, entropy, reference KL, perception KL, entropy proxy of the contrast;
    /// and as means over tokens:
    /// clipped high, clipped low, old minus current log-probability, importance weight, its square, share of limited weights.
    pub parts: Tensor<1>,
}

impl Objective {
    /// Evaluates the objective, with `loss` as its policy-gradient term, on some rows.
    ///
    /// # Source
    /// VPPO, arXiv:2510.09285, equation 6 with the token mean of the released `verl/workers/actor/dp_actor.py`; each term names
    /// its own.
    ///
    /// # Errors
    /// [`TrainError::Objective`] if a term reads something that the input has not.
    pub fn evaluate(&self, loss: &dyn PolicyLoss, input: &LossInput) -> Result<LossOutput, TrainError> {
        let input = &input.without_padding();
        let padding = input.response.clone().bool_not();
        let weigh = |x: Tensor<2>, weight: &Tensor<2>| (x.mask_fill(padding.clone(), 0.0) * weight.clone()).sum();
        let average = |x: Tensor<2>| weigh(x, &input.weights.regularizer);
        let share = |x: Tensor<2>| weigh(x.detach(), &input.weights.report);
        let log_probs = input.log_probs.clone();
        let ones = input.gate.ones_like();

        let surrogate = loss.per_token(input);
        let (importance, limited) = match &self.importance {
            Some(correction) => {
                let sampling = given(&input.sampling_log_probs, "importance", "log-probabilities seen at sampling")?;
                let importance = correction.weights(input.old_log_probs.clone(), sampling, &input.response);
                (importance.weight, importance.limited.float())
            }
            None => (ones.clone(), ones.zeros_like()),
        };
        let policy = weigh(surrogate.loss * input.gate.clone() * importance.clone(), &input.weights.policy);
        let proxy = average(log_probs.clone().neg());
        let nothing = policy.zeros_like().detach();
        let mut total = policy.clone();
        if self.entropy_penalty != 0.0 {
            total = total + proxy.clone() * self.entropy_penalty;
        }

        let mut entropy = nothing.clone();
        if self.wants_entropy() {
            entropy = average(given(&input.entropy, "entropy_bonus", "entropies of the current policy")?);
            total = total - entropy.clone() * self.entropy_bonus;
        }

        let mut divergence = nothing.clone();
        if let Some(ReferenceKl { estimator, coefficient }) = self.reference_kl {
            let known = match estimator {
                KlEstimator::Full => &input.reference_divergence,
                _ => &input.reference_log_probs,
            };
            let known = given(known, "reference_kl", "a reference policy")?;
            divergence = average(estimator.sampled(log_probs.clone(), known.clone()).unwrap_or(known));
            total = total + divergence.clone() * coefficient;
        }

        let (mut perception, mut masked) = (nothing.clone(), nothing);
        if let Some(ImplicitPerception { coefficient, masked_entropy }) = self.perception {
            let contrast = given(&input.contrast_log_probs, "perception", "log-probabilities under a contrast")?;
            let imageless = input.visual.clone().bool_not().expand(contrast.dims());
            masked = average(contrast.clone().neg());
            perception = average(ImplicitPerception::divergence(log_probs.clone(), contrast).mask_fill(imageless, 0.0));
            total = total - perception.clone() * coefficient.value() + masked.clone() * masked_entropy.value();
        }

        let reported = [
            surrogate.clipped_high.float(),
            surrogate.clipped_low.float(),
            input.old_log_probs.clone() - log_probs,
            importance.clone(),
            importance.square(),
            limited,
        ];
        let parts = [policy, proxy, entropy, divergence, perception, masked].into_iter().map(Tensor::detach);
        Ok(LossOutput { total, parts: Tensor::cat(parts.chain(reported.map(share)).collect(), 0) })
    }

    /// Whether a term reads the entropy of the current policy's distributions.
    pub(crate) fn wants_entropy(&self) -> bool {
        self.entropy_bonus != 0.0
    }

    /// Whether a term compares the current policy's distributions with the reference policy's.
    pub(crate) fn wants_reference_divergence(&self) -> bool {
        self.reference_kl.is_some_and(|kl| kl.estimator == KlEstimator::Full)
    }

    /// Whether a term reads log-probabilities under the reference policy.
    pub(crate) fn wants_reference_log_probs(&self) -> bool {
        self.reference_kl.is_some_and(|kl| kl.estimator != KlEstimator::Full)
    }
}

fn given(values: &Option<Tensor<2>>, term: &'static str, needs: &'static str) -> Result<Tensor<2>, TrainError> {
    values.clone().ok_or(TrainError::Objective { term, needs })
}
