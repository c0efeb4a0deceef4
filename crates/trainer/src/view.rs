//! What the model sees of a prompt under a view, and the hidden states that come of it.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use dependency::{Contrast, Draws, Perturbation as _, PerturbedImage, Surface, View};
use image::RgbImage;
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vlm_model::image_input::{ImagePatches, ImageProcessor};
use vlm_model::{PromptTokens, QwenVl, TokenBatch, TokenGroup};

use crate::TrainError;
use crate::collect::Group;
use crate::micro_batch::{GroupLengths, Piece, one_prompt_each};
use crate::score::{Scorer, predicting_states};
use crate::scored::lengths_of;

/// A prompt as the language model receives it.
#[derive(Clone, Debug)]
pub struct PromptView {
    /// Its tokens, those of the images hidden or not.
    pub tokens: PromptTokens,
    /// Features of its images, `[image tokens, width]`; `None` without images.
    pub features: Option<Tensor<2>>,
}

impl PromptView {
    /// The same prompt under a view; `self` is what the model sees of it as it is.
    ///
    /// # Errors
    /// If a changed image cannot be processed.
    pub fn under(
        self,
        view: &View,
        images: &[RgbImage],
        model: &QwenVl,
        processor: &ImageProcessor,
        random: &mut dyn Rng,
    ) -> Result<Self, TrainError> {
        Ok(match view {
            View::Clean => self,
            View::Blind => Self { tokens: self.tokens.blinded(), ..self },
            View::Perturbed(change) => {
                let patches = images.iter().map(|image| perturbed_patches(change, image, processor, random));
                let patches: Vec<ImagePatches> = patches.collect::<Result<_, _>>()?;
                Self { features: model.image_features(&patches.iter().collect::<Vec<_>>()), ..self }
            }
        })
    }
}

/// A changed image as the model sees it: changed before or after it is resized for the model.
///
/// # Errors
/// If the image cannot be resized.
pub fn perturbed_image(
    change: &PerturbedImage,
    image: &RgbImage,
    processor: &ImageProcessor,
    random: &mut dyn Rng,
) -> Result<RgbImage, TrainError> {
    Ok(match change.surface {
        Surface::Image => processor.resized(&change.perturbation.apply(image, random))?,
        Surface::ModelInput => change.perturbation.apply(&processor.resized(image)?, random),
    })
}

/// The patches of a changed image.
///
/// # Errors
/// If the image cannot be processed.
pub fn perturbed_patches(
    change: &PerturbedImage,
    image: &RgbImage,
    processor: &ImageProcessor,
    random: &mut dyn Rng,
) -> Result<ImagePatches, TrainError> {
    Ok(processor.patches_of_resized(&perturbed_image(change, image, processor, random)?)?)
}

/// Which of a step's changed images: it and the seed decide the random numbers, nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Index of the contrast in its metric.
    pub contrast: usize,
    /// Which of the two predictions that it compares.
    pub side: Side,
    /// Index of the group.
    pub group: usize,
    /// Index of the response in its group; 0 where all of them see the same image.
    pub response: usize,
}

/// One of the two predictions that a contrast compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one from changed evidence.
    View,
    /// The one it is compared with.
    Base,
}

impl Draw {
    /// The generator of this draw. All images of a prompt draw from it in turn.
    ///
    /// Draws of up to 2^15 contrasts, 2^32 groups and 2^16 responses share no numbers.
    #[must_use]
    pub fn random(self, seed: u64) -> ChaCha8Rng {
        let side = match self.side {
            Side::View => 0,
            Side::Base => 1 << 15,
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(((self.response as u64) << 48) | ((self.group as u64) << 16) | side | self.contrast as u64);
        random
    }
}

/// Makes the hidden states of one micro-batch after another under any view.
pub(crate) struct Views<'a> {
    policy: &'a QwenVl,
    processor: &'a ImageProcessor,
    tokens_per_micro_batch: usize,
    seed: u64,
    groups: &'a [Group],
    lengths: Vec<GroupLengths>,
    /// The last prompt of each view: a group that was cut goes on in the next micro-batch.
    latest: BTreeMap<(usize, Side), (Draw, PromptView)>,
}

/// A micro-batch, with the states that several contrasts may ask for.
struct Seen<'a> {
    pieces: &'a [Piece],
    blind: Option<Tensor<2>>,
}

