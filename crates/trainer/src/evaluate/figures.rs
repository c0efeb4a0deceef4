//! The figures of an evaluation, each with its definition.
//!
//! Every mean is a sum over a count; an error that cannot be estimated is absent and never 0.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::record::Skipped;
use super::tally::{Outcome, Tally, is_judged};

/// Name of the problems without a category beside others that have one.
const UNCATEGORIZED: &str = "uncategorized";

/// The outcome on a set of problems.
///
/// It does not depend on the order in which the problems were answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Responses sampled for each problem.
    pub samples: usize,
    /// Over all problems.
    pub overall: Score,
    /// Over the problems of each category; empty where no problem has one.
    pub categories: BTreeMap<String, Score>,
    /// Problems that could not be asked and count nowhere else, by number.
    pub skipped: Vec<Skipped>,
    /// The share of right responses of each problem that has one, by number: what is compared with another evaluation.
    #[serde(skip)]
    pub shares: BTreeMap<usize, f64>,
}

/// Figures over some problems.
///
/// An ungraded response counts among the lengths and nowhere else. A response that was cut may count as wrong
/// unasked, but not alone: where the reward judged none of those it was asked for, be it for one problem or for all,
/// nothing is counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Problems with a graded response.
    pub problems: usize,
    /// Responses, ungraded ones included.
    pub responses: usize,
    /// Responses that count as neither right nor wrong.
    pub ungraded: usize,
    /// Mean over problems of the share of right responses (avg@k), in 0..=1; `None` without one.
    pub accuracy: Option<f64>,
    /// Standard error of that mean, for problems that are a sample of all such problems: the deviation of the problems' shares
    /// over the root of their number. `None` for fewer than two problems.
    pub standard_error: Option<f64>,
    /// The part of it that other draws of the responses to these same problems would make. `None` unless every problem has at
    /// least two graded responses.
    ///
    /// # Source
    /// Miller, "Adding Error Bars to Evals", arXiv:2411.00640, on resampled answers. The variance of a problem's share `p` of `k`
    /// responses is estimated without bias by `p (1 - p) / (k - 1)`.
    pub sampling_error: Option<f64>,
    /// pass@k for `k` of 2, 4, 8 and so on as far as the responses go; pass@1 is the accuracy.
    pub pass_at: BTreeMap<usize, f64>,
    /// Mean reward of the graded responses, as learnt from in training; `None` without one.
    pub reward: Option<f64>,
    /// Mean of each of the reward's parts over the graded responses, by name; a response that lacks a part adds nothing to it.
    pub parts: BTreeMap<String, f64>,
    /// Tokens of the responses.
    pub length: Lengths,
    /// Share of the responses that were cut at the length limit.
    pub truncated: f64,
}

/// How long responses are, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lengths {
    /// Mean.
    pub mean: f64,
    /// Median: the shortest length that at least half of the responses do not exceed.
    pub p50: usize,
    /// The shortest length that at least 95 % of the responses do not exceed.
    pub p95: usize,
    /// Longest.
    pub max: usize,
}

impl Evaluation {
    /// Takes the figures.
    pub(super) fn of(tally: Tally) -> Self {
        let nothing_judged = !is_judged(tally.attempts());
        let Tally { samples, mut outcomes, mut skipped } = tally;
        if nothing_judged {
            for attempt in outcomes.iter_mut().flat_map(|outcome| &mut outcome.attempts) {
                attempt.marks = None;
            }
        }
        // In one order, so that sums come out the same to the last bit.
        outcomes.sort_by_key(|outcome| outcome.problem);
        skipped.sort_by_key(|skipped| skipped.problem);
        let mut categories: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
        if outcomes.iter().any(|outcome| outcome.category.is_some()) {
            for outcome in &outcomes {
                let name = outcome.category.as_deref().unwrap_or(UNCATEGORIZED);
                categories.entry(name.to_owned()).or_default().push(outcome);
            }
        }
        Self {
            samples,
            overall: Score::of(&outcomes.iter().collect::<Vec<_>>(), samples),
            categories: categories.into_iter().map(|(name, some)| (name, Score::of(&some, samples))).collect(),
            skipped,
            shares: outcomes.iter().filter_map(|outcome| Some((outcome.problem, outcome.share()?))).collect(),
        }
    }
}

