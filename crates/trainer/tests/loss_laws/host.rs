//! The objective in f64 on the host, token by token, for comparison.

use trainer::{ClippedSurrogate, KlEstimator, Objective, Reduction};

use crate::table::Batch;

/// Clip bounds as plain numbers, since a [`trainer::ClipRange`] keeps its own to itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clip {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// One token's terms.
struct Terms {
    surrogate: f64,
    proxy: f64,
    divergence: f64,
    clipped_high: bool,
    clipped_low: bool,
    drift: f64,
}

/// Total and parts, and the sum of the terms' magnitudes, by which rounding is measured.
pub(crate) struct Host {
    pub(crate) total: f64,
    pub(crate) parts: [f64; 6],
    pub(crate) magnitude: f64,
}

fn terms(
    surrogate: ClippedSurrogate,
    objective: &Objective,
    clip: Clip,
    batch: &Batch,
    row: usize,
    token: usize,
) -> Terms {
    let at = |table: &[Vec<f64>]| table[row][token];
    let (log_prob, old, advantage) = (at(&batch.log_probs), at(&batch.old), at(&batch.advantage));
    let ratio = (log_prob - old).clamp(-20.0, 20.0).exp();
    let (free, bound) = (-advantage * ratio, -advantage * ratio.clamp(1.0 - clip.low, 1.0 + clip.high));
    let pessimistic = free.max(bound);
    let limit = surrogate.dual.map(|dual| -advantage * dual).filter(|_| advantage < 0.0);
    let clipped_low = limit.is_some_and(|limit| pessimistic > limit);
    let loss = limit.map_or(pessimistic, |limit| pessimistic.min(limit));
    let difference = at(&batch.reference) - log_prob;
    let divergence = objective.reference_kl.map_or(0.0, |kl| match kl.estimator {
        KlEstimator::K1 => -difference,
        KlEstimator::K2 => difference.powi(2) / 2.0,
        KlEstimator::K3 => {
            let difference = difference.clamp(-20.0, 20.0);
            (difference.exp() - 1.0 - difference).clamp(-10.0, 10.0)
        }
    });
    Terms {
        surrogate: loss * at(&batch.gate),
        proxy: -log_prob,
        divergence,
        clipped_high: bound > free,
        clipped_low,
        drift: old - log_prob,
    }
}

/// Weight of a token of a row of this length.
fn weight(reduction: Reduction, lengths: &[usize], length: usize) -> f64 {
    match reduction {
        Reduction::TokenMean => 1.0 / lengths.iter().sum::<usize>() as f64,
        Reduction::SequenceMean => 1.0 / (lengths.len() * length) as f64,
    }
}

pub(crate) fn evaluate(surrogate: ClippedSurrogate, objective: &Objective, clip: Clip, batch: &Batch) -> Host {
    let mut host = Host { total: 0.0, parts: [0.0; 6], magnitude: 0.0 };
    let coefficient = objective.reference_kl.map_or(0.0, |kl| kl.coefficient);
    for (row, token) in batch.tokens() {
        let weight = weight(objective.reduction, &batch.lengths, batch.lengths[row]);
        let terms = terms(surrogate, objective, clip, batch, row, token);
        let flag = |set: bool| f64::from(u8::from(set));
        let values = [
            terms.surrogate,
            terms.proxy,
            terms.divergence,
            flag(terms.clipped_high),
            flag(terms.clipped_low),
            terms.drift,
        ];
        host.parts.iter_mut().zip(values).for_each(|(part, value)| *part += weight * value);
        let entropy = objective.entropy_penalty * terms.proxy;
        host.total += weight * (terms.surrogate + entropy + coefficient * terms.divergence);
        host.magnitude += weight * (terms.surrogate.abs() + terms.proxy.abs() + terms.divergence.abs());
    }
    host
}

/// How close a token is to a point where the objective has no derivative, in nats.
pub(crate) fn distance_to_kink(
    surrogate: ClippedSurrogate,
    clip: Clip,
    batch: &Batch,
    row: usize,
    token: usize,
) -> f64 {
    let log_ratio = batch.log_probs[row][token] - batch.old[row][token];
    let reference = batch.reference[row][token] - batch.log_probs[row][token];
    // eᵈ − d − 1 reaches 10 here.
    let k3_limit = 2.610_869;
    let kinks = [(1.0 - clip.low).ln(), (1.0 + clip.high).ln(), surrogate.dual.unwrap_or(1.0).ln(), 20.0, -20.0];
    let of_ratio = kinks.iter().map(|kink| (log_ratio - kink).abs()).fold(f64::INFINITY, f64::min);
    of_ratio.min((reference - k3_limit).abs())
}
