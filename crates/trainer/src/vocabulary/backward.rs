//! The objective's gradient, carried through the vocabulary in closed form.

use burn::module::Module as _;
use burn::optim::GradientsParams;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use kernels::{Upstream, add_product, at_least_f32};
use vlm_model::QwenVl;

use super::{KeptLogits, Positions, Predictions, Vocabulary, chunks};
use crate::gradients::Gradients;

impl Vocabulary {
    /// Carries the gradient with respect to [`Self::predictions`] back to the hidden states and, into `gradients`, to the
    /// output projection, if that is trained. The reference gets no gradient.
    ///
    /// A chunk's logits are made again, unless they were `kept`, and its gradient written over them; no graph is recorded.
    /// Positions whose gradient is zero, such as those that a token filter passes over, are left out where they are more than an
    /// eighth.
    ///
    /// # Shapes
    /// - `upstream`: of what was asked for, each `[tokens]`; `None` counts as 0
    /// - returns `[tokens, width]`
    pub fn backward(
        &self,
        model: &QwenVl,
        positions: &Positions,
        kept: KeptLogits,
        upstream: &Predictions,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let Some(places) = upstream.live_places() else {
            return self.backward_of_all(model, positions, kept, upstream, gradients);
        };
        let count = places.len();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &positions.hidden.device());
        let (live, kept) = (positions.select(&places), kept.select(&places));
        let of_states = self.backward_of_all(model, &live, kept, &upstream.select(&places), gradients);
        let nothing = Tensor::zeros(positions.hidden.dims(), (&of_states.device(), of_states.dtype()));
        nothing.select_assign(0, places, of_states, IndexingUpdateOp::Add)
    }

    fn backward_of_all(
        &self,
        model: &QwenVl,
        positions: &Positions,
        mut kept: KeptLogits,
        upstream: &Predictions,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let head = model.lm_head.as_ref().map_or(&model.model.embed_tokens.weight, |head| &head.weight);
        let trained = head.val().is_require_grad();
        let frozen = model.valid();
        let weight = frozen.output_weight();
        let mut of_states = Vec::new();
        let mut of_weight: Option<Tensor<2>> = None;
        for (start, length) in chunks(positions.count(), self.chunk) {
            let rows = |states: &Tensor<2>| states.clone().narrow(0, start, length);
            let slopes = |values: &Tensor<1>| values.clone().narrow(0, start, length);
            let hidden = rows(&positions.hidden);
            let entropy = upstream.entropy.as_ref().filter(|_| positions.entropy);
            let divergence = upstream.reference_divergence.as_ref().zip(positions.reference.as_ref());
            let upstream = Upstream {
                log_probs: slopes(&upstream.log_probs),
                entropy: entropy.map(slopes),
                divergence: divergence.map(|(upstream, (reference, states))| {
                    (slopes(upstream), self.softmax.adjusted(reference.logits(rows(states))))
                }),
            };
            let sampled = positions.sampled.clone().narrow(0, start, length);
            let logits = kept.0.take().unwrap_or_else(|| self.softmax.adjusted(frozen.logits(hidden.clone())));
            let gradient = self.softmax.gradient(logits, sampled, upstream);
            let gradient = if gradient.dtype() == weight.dtype() { gradient } else { gradient.cast(weight.dtype()) };
            if trained {
                of_weight = Some(match of_weight {
                    Some(sum) => add_product(sum, gradient.clone(), hidden),
                    None => at_least_f32(gradient.clone().transpose().matmul(hidden)),
                });
            }
            of_states.push(gradient.matmul(weight.clone()));
        }
        if let Some(of_weight) = of_weight {
            let mut share = GradientsParams::new();
            share.register(head.id, of_weight);
            gradients.add(model, share);
        }
        if of_states.is_empty() { positions.hidden.clone().zeros_like() } else { Tensor::cat(of_states, 0) }
    }
}

impl Predictions {
    /// Of a gradient: the positions where it is not zero, ascending, or the first if there are none, so that the projection has a
    /// gradient. `None` if the others are so few that leaving them out spares nothing.
    fn live_places(&self) -> Option<Vec<i64>> {
        // One number for each position, read at once.
        let others = [&self.entropy, &self.reference_divergence].into_iter().flatten();
        let sizes = others.fold(self.log_probs.clone().abs(), |sizes, values| sizes + values.clone().abs());
        let live: Vec<bool> = sizes.into_data().iter::<f32>().map(|size| size != 0.0).collect();
        let mut places: Vec<i64> = (0..).zip(&live).filter_map(|(place, &live)| live.then_some(place)).collect();
        if places.is_empty() {
            places.push(0);
        }
        // What is copied then is little beside what is spared.
        (places.len() < live.len() - live.len() / 8).then_some(places)
    }

    fn select(&self, places: &Tensor<1, Int>) -> Self {
        let select = |values: &Tensor<1>| values.clone().select(0, places.clone());
        Self {
            log_probs: select(&self.log_probs),
            entropy: self.entropy.as_ref().map(select),
            reference_divergence: self.reference_divergence.as_ref().map(select),
        }
    }
}

impl Positions<'_> {
    fn select(&self, places: &Tensor<1, Int>) -> Self {
        let select = |states: &Tensor<2>| states.clone().select(0, places.clone());
        Self {
            hidden: select(&self.hidden),
            sampled: self.sampled.clone().select(0, places.clone()),
            entropy: self.entropy,
            reference: self.reference.as_ref().map(|(reference, states)| (*reference, select(states))),
        }
    }
}

impl KeptLogits {
    fn select(self, places: &Tensor<1, Int>) -> Self {
        Self(self.0.map(|logits| logits.select(0, places.clone())))
    }
}
