//! Every log-probability a step needs, taken before the policy changes: clean, contrast and reference.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use dependency::{Contrast, DependencyMetric, Divergence};
use kernels::{at_least_f32, side_by_side};
use vlm_model::{QwenVl, TokenBatch, TokenGroup};

use crate::TrainError;
use crate::collect::Group;
use crate::micro_batch::{Piece, micro_batches};
use crate::ragged::Ragged;
use crate::scored::{Scored, lengths_of, sampling_log_probs};
use crate::view::Views;
use crate::vocabulary::{Clean, ContrastScores, TokenScores, ViewPair, Vocabulary, joined};

/// What to score with.
pub struct Scorer<'a> {
    /// The policy, without autodiff.
    pub policy: &'a QwenVl,
    /// The reference policy, if the objective pulls towards one.
    pub reference: Option<&'a QwenVl>,
    /// The dependency metric, if the recipe has one.
    pub metric: Option<&'a dyn DependencyMetric>,
    /// The policy's distribution.
    pub vocabulary: &'a Vocabulary,
    /// Makes perturbed images into patches.
    pub processor: &'a vlm_model::image_input::ImageProcessor,
    /// Tokens of a forward pass.
    pub tokens_per_micro_batch: usize,
    /// Seed of the contrasts' random draws.
    pub seed: u64,
}

impl Scorer<'_> {
    /// Scores all groups: one clean pass and one per view, prompts shared, vocabulary in chunks.
    ///
    /// The result does not depend on how the batch is cut into micro-batches, nor do the random draws.
    ///
    /// # Errors
    /// If a perturbed image cannot be processed.
    pub fn score(&self, groups: Vec<Group>) -> Result<Scored, TrainError> {
        self.score_besides(groups, &[])
    }

    /// As [`Self::score`]; the divergence of each contrast is followed by these between the same predictions.
    ///
    /// # Errors
    /// If a perturbed image cannot be processed.
    pub fn score_besides(&self, groups: Vec<Group>, besides: &[&dyn Divergence]) -> Result<Scored, TrainError> {
        self.score_from(groups, besides, None)
    }

    /// As [`Self::score`], without a clean pass: the policy's log-probabilities are those seen at sampling, and entropies are
    /// not known.
    ///
    /// # Errors
    /// If a perturbed image cannot be processed, a response has not a log-probability for each token, or a contrast's
    /// divergence reads whole distributions, for which the clean pass is needed.
    pub fn score_as_sampled(&self, groups: Vec<Group>) -> Result<Scored, TrainError> {
        if self.metric.is_some_and(reads_distributions) {
            let needs = "divergences that read the sampled tokens alone, or log-probabilities that are computed again";
            return Err(TrainError::Objective { term: "dependency", needs });
        }
        let known = sampling_log_probs(&groups, "update.reuse_sampling_log_probs", &self.policy.device())?;
        self.score_from(groups, &[], Some(&known))
    }

    /// Scores all groups; `known` has the policy's log-probabilities of all tokens if they need not be computed.
    fn score_from(
        &self,
        groups: Vec<Group>,
        besides: &[&dyn Divergence],
        known: Option<&Tensor<1>>,
    ) -> Result<Scored, TrainError> {
        let contrasts = self.metric.map_or(&[] as &[Contrast], |metric| metric.contrasts());
        let (mut log_probs, mut entropy, mut references) = (Vec::new(), Vec::new(), Vec::new());
        let mut compared: Vec<Vec<ContrastScores>> = vec![Vec::new(); contrasts.len()];
        let mut views = Views::new(self, &groups);
        let mut of_reference = None;
        let mut done = 0;
        for pieces in micro_batches(&lengths_of(&groups), self.tokens_per_micro_batch) {
            let batch = pass(&groups, &pieces, None)?;
            let sampled = sampled_tokens(&batch, self.policy);
            let tokens = sampled.dims()[0];
            let clean = || match known {
                Some(known) if tokens > 0 => Clean::LogProbs(known.clone().narrow(0, done, tokens)),
                _ => Clean::States(predicting_states(self.policy, &batch)),
            };
            let under_views = || views.pairs(&pieces, contrasts);
            let (clean, under_views) = side_by_side(&self.policy.output_weight(), clean, under_views);
            done += tokens;
            let mut pairs = Vec::with_capacity(contrasts.len());
            for ((base, view), contrast) in under_views?.into_iter().zip(contrasts) {
                let own: &dyn Divergence = &contrast.divergence;
                let divergences = std::iter::once(own).chain(besides.iter().copied()).collect();
                pairs.push(ViewPair { base, view, divergences });
            }
            let (scores, found) = self.vocabulary.compare(self.policy, &clean, &sampled, &pairs);
            log_probs.push(scores.log_probs);
            entropy.push(scores.entropy);
            compared.iter_mut().zip(found).for_each(|(compared, found)| compared.push(found));
            if let Some(reference) = self.reference {
                let mut batch = batch;
                batch.image_features = reference_features(reference, &groups, &pieces, &mut of_reference);
                let states = predicting_states(reference, &batch);
                references.push(self.vocabulary.score(reference, &states, &sampled).log_probs);
            }
        }
        let device = &self.policy.device();
        let rows =
            Ragged::new(groups.iter().flat_map(|group| group.completions.iter().map(|c| c.tokens.len())).collect());
        let contrasts: Vec<ContrastScores> = compared
            .iter()
            .map(|parts| ContrastScores {
                log_probs: joined(parts.iter().map(|part| part.log_probs.clone()).collect(), device),
                divergences: (0..=besides.len())
                    .map(|index| joined(parts.iter().map(|part| part.divergences[index].clone()).collect(), device))
                    .collect(),
            })
            .collect();
        let dependency = self.metric.map(|metric| {
            let padded: Vec<Tensor<2>> = contrasts.iter().map(|c| rows.pad(c.divergences[0].clone())).collect();
            metric.score(&padded, &rows.mask(device)).map(|score| rows.pack(score))
        });
        let dependency = dependency.transpose()?;
        let reference = self.reference.map(|_| joined(references, device));
        let clean = TokenScores { log_probs: joined(log_probs, device), entropy: joined(entropy, device) };
        Ok(Scored { groups, rows, clean, as_sampled: known.is_some(), contrasts, dependency, reference })
    }
}

