//! What views predict of the same tokens, and how far apart their predictions are.

use burn::tensor::{Int, Tensor};
use dependency::Divergence;
use kernels::Prediction;
use vlm_model::QwenVl;

use super::{TokenScores, Vocabulary, chunks, joined};

/// What is known of the clean view.
#[derive(Clone, Debug)]
pub enum Clean {
    /// The states the tokens are predicted from; `[tokens, width]`.
    States(Tensor<2>),
    /// The sampled tokens' log-probabilities alone, nats; `[tokens]`.
    LogProbs(Tensor<1>),
}

/// Two views whose predictions of the same tokens are compared.
#[derive(Clone)]
pub struct ViewPair<'a> {
    /// States under the first, `[tokens, width]`; `None` is the clean view.
    pub base: Option<Tensor<2>>,
    /// States under the second, likewise.
    pub view: Option<Tensor<2>>,
    /// What tells how far apart they are.
    pub divergences: Vec<&'a dyn Divergence>,
}

/// A contrast view's scores of the same tokens.
#[derive(Clone, Debug)]
pub struct ContrastScores {
    /// Log-probability of the sampled token under the contrast view; `[tokens]`.
    pub log_probs: Tensor<1>,
    /// One list per divergence asked for; each `[tokens]`.
    pub divergences: Vec<Tensor<1>>,
}

impl ContrastScores {
    /// The same list of tokens taken of everything.
    pub(crate) fn map(&self, take: impl Fn(&Tensor<1>) -> Tensor<1>) -> Self {
        Self { log_probs: take(&self.log_probs), divergences: self.divergences.iter().map(take).collect() }
    }
}

/// What divergences read of one view, in a chunk.
#[derive(Clone)]
struct Seen {
    log_probs: Tensor<1>,
    /// If a divergence reads whole distributions.
    logits: Option<Tensor<2>>,
}

/// Growing lists of a contrast's scores.
struct Parts {
    log_probs: Vec<Tensor<1>>,
    divergences: Vec<Vec<Tensor<1>>>,
}

impl Vocabulary {
    /// Scores of the clean view, and of each of the compared ones.
    ///
    /// The clean logits of a chunk are made once and shared by all pairs. Divergences of the sampled tokens alone need no
    /// logits of a view whose log-probabilities are known. Of log-probabilities alone there is no entropy: it is not a number.
    ///
    /// # Shapes
    /// - `sampled`: `[tokens]`
    ///
    /// # Panics
    /// If of the clean view log-probabilities alone are known, and a divergence reads its whole distributions.
    #[must_use]
    pub fn compare(
        &self,
        model: &QwenVl,
        clean: &Clean,
        sampled: &Tensor<1, Int>,
        pairs: &[ViewPair],
    ) -> (TokenScores, Vec<ContrastScores>) {
        let (mut log_probs, mut entropies) = (Vec::new(), Vec::new());
        let mut compared: Vec<Parts> = pairs.iter().map(Parts::of).collect();
        let mut divergences = pairs.iter().flat_map(|pair| &pair.divergences);
        let whole = divergences.any(|divergence| divergence.of_sampled().is_none());
        for (start, length) in chunks(sampled.dims()[0], self.chunk) {
            let sampled = sampled.clone().narrow(0, start, length);
            let predict =
                |states: &Tensor<2>| self.predict(model, states.clone().narrow(0, start, length), sampled.clone());
            let clean = match clean {
                Clean::States(states) => {
                    let known = predict(states);
                    entropies.push(known.entropy());
                    Seen::of(known, whole)
                }
                Clean::LogProbs(known) => Seen { log_probs: known.clone().narrow(0, start, length), logits: None },
            };
            log_probs.push(clean.log_probs.clone());
            for (pair, parts) in pairs.iter().zip(&mut compared) {
                let seen = |states: &Option<Tensor<2>>| match states {
                    Some(states) => Seen::of(predict(states), whole),
                    None => clean.clone(),
                };
                let (base, view) = (seen(&pair.base), seen(&pair.view));
                parts.log_probs.push(view.log_probs.clone());
                for (&divergence, values) in pair.divergences.iter().zip(&mut parts.divergences) {
                    values.push(base.divergence(divergence, &view, &sampled));
                }
            }
        }
        let device = sampled.device();
        let log_probs = joined(log_probs, &device);
        let entropy = match clean {
            Clean::States(_) => joined(entropies, &device),
            Clean::LogProbs(known) => known.full_like(f32::NAN),
        };
        (TokenScores { log_probs, entropy }, compared.into_iter().map(|parts| parts.joined(sampled)).collect())
    }
}

impl Seen {
    /// Drops the logits if nothing will read them.
    fn of(known: Prediction, whole: bool) -> Self {
        Self { log_probs: known.log_probs, logits: whole.then_some(known.logits) }
    }

    fn divergence(&self, divergence: &dyn Divergence, view: &Self, sampled: &Tensor<1, Int>) -> Tensor<1> {
        if let Some(divergence) = divergence.of_sampled() {
            return divergence.of_log_probs(self.log_probs.clone(), view.log_probs.clone());
        }
        let logits = |seen: &Self| seen.logits.clone().expect("whole distributions of both views");
        divergence.per_token(logits(self), logits(view), sampled.clone())
    }
}

impl Parts {
    fn of(pair: &ViewPair) -> Self {
        Self { log_probs: Vec::new(), divergences: vec![Vec::new(); pair.divergences.len()] }
    }

    fn joined(self, sampled: &Tensor<1, Int>) -> ContrastScores {
        let device = sampled.device();
        let divergences = self.divergences.into_iter().map(|values| joined(values, &device)).collect();
        ContrastScores { log_probs: joined(self.log_probs, &device), divergences }
    }
}
