//! One optimizer step on scored groups.

use advantage::Credit;
use burn::module::Module as _;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Int, Tensor};
use vlm_model::image_input::ImagePatches;
use vlm_model::{KeptFeatures, KeptHidden, Precision, QwenVl, TokenBatch};

use crate::TrainError;
use crate::collect::Group;
use crate::gradients::Gradients;
use crate::loss::{Counts, LossInput, LossOutput};
use crate::micro_batch::{Piece, TokenCounts, micro_batches};
use crate::ragged::Ragged;
use crate::recipe::Algorithm;
use crate::recompute::Recomputation;
use crate::score::{pass, predicting_places, predicting_states, sampled_tokens, states_at, token_groups};
use crate::scored::Scored;
use crate::vocabulary::{Positions, Predictions, Vocabulary};

/// What an optimizer step learns from.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// The responses of one optimizer batch.
    pub batch: &'a Scored,
    /// What each of their tokens is worth.
    pub credit: &'a Credit,
    /// Loss and objective.
    pub algorithm: &'a Algorithm,
    /// The policy's distribution.
    pub vocabulary: &'a Vocabulary,
    /// The reference policy, without autodiff, if the objective compares whole distributions with it.
    pub reference: Option<&'a QwenVl>,
    /// Most tokens a response of the run may have.
    pub max_new_tokens: usize,
}

/// What an optimizer step did. Values are averages under the objective's reduction, or 0 if it has no such term; shares are
/// of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateReport {
    /// The surrogate's value.
    pub policy_loss: f64,
    /// Mean negative log-probability of the sampled tokens.
    pub entropy_proxy: f64,
    /// Mean entropy of the policy before the step, in nats.
    pub entropy: f64,
    /// Mean reference KL.
    pub reference_kl: f64,
    /// Mean divergence from the contrast.
    pub perception_kl: f64,
    /// Mean negative log-probability of the sampled tokens under the contrast.
    pub masked_entropy: f64,
    /// Share of tokens whose ratio was clipped.
    pub clipped_high: f64,
    /// Share of tokens the dual clip acted on.
    pub clipped_low: f64,
    /// Mean of old minus current log-probability.
    pub drift: f64,
    /// Mean importance weight of a token, 1 without a correction.
    pub importance: f64,
    /// Mean of the squares of those weights.
    pub squared_importance: f64,
    /// Tokens of equal weight that would vary as much, as a share of all: mean of the weights, squared, over the mean of their
    /// squares.
    pub effective_share: f64,
    /// Share of tokens whose importance weight was truncated or masked.
    pub limited: f64,
    /// Gradient norm before clipping.
    pub gradient_norm: f64,
    /// Whether the gradient was not finite and the step was left out.
    pub skipped: bool,
    /// What the averages are over, so that those of several steps can be put together.
    pub counts: Counts,
    /// How many tokens were computed.
    pub tokens: TokenCounts,
    /// What the forward pass said of the batch's tokens, if scoring took log-probabilities from sampling.
    pub recomputed: Option<Recomputed>,
}

/// What a forward pass says of the batch's tokens, before the policy moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recomputed {
    /// Log-probability of each token, nats.
    pub log_probs: Vec<f32>,
    /// Entropy of the distribution it was drawn from, nats.
    pub entropy: Vec<f32>,
}

impl Recomputed {
    fn add(&mut self, current: &Predictions) {
        let host = |values: &Tensor<1>| values.to_data().iter::<f32>().collect::<Vec<f32>>();
        self.log_probs.extend(host(&current.log_probs));
        self.entropy.extend(current.entropy.as_ref().map(host).unwrap_or_default());
    }
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
    /// What layers compute in. The parameters are of single precision, and so are the sums of their gradients.
    pub precision: Precision,
    /// Whether layers are computed again in the backward pass.
    pub(crate) recompute: Recomputation,
}

impl Updater {
    /// Minimises the objective by one step. The result does not depend on how the batch is cut into micro-batches.
    ///
    /// A gradient that is not finite changes nothing and is reported.
    ///
    /// # Errors
    /// If prompts and image features do not fit together, or a term of the objective reads something that was not measured.
    pub fn step(
        &mut self,
        policy: QwenVl,
        lesson: &Lesson,
        learning_rate: f64,
    ) -> Result<(QwenVl, UpdateReport), TrainError> {
        let (gradients, report) = self.gradients(&policy, lesson)?;
        Ok(self.apply(policy, gradients, report, learning_rate))
    }

