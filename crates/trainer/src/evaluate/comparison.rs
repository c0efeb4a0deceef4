//! Two evaluations of the same problems, compared problem by problem.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Serialize;

use super::figures::{Evaluation, standard_error};
use super::journal::RESPONSES_FILE;
use super::protocol::Protocol;
use super::record::{Record, Response};
use super::tally::{Outcome, Tally};
use crate::TrainError;
use crate::recipe::Difference;

/// What sets two evaluations apart.
///
/// The differences of a problem's two shares are one sample, and their standard error is that of the difference of the means:
/// a problem that is hard for both adds nothing to it. It is the error to judge a change by, and smaller than the two
/// evaluations' own errors together.
///
/// # Source
/// Miller, "Adding Error Bars to Evals", arXiv:2411.00640, on paired differences.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Over all problems that both answered.
    pub overall: Paired,
    /// Over those of each category; empty where no problem has one.
    pub categories: BTreeMap<String, Paired>,
    /// Problems that only the first answered.
    pub only_before: usize,
    /// Problems that only the second answered.
    pub only_after: usize,
    /// What was asked differently, the model included.
    pub differences: Vec<Difference>,
}

/// Figures over pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Paired {
    /// Problems that both answered.
    pub problems: usize,
    /// The first accuracy over them.
    pub before: f64,
    /// The second.
    pub after: f64,
    /// Mean over problems of the second share less the first.
    pub difference: f64,
    /// Standard error of that mean over problems; `None` for fewer than two.
    pub standard_error: Option<f64>,
    /// Problems whose share rose.
    pub better: usize,
    /// Problems whose share fell.
    pub worse: usize,
}

impl Comparison {
    /// Compares the evaluations in two folders.
    ///
    /// # Errors
    /// If one cannot be read, a problem of the same number is not the same problem in both, or they have none in common.
    pub fn of_folders(before: &Path, after: &Path) -> Result<Self, TrainError> {
        let (first, second) = (Answers::read(before)?, Answers::read(after)?);
        if let Some((number, (ours, theirs))) = first.other_problem(&second) {
            return Err(TrainError::OtherProblems { number: number + 1, before: ours.clone(), after: theirs.clone() });
        }
        let mut comparison = Self::of(&first.tally, &second.tally);
        if comparison.overall.problems == 0 {
            return Err(TrainError::Usage(format!(
                "{} and {} have no answered problem in common",
                before.display(),
                after.display()
            )));
        }
        comparison.differences = Protocol::read(before)?.differences(&Protocol::read(after)?)?;
        Ok(comparison)
    }

    /// Compares the answers to problems of the same number.
    #[must_use]
    pub fn of(before: &Tally, after: &Tally) -> Self {
        let mut pairs: BTreeMap<usize, [Option<&Outcome>; 2]> = BTreeMap::new();
        for (side, tally) in [before, after].into_iter().enumerate() {
            for outcome in tally.outcomes.iter().filter(|outcome| outcome.graded() > 0) {
                pairs.entry(outcome.problem).or_default()[side] = Some(outcome);
            }
        }
        let mut comparison = Self::default();
        let mut all = Vec::new();
        let mut categories: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
        for pair in pairs.into_values() {
            match pair.map(|outcome| outcome.and_then(|outcome| Some((outcome, outcome.share()?)))) {
                [Some((outcome, before)), Some((_, after))] => {
                    all.push([before, after]);
                    if let Some(category) = &outcome.category {
                        categories.entry(category.clone()).or_default().push([before, after]);
                    }
                }
                [Some(_), None] => comparison.only_before += 1,
                [None, _] => comparison.only_after += 1,
            }
        }
        comparison.overall = Paired::of(&all);
        comparison.categories = categories.into_iter().map(|(name, pairs)| (name, Paired::of(&pairs))).collect();
        comparison
    }
}

impl Paired {
    /// Compares two evaluations over the problems that both answered.
    #[must_use]
    pub fn between(before: &Evaluation, after: &Evaluation) -> Self {
        let pair = |(problem, share): (&usize, &f64)| Some([*share, *after.shares.get(problem)?]);
        Self::of(&before.shares.iter().filter_map(pair).collect::<Vec<_>>())
    }

    fn of(pairs: &[[f64; 2]]) -> Self {
        let count = pairs.len();
        if count == 0 {
            return Self::default();
        }
        let mean = |side: usize| pairs.iter().map(|pair| pair[side]).sum::<f64>() / count as f64;
        let differences: Vec<f64> = pairs.iter().map(|[before, after]| after - before).collect();
        Self {
            problems: count,
            before: mean(0),
            after: mean(1),
            difference: differences.iter().sum::<f64>() / count as f64,
            standard_error: standard_error(&differences),
            better: differences.iter().filter(|difference| **difference > 0.0).count(),
            worse: differences.iter().filter(|difference| **difference < 0.0).count(),
        }
    }

    /// The difference over its standard error; `None` without an error above 0.
    #[must_use]
    pub fn errors_apart(&self) -> Option<f64> {
        self.standard_error.filter(|error| *error > 0.0).map(|error| self.difference / error)
    }

    /// The interval that holds the true difference in 95 of 100 such comparisons, for many problems: 1.96 standard errors to
    /// either side.
    #[must_use]
    pub fn interval(&self) -> Option<[f64; 2]> {
        self.standard_error.map(|error| [self.difference - 1.96 * error, self.difference + 1.96 * error])
    }
}

impl fmt::Display for Paired {
    /// The difference in points with its interval, and how many paired standard errors it comes to.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { problems, difference, .. } = self;
        if *problems == 0 {
            return formatter.write_str("not known, no problem was judged in both");
        }
        write!(formatter, "{:+.1} points", 100.0 * difference)?;
        match (self.interval(), self.errors_apart()) {
            (Some([low, high]), Some(apart)) => write!(
                formatter,
                ", 95 % interval {:+.1} to {:+.1} (paired over {problems} problems), {:.1} standard errors",
                100.0 * low,
                100.0 * high,
                apart.abs()
            ),
            (Some(_), None) => {
                write!(formatter, ", the same for each of {problems} problems: its paired standard error is 0")
            }
            (None, _) => formatter.write_str(", over one problem: no standard error can be given"),
        }
    }
}

/// What a folder's responses say.
struct Answers {
    tally: Tally,
    /// Question and expected answer of each problem, by number.
    asked: BTreeMap<usize, String>,
}

impl Answers {
    fn read(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(RESPONSES_FILE);
        let file = File::open(&path).map_err(TrainError::file("read", &path))?;
        let mut answers = Self { tally: Tally::new(Protocol::read(folder)?.samples), asked: BTreeMap::new() };
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(TrainError::file("read", &path))?;
            let place = || format!("{}:{}", path.display(), index + 1);
            let record: Record =
                serde_json::from_str(&line).map_err(|source| TrainError::Json { place: place(), source })?;
            if let Record::Response(Response { problem, question, gold, .. }) = &record {
                answers.asked.entry(*problem).or_insert_with(|| format!("{question} ({gold})"));
            }
            answers.tally.add(std::slice::from_ref(&record));
        }
        Ok(answers)
    }

    /// The first number under which two files have different problems, and what those are.
    fn other_problem<'a>(&'a self, other: &'a Self) -> Option<(usize, (&'a String, &'a String))> {
        let both = self.asked.iter().filter_map(|(number, ours)| Some((*number, (ours, other.asked.get(number)?))));
        both.into_iter().find(|(_, (ours, theirs))| ours != theirs)
    }
}
