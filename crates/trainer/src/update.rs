//! One optimizer step on scored groups.

use advantage::Credit;
use burn::module::Module as _;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use vlm_model::QwenVl;

use crate::TrainError;
use crate::collect::Group;
use crate::gradients::Gradients;
use crate::loss::LossInput;
use crate::micro_batch::{Piece, micro_batches};
use crate::ragged::Ragged;
use crate::recipe::Algorithm;
use crate::score::{pass, predicting_states, sampled_tokens};
use crate::scored::Scored;
use crate::vocabulary::Vocabulary;

/// What an optimizer step did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpdateReport {
    /// The surrogate's value.
    pub policy_loss: f64,
    /// Mean negative log-probability of the sampled tokens.
    pub entropy_proxy: f64,
    /// Mean reference KL.
    pub reference_kl: f64,
    /// Share of tokens whose ratio was clipped.
    pub clipped_high: f64,
    /// Share of tokens the dual clip acted on.
    pub clipped_low: f64,
    /// Mean of old minus current log-probability.
    pub drift: f64,
    /// Gradient norm before clipping.
    pub gradient_norm: f64,
    /// Whether the gradient was not finite and the step was left out.
    pub skipped: bool,
}

/// How the policy is changed.
pub struct Updater {
    /// The optimizer and its moments.
    pub optimizer: ModuleOptimizer,
    /// Limit of the gradient's global norm.
    pub max_gradient_norm: f64,
    /// Tokens of a forward and backward pass.
    pub tokens_per_micro_batch: usize,
    /// Whether image features are constants.
    pub freeze_vision: bool,
}

impl Updater {
    /// Minimises the objective by one step. The result does not depend on how the batch is cut into micro-batches.
    ///
    /// A gradient that is not finite changes nothing and is reported.
    ///
    /// # Errors
    /// If prompts and image features do not fit together.
    pub fn step(
        &mut self,
        policy: QwenVl,
        batch: &Scored,
        credit: &Credit,
        algorithm: &Algorithm,
        vocabulary: &Vocabulary,
        learning_rate: f64,
    ) -> Result<(QwenVl, UpdateReport), TrainError> {
        let (gradients, report) = self.gradients(&policy, batch, credit, algorithm, vocabulary)?;
        let clipped = gradients.clip(&policy, self.max_gradient_norm);
        let skipped = !clipped.norm.is_finite();
        let policy = if skipped { policy } else { self.optimizer.step(learning_rate, policy, clipped.gradient) };
        Ok((policy, UpdateReport { gradient_norm: clipped.norm, skipped, ..report }))
    }

    /// The objective's gradient, summed over micro-batches and not yet clipped, and a report without its norm.
    ///
    /// # Errors
    /// If prompts and image features do not fit together.
    pub fn gradients(
        &self,
        policy: &QwenVl,
        batch: &Scored,
        credit: &Credit,
        algorithm: &Algorithm,
        vocabulary: &Vocabulary,
    ) -> Result<(Gradients, UpdateReport), TrainError> {
        let objective = &algorithm.objective;
        let weights = objective.reduction.weights(batch.rows.lengths());
        let mut gradients = Gradients::default();
        let mut parts = [0.0; 6];
        let mut row = 0;
        for pieces in micro_batches(&batch.lengths(), self.tokens_per_micro_batch) {
            let rows = pieces.iter().map(|piece| piece.responses.len()).sum();
            let input = batch.loss_input(row, rows, credit, &weights);
            let vision = (!self.freeze_vision).then_some(policy);
            let pass = Pass { policy, vocabulary, groups: &batch.groups, pieces: &pieces, vision };
            let share = pass.backward(&mut gradients, |log_probs, rows| {
                let output =
                    objective.evaluate(&*algorithm.loss, &LossInput { log_probs: rows.pad(log_probs), ..input });
                (output.total, output.parts)
            })?;
            parts.iter_mut().zip(share).for_each(|(sum, part)| *sum += part);
            row += rows;
        }
        let [policy_loss, entropy_proxy, reference_kl, clipped_high, clipped_low, drift] = parts;
        let report = UpdateReport {
            policy_loss,
            entropy_proxy,
            reference_kl,
            clipped_high,
            clipped_low,
            drift,
            ..UpdateReport::default()
        };
        Ok((gradients, report))
    }
}

/// A forward and backward pass of some pieces.
pub(crate) struct Pass<'a> {
    pub(crate) policy: &'a QwenVl,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) groups: &'a [Group],
    pub(crate) pieces: &'a [Piece],
    /// Recomputes image features, so that gradients reach the vision tower; `None` takes those of the rollout.
    pub(crate) vision: Option<&'a QwenVl>,
}

impl Pass<'_> {
    /// Adds the pass's gradient and returns the objective's parts.
    ///
    /// The trunk's graph ends at the hidden states. There the objective's gradient is formed on the log-probabilities
    /// alone, carried through the vocabulary in chunks, and handed on to the trunk.
    pub(crate) fn backward(
        &self,
        gradients: &mut Gradients,
        objective: impl FnOnce(Tensor<1>, &Ragged) -> (Tensor<1>, Tensor<1>),
    ) -> Result<Vec<f64>, TrainError> {
        let batch = pass(self.groups, self.pieces, self.vision)?;
        let rows = Ragged::new(batch.groups.iter().flat_map(|group| group.responses.iter().map(Vec::len)).collect());
        if rows.tokens() == 0 {
            return Ok(Vec::new());
        }
        let frozen = self.policy.valid();
        let sampled = sampled_tokens(&batch, &frozen);
        let hidden = predicting_states(self.policy, &batch);
        let states = hidden.clone().inner();

        let log_probs = self.vocabulary.score(&frozen, &states, &sampled).log_probs.autodiff().require_grad();
        let (total, parts) = objective(log_probs.clone(), &rows);
        let mut found = total.backward();
        if let Some(upstream) = log_probs.grad_remove(&mut found) {
            let upstream = self.vocabulary.backward(self.policy, &states, &sampled, &upstream, gradients);
            let trunk = (hidden * upstream.autodiff()).sum().backward();
            gradients.add(self.policy, GradientsParams::from_grads(trunk, self.policy));
        }
        Ok(host(parts))
    }
}

fn host(values: Tensor<1>) -> Vec<f64> {
    values.into_data().iter::<f64>().collect()
}