    /// Moves the policy along a gradient, in place where nothing else holds its parameters, and completes the report.
    pub(crate) fn apply(
        &mut self,
        policy: QwenVl,
        gradients: Gradients,
        report: UpdateReport,
        learning_rate: f64,
    ) -> (QwenVl, UpdateReport) {
        let clipped = gradients.clip(&policy, self.max_gradient_norm);
        let skipped = !clipped.norm.is_finite();
        if skipped {
            tracing::warn!("the gradient's norm is {}: this update is left out", clipped.norm);
        }
        let policy = if skipped { policy } else { self.optimizer.step(learning_rate, policy, clipped.gradient) };
        (policy, UpdateReport { gradient_norm: clipped.norm, skipped, ..report })
    }

    /// The objective's gradient, summed over micro-batches and not yet clipped, and a report without its norm.
    ///
    /// # Errors
    /// As for [`Self::step`].
    pub fn gradients(&self, policy: &QwenVl, lesson: &Lesson) -> Result<(Gradients, UpdateReport), TrainError> {
        let policy = &policy.in_precision(self.precision);
        let Lesson { batch, algorithm, vocabulary, .. } = *lesson;
        let objective = &algorithm.objective;
        let reference = if objective.wants_reference_divergence() { lesson.reference } else { None };
        let whole = batch.loss_input(lesson.credit, algorithm, lesson.max_new_tokens)?;
        let mut gradients = Gradients::default();
        let mut parts = [0.0; 12];
        let mut recomputed = batch.as_sampled.then(Recomputed::default);
        let mut row = 0;
        let (groups, trains_vision) = (&batch.groups, !self.freeze_vision);
        let passes = micro_batches(&batch.lengths(), self.tokens_per_micro_batch);
        let recompute = self.recompute.decide(policy, groups, &passes, trains_vision);
        for pieces in passes {
            let rows = pieces.iter().map(|piece| piece.responses.len()).sum();
            let entropy = objective.wants_entropy() || recomputed.is_some();
            let pieces = &pieces;
            let pass = Pass { policy, vocabulary, groups, pieces, trains_vision, entropy, reference, recompute };
            let share = pass.backward(&mut gradients, |current, ragged| {
                if let Some(recomputed) = &mut recomputed {
                    recomputed.add(&current);
                }
                let input = LossInput {
                    log_probs: ragged.pad(current.log_probs),
                    entropy: current.entropy.map(|entropy| ragged.pad(entropy)),
                    reference_divergence: current.reference_divergence.map(|divergence| ragged.pad(divergence)),
                    ..whole.rows(row, rows, ragged.longest())
                };
                objective.evaluate(&*algorithm.loss, &input)
            })?;
            parts.iter_mut().zip(share).for_each(|(sum, part)| *sum += part);
            row += rows;
        }
        let counts = objective.reduction.counts(&batch.counted(algorithm, lesson.max_new_tokens), &whole.weights);
        let tokens = TokenCounts::of(&batch.lengths(), self.tokens_per_micro_batch);
        Ok((gradients, UpdateReport { counts, recomputed, tokens, ..UpdateReport::from(parts) }))
    }
}

impl From<[f64; 12]> for UpdateReport {
    /// From the objective's parts, summed over all rows.
    fn from(parts: [f64; 12]) -> Self {
        let [policy_loss, entropy_proxy, entropy, reference_kl, perception_kl, masked_entropy, shares @ ..] = parts;
        let [clipped_high, clipped_low, drift, importance, squared_importance, limited] = shares;
        let effective_share = if squared_importance > 0.0 { importance.powi(2) / squared_importance } else { 0.0 };
        Self {
            policy_loss,
            entropy_proxy,
            entropy,
            reference_kl,
            perception_kl,
            masked_entropy,
            clipped_high,
            clipped_low,
            drift,
            importance,
            squared_importance,
            effective_share,
            limited,
            gradient_norm: 0.0,
            skipped: false,
            counts: Counts::default(),
            recomputed: None,
            tokens: TokenCounts::default(),
        }
    }
}

/// A forward and backward pass of some pieces.
pub(crate) struct Pass<'a> {
    pub(crate) policy: &'a QwenVl,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) groups: &'a [Group],
    pub(crate) pieces: &'a [Piece],
    /// Whether gradients reach the vision tower, whose features are computed anew then; else those of the rollout are taken.
    pub(crate) trains_vision: bool,
    /// Whether the objective reads entropies.
    pub(crate) entropy: bool,
    /// The reference policy, if the objective reads divergences from it.
    pub(crate) reference: Option<&'a QwenVl>,
    /// Whether layers are computed again in the backward pass.
    pub(crate) recompute: bool,
}

/// The trunk's half of a pass, to be differentiated when the gradient of its states is known.
enum Trunk<'a> {
    /// The states, with the graph that made them.
    Graph(Tensor<2>),
    /// What the layers were given, and those of the vision tower.
    Kept(Box<KeptHidden<'a>>, Tensor<1, Int>, Option<Box<KeptFeatures<'a>>>),
}

