//! Evaluation: how well a policy answers problems, by the prompts, sampler and judge of training.
//!
//! Problems are answered in blocks of 32. What is drawn for a response depends on the seed, the problem's number and the
//! response's number, and on nothing else; a block is always answered as a whole, so that tensors have the same shapes however
//! often an evaluation was interrupted. Validation in training is [`evaluate`]; `sightline eval` is [`Exam::take`], which
//! keeps what was written in a [`Journal`].

mod comparison;
mod exam;
mod figures;
mod fingerprint;
mod journal;
mod preset;
mod protocol;
mod record;
mod tally;

use std::ops::Range;

use crate::TrainError;
use crate::collect::Source;
use crate::problems::Problems;
use crate::seeds::{Purpose, derive};

pub use comparison::{Comparison, Paired};
pub use exam::Exam;
pub use figures::{Evaluation, Lengths, Score};
pub(crate) use fingerprint::{file_digest, hexadecimal};
pub use journal::Journal;
pub use preset::{Harness, Preset, presets};
pub use protocol::{ProblemSet, Protocol};
pub use record::{Record, Response, Skipped};
pub use tally::{Attempt, Marks, Outcome, Tally};

/// Problems answered at once.
const BLOCK: usize = 32;

/// Samples `samples` responses to every problem and takes the figures. A problem that cannot be asked is left out and named in
/// them. `done` is told after every block.
///
/// # Errors
/// If nothing can be sampled.
pub fn evaluate(
    source: &Source,
    problems: &Problems,
    samples: usize,
    done: impl FnMut(&Tally),
) -> Result<Evaluation, TrainError> {
    evaluate_while(source, problems, samples, || Ok(()), done)
}

/// As [`evaluate`], if `go` lets it, which is asked after every block.
///
/// # Errors
/// As for [`evaluate`], and what `go` says.
pub(crate) fn evaluate_while(
    source: &Source,
    problems: &Problems,
    samples: usize,
    go: impl Fn() -> Result<(), TrainError>,
    done: impl FnMut(&Tally),
) -> Result<Evaluation, TrainError> {
    let tally = go_on(source, problems, problems.len(), Tally::new(samples), |_| go(), done)?;
    Ok(tally.evaluation())
}

/// Answers those of the first `count` problems that `tally` has not seen, which must be whole blocks; `keep` is given the records
/// of each block before they are counted.
fn go_on(
    source: &Source,
    problems: &Problems,
    count: usize,
    mut tally: Tally,
    mut keep: impl FnMut(&[Record]) -> Result<(), TrainError>,
    mut done: impl FnMut(&Tally),
) -> Result<Tally, TrainError> {
    while tally.problems() < count {
        let first = tally.problems();
        let records = answer(source, problems, first..count.min(first + BLOCK), tally.samples)?;
        keep(&records)?;
        tally.add(&records);
        done(&tally);
    }
    Ok(tally)
}

/// Answers one block and returns its records in the order of its problems.
fn answer(
    source: &Source,
    problems: &Problems,
    block: Range<usize>,
    samples: usize,
) -> Result<Vec<Record>, TrainError> {
    let (mut asked, mut tasks, mut seeds, mut records) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in block {
        match problems.ask(number, source)? {
            Ok((problem, task)) => {
                asked.push((number, problem));
                tasks.push(task);
                seeds.push(seed(source.config.seed, number));
            }
            Err(reason) => {
                let place = problems.dataset().place(number)?.to_string();
                records.push(Record::Skipped(Skipped { problem: number, place, reason }));
            }
        }
    }
    if !tasks.is_empty() {
        let answered = source.respond(tasks, samples, &seeds)?;
        for ((number, problem), answered) in asked.into_iter().zip(answered) {
            records.extend(record::records(number, problem, answered));
        }
    }
    records.sort_by_key(Record::problem);
    Ok(records)
}

/// The seed of the responses to a problem: that of its block, and within it that of its place there.
fn seed(run: u64, problem: usize) -> u64 {
    let block = derive(run, Purpose::Validation, &[(problem / BLOCK) as u64]);
    derive(block, Purpose::Rollout, &[(problem % BLOCK) as u64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_have_seeds_of_their_own() {
        let seeds: std::collections::BTreeSet<u64> = (0..4000).map(|problem| seed(7, problem)).collect();
        assert_eq!(seeds.len(), 4000);
        assert_ne!(seed(7, 0), seed(8, 0));
    }
}
