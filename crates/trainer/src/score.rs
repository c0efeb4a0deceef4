//! Every log-probability a step needs, taken before the policy changes: clean, contrast and reference.

use burn::tensor::{Int, Tensor, TensorData};
use dependency::{Contrast, DependencyMetric, Divergence, Perturbation as _, PerturbedImage, View};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use vlm_model::{QwenVl, TokenBatch, TokenGroup};

use crate::TrainError;
use crate::collect::Group;
use crate::micro_batch::{Piece, micro_batches};
use crate::ragged::Ragged;
use crate::scored::{Scored, lengths_of};
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
    /// Scores all groups: one clean pass and one per contrast, prompts shared, vocabulary in chunks.
    ///
    /// # Errors
    /// If a perturbed image cannot be processed.
    pub fn score(&self, groups: Vec<Group>) -> Result<Scored, TrainError> {
        let contrasts = self.metric.map_or(&[] as &[Contrast], |metric| metric.contrasts());
        let (mut clean, mut references) = (Vec::new(), Vec::new());
        let mut compared: Vec<Vec<ContrastScores>> = vec![Vec::new(); contrasts.len()];
        for pieces in micro_batches(&lengths_of(&groups), self.tokens_per_micro_batch) {
            let batch = pass(&groups, &pieces, None)?;
            let sampled = sampled_tokens(&batch, self.policy);
            let states = predicting_states(self.policy, &batch);
            clean.push(self.vocabulary.score(self.policy, &states, &sampled));
            for (index, contrast) in contrasts.iter().enumerate() {
                let view = self.view(&groups, &pieces, index, contrast)?;
                let other = predicting_states(self.policy, &view);
                let divergence: &dyn Divergence = &contrast.divergence;
                compared[index].push(self.vocabulary.contrast(self.policy, &states, &other, &sampled, &[divergence]));
            }
            if let Some(reference) = self.reference {
                let mut batch = batch;
                let images: Vec<_> = pieces.iter().flat_map(|piece| &groups[piece.group].task.patches).collect();
                batch.image_features = reference.image_features(&images);
                let states = predicting_states(reference, &batch);
                references.push(self.vocabulary.score(reference, &states, &sampled).log_probs);
            }
        }
        let rows =
            Ragged::new(groups.iter().flat_map(|group| group.completions.iter().map(|c| c.tokens.len())).collect());
        let empty = || Tensor::zeros([0], &self.policy.device());
        let joined = |parts: Vec<Tensor<1>>| if parts.is_empty() { empty() } else { Tensor::cat(parts, 0) };
        let (log_probs, entropy) = clean.into_iter().map(|scores| (scores.log_probs, scores.entropy)).unzip();
        let contrasts: Vec<ContrastScores> = compared
            .into_iter()
            .map(|parts| {
                let (log_probs, mut values): (Vec<_>, Vec<_>) =
                    parts.into_iter().map(|part| (part.log_probs, part.divergences)).unzip();
                let divergence = values.iter_mut().flat_map(|values| values.drain(..)).collect();
                ContrastScores { log_probs: joined(log_probs), divergences: vec![joined(divergence)] }
            })
            .collect();
        let dependency = self.metric.map(|metric| {
            let padded: Vec<Tensor<2>> = contrasts.iter().map(|c| rows.pad(c.divergences[0].clone())).collect();
            metric.score(&padded, &rows.mask(&self.policy.device())).map(|score| rows.pack(score))
        });
        let dependency = dependency.transpose()?;
        let reference = self.reference.map(|_| joined(references));
        Ok(Scored {
            groups,
            rows,
            clean: TokenScores { log_probs: joined(log_probs), entropy: joined(entropy) },
            contrasts,
            dependency,
            reference,
        })
    }

    /// The pieces' prompts under a contrast. All responses of a group see the same draw, whichever piece they are in.
    ///
    /// # Departures
    /// The released VPPO code draws a blackout for every response; one draw a prompt keeps the prompt shared.
    fn view(
        &self,
        groups: &[Group],
        pieces: &[Piece],
        index: usize,
        contrast: &Contrast,
    ) -> Result<TokenBatch, TrainError> {
        match &contrast.view {
            View::Clean => pass(groups, pieces, None),
            View::Blind => {
                let mut batch = pass(groups, pieces, None)?;
                for group in &mut batch.groups {
                    group.prompt = group.prompt.take().map(vlm_model::PromptTokens::blinded);
                }
                Ok(batch)
            }
            View::Perturbed(PerturbedImage { perturbation, .. }) => {
                let mut patches = Vec::new();
                for piece in pieces {
                    let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                    random.set_stream(((piece.group as u64) << 16) | index as u64);
                    for image in &groups[piece.group].task.images {
                        patches.push(self.processor.patches(&perturbation.apply(image, &mut random))?);
                    }
                }
                let features = self.policy.image_features(&patches.iter().collect::<Vec<_>>());
                Ok(TokenBatch::new(token_groups(groups, pieces), features)?)
            }
        }
    }
}

fn token_groups(groups: &[Group], pieces: &[Piece]) -> Vec<TokenGroup> {
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
    let places: Vec<i64> =
        batch.predicting_places().into_iter().flatten().flatten().map(|place| place as i64).collect();
    let count = places.len();
    if count == 0 {
        return Tensor::zeros([0, model.config.text.hidden_size], &model.device());
    }
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &model.device());
    model.hidden(batch, None).select(0, places)
}

/// The batch's response tokens, packed.
pub(crate) fn sampled_tokens(batch: &TokenBatch, model: &QwenVl) -> Tensor<1, Int> {
    let ids: Vec<i64> =
        batch.groups.iter().flat_map(|g| g.responses.iter().flatten()).map(|&id| i64::from(id)).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), &model.device())
}
