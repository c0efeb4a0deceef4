//! Every log-probability a step needs, taken before the policy changes: clean, contrast and reference.

use advantage::{Evidence, Groups};
use burn::tensor::{Bool, Int, Tensor, TensorData};
use dependency::{Contrast, DependencyMetric, Divergence, Perturbation as _, View};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use vlm_model::{QwenVl, TokenBatch, TokenGroup};

use crate::TrainError;
use crate::collect::Group;
use crate::loss::LossInput;
use crate::micro_batch::{GroupLengths, Piece, micro_batches};
use crate::ragged::Ragged;
use crate::vocabulary::{ContrastScores, TokenScores, Vocabulary};

/// Groups with everything known about their tokens under the policy that sampled them.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The groups.
    pub groups: Vec<Group>,
    /// Lengths of all responses, group after group.
    pub rows: Ragged,
    /// Log-probability (nats) and entropy (nats) of each token; packed, `[tokens]`.
    pub clean: TokenScores,
    /// Each contrast's log-probabilities and divergence; packed.
    pub contrasts: Vec<ContrastScores>,
    /// Dependency of each token, `[tokens]`; `None` if the recipe measures none.
    pub dependency: Option<Tensor<1>>,
    /// Log-probabilities under the reference policy, `[tokens]`.
    pub reference: Option<Tensor<1>>,
}

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
            View::Blind => {
                let mut batch = pass(groups, pieces, None)?;
                for group in &mut batch.groups {
                    group.prompt = group.prompt.take().map(vlm_model::PromptTokens::blinded);
                }
                Ok(batch)
            }
            View::Perturbed(perturbation) => {
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

impl Scored {
    /// Prompt and response lengths of each group.
    #[must_use]
    pub fn lengths(&self) -> Vec<GroupLengths> {
        lengths_of(&self.groups)
    }

    /// What credit assignment reads.
    ///
    /// # Errors
    /// If a group has no responses.
    pub fn evidence(&self) -> Result<Evidence, TrainError> {
        let device = self.clean.log_probs.device();
        let rewards: Vec<f32> = self.groups.iter().flat_map(|group| group.verdicts.iter().map(|v| v.overall)).collect();
        let visual: Vec<bool> = self
            .groups
            .iter()
            .flat_map(|group| std::iter::repeat_n(group.task.prompt.image_tokens() > 0, group.completions.len()))
            .collect();
        let rows = self.rows.rows();
        Ok(Evidence::new(
            Tensor::from_data(TensorData::new(rewards, [rows]), &device),
            Groups::new(self.groups.iter().map(|group| group.completions.len()).collect())?,
            self.rows.mask(&device),
            self.dependency.clone().map(|dependency| self.rows.pad(dependency)),
            Tensor::<1, Bool>::from_data(TensorData::new(visual, [rows]), &device),
        )?)
    }

    /// Splits the groups into at most `count` consecutive shares whose sizes differ by one at most, one for each
    /// optimizer step.
    #[must_use]
    pub fn optimizer_batches(self, count: usize) -> Vec<Self> {
        let (total, count) = (self.groups.len(), count.min(self.groups.len()));
        let (mut row, mut token) = (0, 0);
        let mut rest = self.groups.into_iter();
        (0..count)
            .map(|share| {
                let size = total * (share + 1) / count - total * share / count;
                let groups: Vec<Group> = rest.by_ref().take(size).collect();
                let rows: usize = groups.iter().map(|group| group.completions.len()).sum();
                let lengths = self.rows.lengths()[row..row + rows].to_vec();
                let (start, tokens) = (token, lengths.iter().sum::<usize>());
                row += rows;
                token += tokens;
                let take = |x: &Tensor<1>| part_of(x, start, tokens);
                Self {
                    groups,
                    rows: Ragged::new(lengths),
                    clean: TokenScores { log_probs: take(&self.clean.log_probs), entropy: take(&self.clean.entropy) },
                    contrasts: Vec::new(),
                    dependency: self.dependency.as_ref().map(take),
                    reference: self.reference.as_ref().map(take),
                }
            })
            .collect()
    }

    /// The loss's view of `count` rows from `first` on. The log-probabilities are those of the policy that sampled, to be
    /// replaced by the current ones. `weights` holds one weight per row of the whole batch.
    pub(crate) fn loss_input(
        &self,
        first: usize,
        count: usize,
        credit: &advantage::Credit,
        weights: &[f32],
    ) -> LossInput {
        let device = self.clean.log_probs.device();
        let rows = Ragged::new(self.rows.lengths()[first..first + count].to_vec());
        let start: usize = self.rows.lengths()[..first].iter().sum();
        let take = |x: &Tensor<1>| rows.pad(part_of(x, start, rows.tokens()));
        let cut = |x: &Tensor<2>| x.clone().narrow(0, first, count).narrow(1, 0, rows.longest());
        let weight = TensorData::new(weights[first..first + count].to_vec(), [count, 1]);
        let old_log_probs = take(&self.clean.log_probs);
        LossInput {
            log_probs: old_log_probs.clone(),
            old_log_probs,
            reference_log_probs: self.reference.as_ref().map(take),
            advantage: cut(&credit.advantage),
            gate: cut(&credit.gate),
            response: rows.mask(&device),
            weight: Tensor::from_data(weight, &device),
        }
    }
}

/// Some consecutive elements, maybe none.
fn part_of(x: &Tensor<1>, start: usize, count: usize) -> Tensor<1> {
    if count == 0 { Tensor::zeros([0], &x.device()) } else { x.clone().narrow(0, start, count) }
}

fn lengths_of(groups: &[Group]) -> Vec<GroupLengths> {
    let lengths = |group: &Group| GroupLengths {
        prompt: group.task.prompt.ids.len(),
        responses: group.completions.iter().map(|completion| completion.tokens.len()).collect(),
    };
    groups.iter().map(lengths).collect()
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
