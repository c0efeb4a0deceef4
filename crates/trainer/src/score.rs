//! Every log-probability a step needs, taken before the policy changes: clean, contrast and reference.

use burn::tensor::{Device, Int, Tensor, TensorData};
use dependency::{Contrast, DependencyMetric, Divergence};
use vlm_model::{QwenVl, TokenBatch, TokenGroup};

use crate::TrainError;
use crate::collect::Group;
use crate::micro_batch::{Piece, micro_batches};
use crate::ragged::Ragged;
use crate::scored::{Scored, lengths_of};
use crate::view::{Seen, Side, Views};
use crate::vocabulary::{ContrastScores, TokenScores, Vocabulary};

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
        let contrasts = self.metric.map_or(&[] as &[Contrast], |metric| metric.contrasts());
        let (mut log_probs, mut entropy, mut references) = (Vec::new(), Vec::new(), Vec::new());
        let mut compared: Vec<Vec<ContrastScores>> = vec![Vec::new(); contrasts.len()];
        let mut views = Views::new(self, &groups);
        for pieces in micro_batches(&lengths_of(&groups), self.tokens_per_micro_batch) {
            let batch = pass(&groups, &pieces, None)?;
            let sampled = sampled_tokens(&batch, self.policy);
            let clean = predicting_states(self.policy, &batch);
            let scores = self.vocabulary.score(self.policy, &clean, &sampled);
            log_probs.push(scores.log_probs);
            entropy.push(scores.entropy);
            let mut seen = Seen { pieces: &pieces, clean, blind: None };
            for (index, (contrast, compared)) in contrasts.iter().zip(&mut compared).enumerate() {
                let base = views.states(&mut seen, &contrast.base, (index, Side::Base))?;
                let view = views.states(&mut seen, &contrast.view, (index, Side::View))?;
                let own: &dyn Divergence = &contrast.divergence;
                let wanted: Vec<&dyn Divergence> = std::iter::once(own).chain(besides.iter().copied()).collect();
                compared.push(self.vocabulary.contrast(self.policy, &base, &view, &sampled, &wanted));
            }
            if let Some(reference) = self.reference {
                let mut batch = batch;
                let images: Vec<_> = pieces.iter().flat_map(|piece| &groups[piece.group].task.patches).collect();
                batch.image_features = reference.image_features(&images);
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
        Ok(Scored { groups, rows, clean, contrasts, dependency, reference })
    }
}

/// The micro-batches' values in a row, `[tokens]`.
fn joined(parts: Vec<Tensor<1>>, device: &Device) -> Tensor<1> {
    if parts.is_empty() { Tensor::zeros([0], device) } else { Tensor::cat(parts, 0) }
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
        return Tensor::zeros([0, model.config.text.hidden_size], &model.device());
    }
    model.hidden(batch, None).select(0, places)
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
