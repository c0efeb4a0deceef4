//! The objective in f64 on the host, token by token, for comparison.

use trainer::{BuiltInLoss, ClipRange, ImportanceCorrection, ImportanceLevel, KlEstimator, Objective, Reduction};

use crate::table::{Batch, MAX_NEW_TOKENS, Table};

/// Total and parts, and the sum of the terms' magnitudes, by which rounding is measured.
pub(crate) struct Host {
    pub(crate) total: f64,
    pub(crate) parts: [f64; 12],
    pub(crate) magnitude: f64,
}

/// One token of a batch. The gradient takes `constant` for the current log-probabilities where the loss does.
struct Token<'a> {
    batch: &'a Batch,
    constant: &'a Table,
    row: usize,
    token: usize,
}

/// A token's loss, and whether its ratio is clipped and bounded.
struct Surrogate {
    loss: f64,
    clipped_high: bool,
    clipped_low: bool,
}

impl Token<'_> {
    fn at(&self, table: &Table) -> f64 {
        table[self.row][self.token]
    }

    /// Mean over the row of one table minus another.
    fn row_mean(&self, a: &Table, b: &Table) -> f64 {
        let length = self.batch.lengths[self.row];
        (0..length).map(|t| a[self.row][t] - b[self.row][t]).sum::<f64>() / length as f64
    }

    fn surrogate(&self, loss: &BuiltInLoss) -> Surrogate {
        let batch = self.batch;
        let (log_prob, advantage) = (self.at(&batch.log_probs), self.at(&batch.advantage));
        let log_ratio = log_prob - self.at(&batch.old);
        match loss {
            BuiltInLoss::ClippedSurrogate(loss) => {
                let clipped = clipped(loss.clip, log_ratio, advantage);
                let limit = loss.dual.map(|dual| -advantage * dual).filter(|_| advantage < 0.0);
                Surrogate {
                    clipped_low: limit.is_some_and(|limit| clipped.loss > limit),
                    loss: limit.map_or(clipped.loss, |limit| clipped.loss.min(limit)),
                    ..clipped
                }
            }
            BuiltInLoss::Gspo(loss) if loss.token_level => {
                let mean = self.row_mean(self.constant, &batch.old);
                clipped(loss.clip, mean + log_prob - self.at(self.constant), advantage)
            }
            BuiltInLoss::Gspo(loss) => clipped(loss.clip, self.row_mean(&batch.log_probs, &batch.old), advantage),
            BuiltInLoss::Cispo(loss) => {
                let ratio = (self.at(self.constant) - self.at(&batch.old)).clamp(-20.0, 20.0).exp();
                let weight = ratio.max(1.0 - loss.low.value()).min(1.0 + loss.high.value());
                Surrogate { loss: -advantage * weight * log_prob, clipped_high: weight != ratio, clipped_low: false }
            }
            BuiltInLoss::PolicyGradient(_) => {
                Surrogate { loss: -advantage * log_prob, clipped_high: false, clipped_low: false }
            }
        }
    }

    /// Weight of the policy term, and whether it was limited.
    fn importance(&self, correction: &ImportanceCorrection) -> (f64, bool) {
        let ratio = self.importance_log_ratio(level(correction)).clamp(-20.0, 20.0).exp();
        match correction {
            ImportanceCorrection::Truncated(truncated) => {
                (ratio.min(truncated.cap.value()), ratio > truncated.cap.value())
            }
            ImportanceCorrection::Masked(masked) => {
                let outside = ratio < masked.low.value() || ratio > masked.high.value();
                let kept = if masked.weighted { ratio } else { 1.0 };
                (if outside { 0.0 } else { kept }, outside)
            }
        }
    }

    fn importance_log_ratio(&self, level: ImportanceLevel) -> f64 {
        let mean = self.row_mean(&self.batch.old, &self.batch.sampling);
        match level {
            ImportanceLevel::Token => self.at(&self.batch.old) - self.at(&self.batch.sampling),
            ImportanceLevel::Sequence => mean * self.batch.lengths[self.row] as f64,
            ImportanceLevel::SequenceMean => mean,
        }
    }
}

const fn level(correction: &ImportanceCorrection) -> ImportanceLevel {
    match correction {
        ImportanceCorrection::Truncated(truncated) => truncated.level,
        ImportanceCorrection::Masked(masked) => masked.level,
    }
}

fn clipped(clip: ClipRange, log_ratio: f64, advantage: f64) -> Surrogate {
    let ratio = log_ratio.clamp(-20.0, 20.0).exp();
    let (free, bound) = (-advantage * ratio, -advantage * ratio.clamp(1.0 - clip.low(), 1.0 + clip.high()));
    Surrogate { loss: free.max(bound), clipped_high: bound > free, clipped_low: false }
}

fn k3(difference: f64) -> f64 {
    let difference = difference.clamp(-20.0, 20.0);
    (difference.exp() - 1.0 - difference).clamp(-10.0, 10.0)
}

