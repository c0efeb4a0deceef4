//! What a loss reads.

use burn::tensor::{Bool, Tensor};

use super::Weights;

/// What a loss reads, for some rows of an optimizer batch. Log-probabilities are those of the sampled tokens, in nats.
///
/// A token whose log-probability under the sampling policy is −∞ counts as one whose ratio is beyond every clip. The current
/// log-probabilities must be finite on tokens.
///
/// # Shapes
/// All `[responses, tokens]` if not said otherwise; what stands in the padding is never read, and is 0 when a
/// [`super::PolicyLoss`] sees it.
#[derive(Clone, Debug)]
pub struct LossInput {
    /// Under the current policy; carries gradients.
    pub log_probs: Tensor<2>,
    /// Under the policy that sampled, recomputed.
    pub old_log_probs: Tensor<2>,
    /// As the engine saw them at sampling, if the objective corrects for the difference.
    pub sampling_log_probs: Option<Tensor<2>>,
    /// Under the reference policy, if the objective has a term estimated from them.
    pub reference_log_probs: Option<Tensor<2>>,
    /// Under the policy that sampled and the recipe's first contrast, if the objective has a term for it.
    pub contrast_log_probs: Option<Tensor<2>>,
    /// Entropy of the current policy's distributions, nats, if the objective has a term for it; carries gradients.
    pub entropy: Option<Tensor<2>>,
    /// Divergence of the current policy's distributions from the reference policy's, nats, if the objective has a term for it;
    /// carries gradients.
    pub reference_divergence: Option<Tensor<2>>,
    /// Advantage of each token ("how loud").
    pub advantage: Tensor<2>,
    /// Share in [0, 1] with which each token takes part in the policy gradient ("who speaks").
    pub gate: Tensor<2>,
    /// True where a token is.
    pub response: Tensor<2, Bool>,
    /// True for responses to a prompt with an image, `[responses, 1]`.
    pub visual: Tensor<2, Bool>,
    /// Weights of the batch's reduction.
    pub weights: Weights,
}

impl LossInput {
    /// `count` rows from `first` on, of at most `longest` tokens.
    pub(crate) fn rows(&self, first: usize, count: usize, longest: usize) -> Self {
        let column = |x: &Tensor<2>| x.clone().narrow(0, first, count);
        let cut = |x: &Tensor<2>| column(x).narrow(1, 0, longest);
        let Weights { policy, regularizer, report } = &self.weights;
        Self {
            log_probs: cut(&self.log_probs),
            old_log_probs: cut(&self.old_log_probs),
            sampling_log_probs: self.sampling_log_probs.as_ref().map(cut),
            reference_log_probs: self.reference_log_probs.as_ref().map(cut),
            contrast_log_probs: self.contrast_log_probs.as_ref().map(cut),
            entropy: self.entropy.as_ref().map(cut),
            reference_divergence: self.reference_divergence.as_ref().map(cut),
            advantage: cut(&self.advantage),
            gate: cut(&self.gate),
            response: self.response.clone().narrow(0, first, count).narrow(1, 0, longest),
            visual: self.visual.clone().narrow(0, first, count),
            weights: Weights { policy: column(policy), regularizer: column(regularizer), report: column(report) },
        }
    }

    /// The same with 0 in the padding.
    pub(super) fn without_padding(&self) -> Self {
        let padding = self.response.clone().bool_not();
        let clean = |x: &Tensor<2>| x.clone().mask_fill(padding.clone(), 0.0);
        Self {
            log_probs: clean(&self.log_probs),
            old_log_probs: clean(&self.old_log_probs),
            sampling_log_probs: self.sampling_log_probs.as_ref().map(clean),
            reference_log_probs: self.reference_log_probs.as_ref().map(clean),
            contrast_log_probs: self.contrast_log_probs.as_ref().map(clean),
            entropy: self.entropy.as_ref().map(clean),
            reference_divergence: self.reference_divergence.as_ref().map(clean),
            advantage: clean(&self.advantage),
            gate: clean(&self.gate),
            ..self.clone()
        }
    }
}
