//! Held-out accuracy, by the same prompts, sampler and judge as training.

use crate::TrainError;
use crate::collect::{RewardSums, Source};
use crate::problems::Problems;
use crate::seeds::{Purpose, derive};

/// Problems answered at once.
const BATCH: usize = 32;

/// The outcome on a set of problems.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Mean over problems of the share of right responses (avg@k).
    pub accuracy: f64,
    /// Standard error of that mean over problems.
    pub standard_error: f64,
    /// Problems.
    pub problems: usize,
    /// Responses to each.
    pub samples: usize,
    /// Right responses to each problem.
    pub right: Vec<usize>,
    /// Sums over all responses.
    pub sums: RewardSums,
}

impl Evaluation {
    /// From the number of right ones among `samples` responses to each problem.
    fn of(right: Vec<usize>, samples: usize, sums: RewardSums) -> Self {
        let count = right.len() as f64;
        let shares = || right.iter().map(|&right| right as f64 / samples.max(1) as f64);
        let accuracy = shares().sum::<f64>() / count.max(1.0);
        let squares: f64 = shares().map(|share| (share - accuracy).powi(2)).sum();
        let variance = squares / (count - 1.0).max(1.0);
        let standard_error = (variance / count.max(1.0)).sqrt();
        Self { accuracy, standard_error, problems: right.len(), samples, right, sums }
    }

    /// Mean over problems of the chance that at least one of `k` responses is right (pass@k), estimated without bias from all
    /// the samples; `None` without a problem or unless `k` lies in `1..=samples`.
    ///
    /// # Source
    /// Chen et al., "Evaluating Large Language Models Trained on Code", arXiv:2107.03374, equation 1.
    #[must_use]
    pub fn pass_at(&self, k: usize) -> Option<f64> {
        if self.right.is_empty() || !(1..=self.samples).contains(&k) {
            return None;
        }
        let sum: f64 = self.right.iter().map(|&right| pass_at_k(self.samples, right, k)).sum();
        Some(sum / self.right.len() as f64)
    }

    /// pass@k for `k` of 2, 4, 8 and so on as far as the samples go: what reports show beside the accuracy, which is pass@1.
    pub fn passes(&self) -> impl Iterator<Item = (usize, f64)> {
        let doubled = std::iter::successors(Some(2_usize), |k| k.checked_mul(2));
        doubled.map_while(|k| self.pass_at(k).map(|pass| (k, pass)))
    }
}

impl std::fmt::Display for Evaluation {
    /// The accuracy in percent, its standard error, what it was taken over, and the last of the [`Evaluation::passes`].
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { accuracy, standard_error, problems, samples, .. } = self;
        write!(
            formatter,
            "{:.1} % ± {:.1} ({problems} problems × {samples}",
            100.0 * accuracy,
            100.0 * standard_error
        )?;
        if let Some((k, pass)) = self.passes().last() {
            write!(formatter, ", pass@{k} {:.1} %", 100.0 * pass)?;
        }
        formatter.write_str(")")
    }
}

/// The chance that `k` of `samples` responses, drawn without putting back, hold one of the `right` ones.
fn pass_at_k(samples: usize, right: usize, k: usize) -> f64 {
    let wrong = samples - right;
    if wrong < k {
        return 1.0;
    }
    let all_wrong: f64 = (0..k).map(|drawn| (wrong - drawn) as f64 / (samples - drawn) as f64).product();
    1.0 - all_wrong
}