impl Score {
    fn of(outcomes: &[&Outcome], samples: usize) -> Self {
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let marks = || outcomes.iter().flat_map(|outcome| outcome.marks());
        let attempts = || outcomes.iter().flat_map(|outcome| &outcome.attempts);
        let shares: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.share()).collect();
        let (problems, responses, graded) = (shares.len(), attempts().count(), marks().count());
        let doubled = std::iter::successors(Some(2_usize), |k| k.checked_mul(2));
        let mut parts: BTreeMap<String, f64> = BTreeMap::new();
        for (name, value) in marks().flat_map(|marks| &marks.parts) {
            *parts.entry(name.clone()).or_default() += value;
        }
        let passes = doubled.take_while(|&k| k <= samples).filter_map(|k| Some((k, pass_at(outcomes, k)?)));
        Self {
            problems,
            responses,
            ungraded: responses - graded,
            accuracy: mean(shares.iter().sum(), problems),
            standard_error: standard_error(&shares),
            sampling_error: sampling_error(outcomes),
            pass_at: passes.collect(),
            reward: mean(marks().map(|marks| marks.reward).sum(), graded),
            parts: parts.into_iter().filter_map(|(name, sum)| Some((name, mean(sum, graded)?))).collect(),
            length: Lengths::of(attempts().map(|attempt| attempt.tokens).collect()),
            truncated: mean(attempts().filter(|attempt| attempt.truncated).count() as f64, responses)
                .unwrap_or_default(),
        }
    }
}

impl Lengths {
    fn of(mut tokens: Vec<usize>) -> Self {
        tokens.sort_unstable();
        let Some(&max) = tokens.last() else { return Self::default() };
        let percentile = |percent: usize| tokens[(tokens.len() * percent).div_ceil(100).max(1) - 1];
        let mean = tokens.iter().sum::<usize>() as f64 / tokens.len() as f64;
        Self { mean, p50: percentile(50), p95: percentile(95), max }
    }
}

/// Standard error of the mean of independent values: the root of their sample variance over their number. `None` for fewer
/// than two.
pub(super) fn standard_error(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count - 1.0) / count).sqrt())
}

/// What [`Score::sampling_error`] says.
fn sampling_error(outcomes: &[&Outcome]) -> Option<f64> {
    let variance = |outcome: &&Outcome| {
        let share = outcome.share()?;
        (outcome.graded() > 1).then(|| share * (1.0 - share) / (outcome.graded() - 1) as f64)
    };
    let graded = outcomes.iter().filter(|outcome| outcome.graded() > 0);
    let variances = graded.map(variance).collect::<Option<Vec<f64>>>()?;
    (!variances.is_empty()).then(|| variances.iter().sum::<f64>().sqrt() / variances.len() as f64)
}

