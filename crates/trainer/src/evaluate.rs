//! Held-out accuracy, by the same prompts, sampler and judge as training.

use dataset::Problem;

use crate::TrainError;
use crate::collect::{RewardSums, Source};
use crate::prepare::prepare;
use crate::seeds::{Purpose, derive};

/// Problems answered at once.
const BATCH: usize = 32;

/// The outcome on a set of problems.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Mean over problems of the share of right responses (avg@k).
    pub accuracy: f64,
    /// Standard error of that mean over problems.
    pub standard_error: f64,
    /// Problems.
    pub problems: usize,
    /// Responses to each.
    pub samples: usize,
    /// Sums over all responses.
    pub sums: RewardSums,
}

impl Evaluation {
    fn of(shares: &[f64], samples: usize, sums: RewardSums) -> Self {
        let count = shares.len() as f64;
        let accuracy = shares.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = shares.iter().map(|share| (share - accuracy).powi(2)).sum();
        let variance = squares / (count - 1.0).max(1.0);
        Self { accuracy, standard_error: (variance / count.max(1.0)).sqrt(), problems: shares.len(), samples, sums }
    }
}

/// Samples `samples` responses to every problem and averages. `done` is told how many problems are finished.
///
/// # Errors
/// If a problem cannot be prepared or nothing can be sampled.
pub fn evaluate(
    source: &Source,
    problems: &[Problem],
    samples: usize,
    mut done: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    let (mut shares, mut sums) = (Vec::with_capacity(problems.len()), RewardSums::default());
    for (index, batch) in problems.chunks(BATCH).enumerate() {
        let task = |problem| prepare(problem, source.processor, &source.policy.config, &source.config.data);
        let tasks = batch.iter().map(task).collect::<Result<Vec<_>, _>>()?;
        let seed = derive(source.config.seed, Purpose::Validation, &[index as u64]);
        for group in source.answer(tasks, samples, seed)? {
            let right: f64 = group.verdicts.iter().map(|verdict| f64::from(verdict.accuracy)).sum();
            shares.push(right / samples.max(1) as f64);
            sums.add(&group.verdicts);
        }
        done(shares.len());
    }
    Ok(Evaluation::of(&shares, samples, sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_error_of_four_problems() {
        let evaluation = Evaluation::of(&[0.0, 1.0, 0.5, 0.5], 2, RewardSums::default());
        assert_eq!(evaluation.accuracy, 0.5);
        // Sample variance 0.5 / 3, divided by four problems.
        assert!((evaluation.standard_error - (0.5_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
    }
}