/// Whether a contrast compares whole distributions, for which the clean view's must be there.
pub(crate) fn reads_distributions(metric: &dyn DependencyMetric) -> bool {
    metric.contrasts().iter().any(|contrast| contrast.divergence.of_sampled().is_none())
}

/// Image features of the pieces under the reference policy. Those of the last group are kept in `latest`: a group that was cut
/// goes on in the next micro-batch.
fn reference_features(
    reference: &QwenVl,
    groups: &[Group],
    pieces: &[Piece],
    latest: &mut Option<(usize, Option<Tensor<2>>)>,
) -> Option<Tensor<2>> {
    let mut features = Vec::new();
    for piece in pieces {
        let known = latest.take().filter(|(group, _)| *group == piece.group);
        let (_, of_group) = latest.insert(known.unwrap_or_else(|| {
            let patches: Vec<_> = groups[piece.group].task.patches.iter().collect();
            (piece.group, reference.image_features(&patches))
        }));
        features.extend(of_group.clone());
    }
    (!features.is_empty()).then(|| Tensor::cat(features, 0))
}

pub(crate) fn token_groups(groups: &[Group], pieces: &[Piece]) -> Vec<TokenGroup> {
    let group = |piece: &Piece| {
        let group = &groups[piece.group];
        let responses = group.completions[piece.responses.clone()].iter().map(|c| c.tokens.clone()).collect();
        TokenGroup { prompt: Some(group.task.prompt.clone()), responses }
    };
    pieces.iter().map(group).collect()
}

/// The pieces as one packed batch; image features are recomputed by `vision` if given, else those of the rollout.
pub(crate) fn pass(groups: &[Group], pieces: &[Piece], vision: Option<&QwenVl>) -> Result<TokenBatch, TrainError> {
    let features = match vision {
        Some(model) => {
            let images: Vec<_> = pieces.iter().flat_map(|piece| &groups[piece.group].task.patches).collect();
            model.image_features(&images)
        }
        None => {
            let known: Vec<Tensor<2>> =
                pieces.iter().filter_map(|piece| groups[piece.group].features.clone()).collect();
            (!known.is_empty()).then(|| Tensor::cat(known, 0))
        }
    };
    Ok(TokenBatch::new(token_groups(groups, pieces), features)?)
}

/// Hidden states the batch's response tokens are predicted from, `[tokens, width]`.
pub(crate) fn predicting_states(model: &QwenVl, batch: &TokenBatch) -> Tensor<2> {
    let places = predicting_places(batch, &model.device());
    if places.dims()[0] == 0 {
        return Tensor::zeros([0, model.config.text.hidden_size], (&model.device(), model.output_weight().dtype()));
    }
    states_at(model.hidden(batch, None), places)
}

/// The states at some places, `[places, width]`. A prompt's last place predicts the first token of all its responses: in half
/// precision too, their gradients are summed in f32.
pub(crate) fn states_at(hidden: Tensor<2>, places: Tensor<1, Int>) -> Tensor<2> {
    let dtype = hidden.dtype();
    if dtype == DType::F32 || !hidden.is_autodiff() {
        return hidden.select(0, places);
    }
    at_least_f32(hidden).select(0, places).cast(dtype)
}

/// Their places in the packed batch, `[tokens]`.
pub(crate) fn predicting_places(batch: &TokenBatch, device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> =
        batch.predicting_places().into_iter().flatten().flatten().map(|place| place as i64).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

/// The batch's response tokens, packed.
pub(crate) fn sampled_tokens(batch: &TokenBatch, model: &QwenVl) -> Tensor<1, Int> {
    let ids: Vec<i64> =
        batch.groups.iter().flat_map(|g| g.responses.iter().flatten()).map(|&id| i64::from(id)).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), &model.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_responses_of_one_prompt_are_heard() {
        const RESPONSES: usize = 1000;
        let device = Device::flex().autodiff();
        let hidden = Tensor::<2>::ones([3, 2], (&device, DType::BF16)).require_grad();
        let places = Tensor::<1, Int>::ones([RESPONSES], &device);
        let gradients = at_least_f32(states_at(hidden.clone(), places)).sum().backward();
        let gradient = hidden.grad(&gradients).expect("a gradient").into_data();
        // In eight bits a sum of ones ends at 256.
        assert_eq!(gradient.iter::<f64>().collect::<Vec<_>>(), [0.0, 0.0, 1000.0, 1000.0, 0.0, 0.0]);
    }
}