impl Pass<'_> {
    /// Adds the pass's gradient and returns the objective's parts.
    ///
    /// The trunk's graph ends at the hidden states. There the objective's gradient is formed on what it reads of each
    /// distribution alone, carried through the vocabulary in chunks, and handed on to the trunk.
    pub(crate) fn backward(
        &self,
        gradients: &mut Gradients,
        objective: impl FnOnce(Predictions, &Ragged) -> Result<LossOutput, TrainError>,
    ) -> Result<Vec<f64>, TrainError> {
        let (batch, kept_features) = self.batch()?;
        let rows = Ragged::new(batch.groups.iter().flat_map(|group| group.responses.iter().map(Vec::len)).collect());
        if rows.tokens() == 0 {
            return Ok(Vec::new());
        }
        let frozen = self.policy.valid();
        let sampled = sampled_tokens(&batch, &frozen);
        let (hidden, trunk) = self.forward(&batch, kept_features);
        let reference = self.reference.map(|reference| (reference, self.states_of(reference, batch)));
        let positions = Positions { hidden, sampled, entropy: self.entropy, reference };

        let leaf = |values: Tensor<1>| values.autodiff().require_grad();
        let (predictions, kept) = self.vocabulary.forward(&frozen, &positions);
        let Predictions { log_probs, entropy, reference_divergence } = predictions;
        let read = Predictions {
            log_probs: leaf(log_probs),
            entropy: entropy.map(leaf),
            reference_divergence: reference_divergence.map(leaf),
        };
        let LossOutput { total, parts } = objective(read.clone(), &rows)?;
        let mut found = total.backward();
        let mut gradient = |leaf: &Tensor<1>| leaf.grad_remove(&mut found);
        let upstream = Predictions {
            log_probs: gradient(&read.log_probs).unwrap_or_else(|| read.log_probs.clone().inner().zeros_like()),
            entropy: read.entropy.as_ref().and_then(&mut gradient),
            reference_divergence: read.reference_divergence.as_ref().and_then(&mut gradient),
        };
        let upstream = self.vocabulary.backward(self.policy, &positions, kept, &upstream, gradients);
        trunk.backward(self.policy, upstream, gradients);
        Ok(parts.into_data().iter::<f64>().collect())
    }

    /// The packed tokens, and what the vision tower keeps where it computes its layers again.
    fn batch(&self) -> Result<(TokenBatch, Option<Box<KeptFeatures<'_>>>), TrainError> {
        if !(self.recompute && self.trains_vision) {
            return Ok((pass(self.groups, self.pieces, self.trains_vision.then_some(self.policy))?, None));
        }
        let (features, kept) = self.policy.image_features_kept(&self.images()).unzip();
        Ok((TokenBatch::new(token_groups(self.groups, self.pieces), features)?, kept.map(Box::new)))
    }

    /// The states that response tokens are predicted from, without autodiff, and what the backward pass needs.
    fn forward<'a>(&'a self, batch: &TokenBatch, features: Option<Box<KeptFeatures<'a>>>) -> (Tensor<2>, Trunk<'a>) {
        if !self.recompute {
            let states = predicting_states(self.policy, batch);
            return (states.clone().inner(), Trunk::Graph(states));
        }
        let (hidden, kept) = self.policy.hidden_kept(batch);
        let places = predicting_places(batch, &hidden.device());
        (hidden.select(0, places.clone()), Trunk::Kept(Box::new(kept), places, features))
    }

    fn images(&self) -> Vec<&ImagePatches> {
        self.pieces.iter().flat_map(|piece| &self.groups[piece.group].task.patches).collect()
    }

    /// The reference policy's states of the same tokens, from images it looks at itself.
    fn states_of(&self, reference: &QwenVl, mut batch: TokenBatch) -> Tensor<2> {
        batch.image_features = reference.image_features(&self.images());
        predicting_states(reference, &batch)
    }
}

impl Trunk<'_> {
    /// Adds the gradient of all parameters but the output projection, for that of the states.
    fn backward(self, policy: &QwenVl, upstream: Tensor<2>, gradients: &mut Gradients) {
        let along = |states: Tensor<2>| (states * upstream.autodiff()).sum();
        match self {
            Self::Graph(states) => {
                gradients.add(policy, GradientsParams::from_grads(along(states).backward(), policy));
            }
            Self::Kept(kept, places, features) => {
                let of_features = kept.backward(|hidden| along(states_at(hidden, places)), gradients);
                if let (Some(features), Some(of_features)) = (features, of_features) {
                    features.backward(of_features, gradients);
                }
            }
        }
    }
}