/// Weight of a token of a row of this length, in the policy term and in the others.
fn weights(reduction: Reduction, batch: &Batch, length: usize) -> (f64, f64) {
    let lengths = &batch.lengths;
    let tokens = lengths.iter().sum::<usize>() as f64;
    let speaking = lengths.iter().filter(|&&n| n > 0).count() as f64;
    let all = lengths.len() as f64;
    let weight = match reduction {
        Reduction::TokenMean | Reduction::Selected => 1.0 / tokens,
        Reduction::SequenceMean => 1.0 / (all * length as f64),
        Reduction::NonEmptySequenceMean => 1.0 / (speaking * length as f64),
        Reduction::SequenceSum => 1.0 / speaking,
        Reduction::DrGrpo { max_length } => 1.0 / (all * max_length.map_or(MAX_NEW_TOKENS, usize::from) as f64),
    };
    let mass: f64 = batch.tokens().map(|(row, token)| batch.gate[row][token]).sum();
    (if reduction == Reduction::Selected { 1.0 / (mass + 1e-8) } else { weight }, weight)
}

pub(crate) fn evaluate(loss: &BuiltInLoss, objective: &Objective, batch: &Batch, constant: &Table) -> Host {
    let mut host = Host { total: 0.0, parts: [0.0; 12], magnitude: 0.0 };
    let share = 1.0 / batch.lengths.iter().sum::<usize>() as f64;
    let flag = |set: bool| f64::from(u8::from(set));
    for (row, token) in batch.tokens() {
        let here = Token { batch, constant, row, token };
        let (policy, regularizer) = weights(objective.reduction, batch, batch.lengths[row]);
        let surrogate = here.surrogate(loss);
        let log_prob = here.at(&batch.log_probs);
        let (importance, limited) =
            objective.importance.as_ref().map_or((1.0, false), |correction| here.importance(correction));
        let value = policy * surrogate.loss * here.at(&batch.gate) * importance;

        let proxy = -log_prob;
        let entropy = if objective.entropy_bonus == 0.0 { 0.0 } else { here.at(&batch.entropy) };
        let difference = here.at(&batch.reference) - log_prob;
        let divergence = objective.reference_kl.map_or(0.0, |kl| match kl.estimator {
            KlEstimator::K1 => -difference,
            KlEstimator::K2 => difference.powi(2) / 2.0,
            KlEstimator::K3 => k3(difference),
            KlEstimator::Full => here.at(&batch.divergence),
        });
        let contrast = here.at(&batch.contrast);
        let seen = objective.perception.is_some() && batch.visual[row];
        let perception = if seen { k3(contrast - log_prob) } else { 0.0 };
        let masked = objective.perception.map_or(0.0, |_| -contrast);

        let coefficients = [
            objective.entropy_penalty,
            -objective.entropy_bonus,
            objective.reference_kl.map_or(0.0, |kl| kl.coefficient),
            -objective.perception.map_or(0.0, |perception| perception.coefficient.value()),
            objective.perception.map_or(0.0, |perception| perception.masked_entropy.value()),
        ];
        let terms = [proxy, entropy, divergence, perception, masked].map(|term| regularizer * term);
        let reported = [
            flag(surrogate.clipped_high),
            flag(surrogate.clipped_low),
            here.at(&batch.old) - log_prob,
            importance,
            importance.powi(2),
            flag(limited),
        ];
        let parts = std::iter::once(value).chain(terms).chain(reported.map(|value| share * value));
        host.parts.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        host.total += value + terms.iter().zip(coefficients).map(|(term, c)| term * c).sum::<f64>();
        host.magnitude += value.abs() + terms.iter().map(|term| term.abs()).sum::<f64>() + importance.powi(2);
    }
    host
}

/// How close a token is to a point where the loss has no derivative, in nats.
pub(crate) fn distance_to_kink(loss: &BuiltInLoss, batch: &Batch, row: usize, token: usize) -> f64 {
    let here = Token { batch, constant: &batch.log_probs, row, token };
    let log_prob = here.at(&batch.log_probs);
    let of_token = log_prob - here.at(&batch.old);
    let of_row = here.row_mean(&batch.log_probs, &batch.old);
    let range = |clip: ClipRange| [1.0 - clip.low(), 1.0 + clip.high()];
    let (log_ratio, bounds) = match loss {
        BuiltInLoss::ClippedSurrogate(loss) => {
            (of_token, [&range(loss.clip)[..], &[loss.dual.unwrap_or(1.0)]].concat())
        }
        BuiltInLoss::Gspo(loss) => (of_row, range(loss.clip).to_vec()),
        BuiltInLoss::Cispo(loss) => (of_token, vec![1.0 - loss.low.value(), 1.0 + loss.high.value()]),
        BuiltInLoss::PolicyGradient(_) => (of_token, Vec::new()),
    };
    let of_ratio = bounds.iter().map(|bound| (log_ratio - bound.ln()).abs()).fold(f64::INFINITY, f64::min);
    // eᵈ − d − 1 reaches 10 here.
    let of_k3 = |other: &Table| (here.at(other) - log_prob - 2.610_869).abs();
    of_ratio.min(of_k3(&batch.reference)).min(of_k3(&batch.contrast))
}

/// How close a token's importance weight is to a jump, in nats.
pub(crate) fn distance_to_jump(correction: &ImportanceCorrection, batch: &Batch, row: usize, token: usize) -> f64 {
    let here = Token { batch, constant: &batch.log_probs, row, token };
    let log_ratio = here.importance_log_ratio(level(correction));
    let bounds = match correction {
        ImportanceCorrection::Truncated(truncated) => vec![truncated.cap.value()],
        ImportanceCorrection::Masked(masked) => vec![masked.low.value(), masked.high.value()],
    };
    bounds.iter().map(|bound| (log_ratio - bound.ln()).abs()).fold(f64::INFINITY, f64::min)
}