/// Mean over problems of the chance that at least one of `k` responses is right (pass@k), estimated without bias from all the
/// graded ones; over the problems that have at least `k` of them, `None` if there is none.
///
/// # Source
/// Chen et al., "Evaluating Large Language Models Trained on Code", arXiv:2107.03374, equation 1.
fn pass_at(outcomes: &[&Outcome], k: usize) -> Option<f64> {
    let enough = outcomes.iter().filter(|outcome| outcome.graded() >= k);
    let passes: Vec<f64> = enough.map(|outcome| pass_at_k(outcome.graded(), outcome.right(), k)).collect();
    (!passes.is_empty()).then(|| passes.iter().sum::<f64>() / passes.len() as f64)
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

/// A count with its noun.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Evaluation {
    /// The accuracy in percent or that there is none, its standard error over problems (SE), what it was taken over,
    /// the last pass@k, and what is missing from it.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { samples, overall, skipped, .. } = self;
        match overall.accuracy {
            Some(accuracy) => write!(formatter, "{:.1} %", 100.0 * accuracy)?,
            None => formatter.write_str("not known, no response was judged")?,
        }
        if let Some(error) = overall.standard_error {
            write!(formatter, " ± {:.1} SE", 100.0 * error)?;
        }
        write!(formatter, " ({} × {samples}", counted(overall.problems, "problem"))?;
        if let Some((k, pass)) = overall.pass_at.last_key_value() {
            write!(formatter, ", pass@{k} {:.1} %", 100.0 * pass)?;
        }
        for (what, count) in [("problems skipped", skipped.len()), ("responses ungraded", overall.ungraded)] {
            if count > 0 {
                write!(formatter, "; {what}: {count}")?;
            }
        }
        formatter.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tally::{Attempt, Marks};
    use super::*;

    /// Problems with so many right ones among `samples` responses.
    fn evaluation(right: &[usize], samples: usize) -> Evaluation {
        let attempt = |right| {
            let marks = Marks { asked: true, right, reward: 0.0, parts: Vec::new() };
            Attempt { tokens: 3, truncated: false, marks: Some(marks) }
        };
        let outcome = |(problem, &right): (usize, &usize)| Outcome {
            problem,
            category: None,
            attempts: (0..samples).map(|sample| attempt(sample < right)).collect(),
        };
        let outcomes = right.iter().enumerate().map(outcome).collect();
        Tally { samples, outcomes, skipped: Vec::new() }.evaluation()
    }

    #[test]
    fn errors_of_four_problems() {
        let Evaluation { overall, samples, .. } = evaluation(&[0, 2, 1, 1], 2);
        assert_eq!((overall.accuracy, overall.problems, overall.responses, samples), (Some(0.5), 4, 8, 2));
        // Sample variance 0.5 / 3, divided by four problems.
        let error = overall.standard_error.expect("four problems");
        assert!((error - (0.5_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        // Two problems with a share of one half: 1/4 each over 2 - 1, the root of the sum over four.
        assert!((overall.sampling_error.expect("two responses") - 0.5_f64.sqrt() / 4.0).abs() < 1e-12);
        assert_eq!(evaluation(&[1], 2).overall.standard_error, None);
        assert_eq!(evaluation(&[1, 0], 1).overall.sampling_error, None);
        assert_eq!(evaluation(&[], 2).overall.sampling_error, None);
    }

    #[test]
    fn metrics_are_the_recorded_ones() {
        let golden = include_str!("../../../../tests/fixtures/credit/golden.json");
        let golden: Value = serde_json::from_str(golden).expect("the fixture is JSON");
        let cases = golden["cases"]["eval_metrics"].as_array().expect("a list of cases");
        assert_eq!(Some(cases.len() as u64), golden["meta"]["counts"]["eval_metrics"].as_u64());
        let close = |found: f64, expected: &Value| (found - expected.as_f64().expect("a number")).abs() < 1e-12;
        for case in cases {
            let (input, output) = (&case["in"], &case["out"]);
            let table: Vec<Vec<usize>> = serde_json::from_value(input["correct"].clone()).expect("a table");
            let right: Vec<usize> = table.iter().map(|row| row.iter().sum()).collect();
            let accuracy = evaluation(&right, table[0].len()).overall.accuracy.expect("graded problems");
            assert!(close(accuracy, &output["avg_at_k"]), "{case}: {accuracy}");
            let count = |key: &str| input[key].as_u64().expect("a count") as usize;
            let pass = pass_at_k(count("n"), count("c"), count("k"));
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
        let five = evaluation(&[1, 0], 5);
        assert_eq!(five.overall.pass_at.keys().copied().collect::<Vec<_>>(), [2, 4]);
        assert_eq!(five.to_string(), "10.0 % ± 10.0 SE (2 problems × 5, pass@4 40.0 %)");
        assert_eq!(evaluation(&[1, 0], 1).to_string(), "50.0 % ± 50.0 SE (2 problems × 1)");
        assert_eq!(evaluation(&[1, 0], 4).overall.pass_at.keys().copied().collect::<Vec<_>>(), [2, 4]);
        assert_eq!(evaluation(&[1], 1).to_string(), "100.0 % (1 problem × 1)");
        let nothing = evaluation(&[], 4);
        assert!(nothing.overall.pass_at.is_empty());
        assert_eq!(nothing.to_string(), "not known, no response was judged (0 problems × 4)");
    }

    #[test]
    fn percentiles_are_lengths_that_occur() {
        let lengths = Lengths::of((1..=20).rev().collect());
        assert_eq!(lengths, Lengths { mean: 10.5, p50: 10, p95: 19, max: 20 });
        assert_eq!(Lengths::of(vec![4]), Lengths { mean: 4.0, p50: 4, p95: 4, max: 4 });
        assert_eq!(Lengths::of((1..=21).collect()), Lengths { mean: 11.0, p50: 11, p95: 20, max: 21 });
        assert_eq!(Lengths::of(Vec::new()), Lengths::default());
    }

    /// Responses without a grade are left out of the means and counted.
    #[test]
    fn ungraded_responses_count_as_responses_alone() {
        let marks = |right| Some(Marks { asked: true, right, reward: 0.5, parts: vec![("format".to_owned(), 1.0)] });
        let attempt = |marks, tokens| Attempt { tokens, truncated: tokens > 5, marks };
        let outcome = |problem, attempts| Outcome { problem, category: None, attempts };
        let outcomes = vec![
            outcome(0, vec![attempt(marks(true), 2), attempt(None, 9)]),
            outcome(2, vec![attempt(None, 4), attempt(None, 5)]),
            outcome(1, vec![attempt(marks(true), 2), attempt(marks(false), 2)]),
        ];
        let skipped = vec![Skipped { problem: 3, place: "line 4".to_owned(), reason: "no image".to_owned() }];
        let evaluation = Tally { samples: 2, outcomes, skipped }.evaluation();
        let overall = &evaluation.overall;
        assert_eq!((overall.problems, overall.responses, overall.ungraded), (2, 6, 3));
        assert_eq!((overall.accuracy, overall.reward, overall.parts["format"]), (Some(0.75), Some(0.5), 1.0));
        assert_eq!((overall.truncated, overall.length.mean), (1.0 / 6.0, 4.0));
        assert_eq!((overall.sampling_error, overall.pass_at[&2]), (None, 1.0), "one problem has two graded responses");
        assert_eq!(
            evaluation.to_string(),
            "75.0 % ± 25.0 SE (2 problems × 2, pass@2 100.0 %; problems skipped: 1; responses ungraded: 3)"
        );
    }

    /// Responses that were cut count as wrong unasked, but not where the reward judged none of those it was asked for.
    #[test]
    fn unasked_responses_do_not_count_alone() {
        let wrong = |asked| Some(Marks { asked, right: false, reward: 0.0, parts: Vec::new() });
        let right = Some(Marks { asked: true, right: true, reward: 1.0, parts: Vec::new() });
        let evaluation = |marks: &[[Option<Marks>; 2]]| {
            let attempt = |marks: &Option<Marks>| Attempt { tokens: 3, truncated: false, marks: marks.clone() };
            let outcome = |(problem, marks): (usize, &[Option<Marks>; 2])| {
                let category = Some(problem.to_string());
                Outcome { problem, category, attempts: marks.iter().map(attempt).collect() }
            };
            let outcomes = marks.iter().enumerate().map(outcome).collect();
            Tally { samples: 2, outcomes, skipped: Vec::new() }.evaluation()
        };
        let figures = |marks: &[[Option<Marks>; 2]]| {
            let overall = evaluation(marks).overall;
            (overall.problems, overall.ungraded, overall.accuracy, overall.reward)
        };
        assert_eq!(figures(&[[wrong(false), None], [wrong(false), wrong(false)]]), (0, 4, None, None), "all dead");
        assert_eq!(figures(&[[wrong(false), None], [right.clone(), None]]), (1, 3, Some(1.0), Some(1.0)), "in part");
        assert_eq!(figures(&[[wrong(false), wrong(false)], [right, wrong(true)]]), (2, 0, Some(0.25), Some(0.25)));
        assert_eq!(figures(&[[wrong(false), wrong(false)]]), (1, 0, Some(0.0), Some(0.0)), "all were cut");
        let dead = evaluation(&[[wrong(false), None]]);
        assert_eq!(dead.categories["0"].accuracy, None);
        assert_eq!(dead.to_string(), "not known, no response was judged (0 problems × 2; responses ungraded: 2)");
    }
}