/// Samples `samples` responses to every problem and averages; bad problems are left out. `done` is told how many problems are finished.
///
/// # Errors
/// If the problems cannot be read or nothing can be sampled.
pub fn evaluate(
    source: &Source,
    problems: &Problems,
    samples: usize,
    mut done: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    let (mut right, mut sums) = (Vec::with_capacity(problems.len()), RewardSums::default());
    for (index, first) in (0..problems.len()).step_by(BATCH).enumerate() {
        let batch = first..problems.len().min(first + BATCH);
        let tasks = batch.filter_map(|problem| problems.task(problem, source).transpose()).collect::<Result<_, _>>()?;
        let seed = derive(source.config.seed, Purpose::Validation, &[index as u64]);
        for group in source.answer(tasks, samples, seed)? {
            right.push(group.verdicts.iter().filter(|verdict| verdict.accuracy >= 1.0).count());
            sums.add(&group.verdicts);
        }
        done(right.len());
    }
    Ok(Evaluation::of(right, samples, sums))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn standard_error_of_four_problems() {
        let evaluation = Evaluation::of(vec![0, 2, 1, 1], 2, RewardSums::default());
        assert_eq!(evaluation.accuracy, 0.5);
        // Sample variance 0.5 / 3, divided by four problems.
        assert!((evaluation.standard_error - (0.5_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!((evaluation.problems, evaluation.samples), (4, 2));
    }

    #[test]
    fn metrics_are_the_recorded_ones() {
        let golden = include_str!("../../../tests/fixtures/credit/golden.json");
        let golden: Value = serde_json::from_str(golden).expect("the fixture is JSON");
        let cases = golden["cases"]["eval_metrics"].as_array().expect("a list of cases");
        assert_eq!(Some(cases.len() as u64), golden["meta"]["counts"]["eval_metrics"].as_u64());
        let close = |found: f64, expected: &Value| (found - expected.as_f64().expect("a number")).abs() < 1e-12;
        for case in cases {
            let (input, output) = (&case["in"], &case["out"]);
            let table: Vec<Vec<usize>> = serde_json::from_value(input["correct"].clone()).expect("a table");
            let right = table.iter().map(|row| row.iter().sum()).collect();
            let evaluation = Evaluation::of(right, table[0].len(), RewardSums::default());
            assert!(close(evaluation.accuracy, &output["avg_at_k"]), "{case}: {}", evaluation.accuracy);
            let count = |key: &str| input[key].as_u64().expect("a count") as usize;
            let alone = Evaluation::of(vec![count("c")], count("n"), RewardSums::default());
            let pass = alone.pass_at(count("k")).expect("a k of at most n");
            assert!(close(pass, &output["pass_at_k"]), "{case}: {pass}");
        }
    }

    /// Every choice of `k` of the samples, one by one.
    #[test]
    fn pass_at_k_is_the_share_of_choices_with_a_right_one() {
        for samples in 1..=6_usize {
            for right in 0..=samples {
                for k in 1..=samples {
                    let choices = || (0_u32..1 << samples).filter(|choice| choice.count_ones() as usize == k);
                    let passing = choices().filter(|choice| choice & ((1 << right) - 1) != 0).count();
                    let expected = passing as f64 / choices().count() as f64;
                    assert!((pass_at_k(samples, right, k) - expected).abs() < 1e-12, "{right} of {samples}, k {k}");
                }
            }
        }
    }

    #[test]
    fn pass_at_k_is_reported_as_far_as_the_samples_go() {
        let evaluation = Evaluation::of(vec![1, 0], 5, RewardSums::default());
        // pass@1 is the accuracy, 1 - 4/5 instead of 1/5: two roundings.
        assert!((evaluation.pass_at(1).expect("one of five") - evaluation.accuracy).abs() < 1e-15);
        assert_eq!((evaluation.pass_at(0), evaluation.pass_at(6)), (None, None));
        assert_eq!(evaluation.pass_at(5), Some(0.5));
        let passes: Vec<usize> = evaluation.passes().map(|(k, _)| k).collect();
        assert_eq!(passes, [2, 4]);
        assert_eq!(evaluation.to_string(), "10.0 % ± 10.0 (2 problems × 5, pass@4 40.0 %)");
        let single = Evaluation::of(vec![1, 0], 1, RewardSums::default());
        assert_eq!(single.to_string(), "50.0 % ± 50.0 (2 problems × 1)");
        assert_eq!(Evaluation::of(Vec::new(), 4, RewardSums::default()).pass_at(2), None);
    }
}