/// States under both sides of a contrast, the one compared with first; `None` where they are those of the clean view.
pub(crate) type StatesPair = (Option<Tensor<2>>, Option<Tensor<2>>);

impl<'a> Views<'a> {
    pub(crate) fn new(scorer: &Scorer<'a>, groups: &'a [Group]) -> Self {
        let Scorer { policy, processor, tokens_per_micro_batch, seed, .. } = *scorer;
        let (lengths, latest) = (lengths_of(groups), BTreeMap::new());
        Self { policy, processor, tokens_per_micro_batch, seed, groups, lengths, latest }
    }

    /// States that the micro-batch's response tokens are predicted from, `[tokens, width]`, on both sides of each contrast.
    pub(crate) fn pairs(&mut self, pieces: &[Piece], contrasts: &[Contrast]) -> Result<Vec<StatesPair>, TrainError> {
        let mut seen = Seen { pieces, blind: None };
        let pair = |(index, contrast): (usize, &Contrast)| {
            let base = self.states(&mut seen, &contrast.base, (index, Side::Base))?;
            Ok((base, self.states(&mut seen, &contrast.view, (index, Side::View))?))
        };
        contrasts.iter().enumerate().map(pair).collect()
    }

    /// States that the micro-batch's response tokens are predicted from, `[tokens, width]`, on one side of a contrast; `None` if
    /// they are those of the clean view.
    ///
    /// Without images all views are the clean one. A view that every response has of its own takes passes of its own, each
    /// within the budget.
    fn states(&mut self, seen: &mut Seen, view: &View, at: (usize, Side)) -> Result<Option<Tensor<2>>, TrainError> {
        if seen.pieces.iter().all(|piece| self.groups[piece.group].task.prompt.image_tokens() == 0) {
            return Ok(None);
        }
        match view {
            View::Clean => Ok(None),
            View::Blind => {
                let blind = match seen.blind.take() {
                    Some(blind) => blind,
                    None => self.pass(seen.pieces, view, at)?,
                };
                seen.blind = Some(blind.clone());
                Ok(Some(blind))
            }
            View::Perturbed(PerturbedImage { draws: Draws::PerPrompt, .. }) => {
                self.pass(seen.pieces, view, at).map(Some)
            }
            View::Perturbed(PerturbedImage { draws: Draws::PerResponse, .. }) => {
                let batches = one_prompt_each(&self.lengths, seen.pieces, self.tokens_per_micro_batch);
                let states = batches.iter().map(|pieces| self.pass(pieces, view, at));
                let states: Vec<Tensor<2>> = states.collect::<Result<_, _>>()?;
                Ok((!states.is_empty()).then(|| Tensor::cat(states, 0)))
            }
        }
    }

    fn pass(&mut self, pieces: &[Piece], view: &View, at: (usize, Side)) -> Result<Tensor<2>, TrainError> {
        let (mut groups, mut features) = (Vec::new(), Vec::new());
        for piece in pieces {
            let prompt = self.prompt(piece, view, at)?;
            features.extend(prompt.features);
            let completions = &self.groups[piece.group].completions[piece.responses.clone()];
            let responses = completions.iter().map(|completion| completion.tokens.clone()).collect();
            groups.push(TokenGroup { prompt: Some(prompt.tokens), responses });
        }
        let features = (!features.is_empty()).then(|| Tensor::cat(features, 0));
        Ok(predicting_states(self.policy, &TokenBatch::new(groups, features)?))
    }

    fn prompt(&mut self, piece: &Piece, view: &View, at: (usize, Side)) -> Result<PromptView, TrainError> {
        let group = &self.groups[piece.group];
        let response = match view {
            View::Perturbed(PerturbedImage { draws: Draws::PerResponse, .. }) => piece.responses.start,
            _ => 0,
        };
        let (contrast, side) = at;
        let draw = Draw { contrast, side, group: piece.group, response };
        if let Some((latest, prompt)) = self.latest.get(&at)
            && *latest == draw
        {
            return Ok(prompt.clone());
        }
        let clean = PromptView { tokens: group.task.prompt.clone(), features: group.features.clone() };
        let prompt = clean.under(view, &group.task.images, self.policy, self.processor, &mut draw.random(self.seed))?;
        self.latest.insert(at, (draw, prompt.clone()));
        Ok(prompt)
    }
}
