//! The reward: a weighted sum of parts, each of them named.

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::external::{Connection, Pool, Program};
use crate::ungraded::Reason;
use crate::{
    Answer, AnswerMatch, BuiltInPart, CosineLength, Format, GroupLength, GroupMember, Part, Repetition, Reward,
    RewardError, SoftOverlong, Ungraded, Verdict, WeightedPart,
};

/// Pays the weighted sum of its parts: `overall = Σ weight·value`.
///
/// How right an answer is, [`Verdict::accuracy`], is what the first part says that knows: an answer part, a program or a server. If
/// none does, it is the overall reward, cut to `0..=1`. Parts that only measure an answer (form, repetition, length) are
/// computed for the answers that all the others have judged; an answer that one of those leaves ungraded is ungraded.
///
/// Answers are graded in parallel.
pub struct WeightedSum {
    parts: Vec<Named>,
}

struct Named {
    name: String,
    weight: f32,
    part: Kind,
}

enum Kind {
    Judge(Judge),
    Measure(Measure),
}

/// A part that says how right an answer is.
enum Judge {
    Answer(AnswerMatch),
    Subprocess(Pool<Program>),
    Http(Pool<Connection>),
}

/// A part that measures an answer of which it is known how right it is.
#[derive(Clone, Copy)]
enum Measure {
    Format(Format),
    Repetition(Repetition),
    SoftOverlong(SoftOverlong),
    CosineLength(CosineLength),
    GroupLength(GroupLength),
}

/// What a judge says of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Score {
    pub(crate) value: f32,
    /// In `0..=1`.
    pub(crate) accuracy: f32,
    /// What it is made of, under names of their own.
    pub(crate) parts: Vec<Part>,
}

impl WeightedSum {
    /// Sets up all parts; programs are started.
    ///
    /// # Errors
    /// - [`RewardError::Command`] if a program cannot be started.
    /// - [`RewardError::Url`] if a server's address is none.
    pub fn new(parts: &[WeightedPart]) -> Result<Self, RewardError> {
        let named = |part: &WeightedPart| {
            Ok(Named { name: part.name.clone(), weight: part.weight, part: Kind::new(&part.name, &part.part)? })
        };
        Ok(Self { parts: parts.iter().map(named).collect::<Result<_, _>>()? })
    }

    /// What each judge says of each answer, judge by judge; nothing for the other parts.
    fn judged(&self, answers: &[Answer<'_>]) -> Vec<Option<Vec<Result<Score, Ungraded>>>> {
        let judged = |named: &Named| match &named.part {
            Kind::Judge(judge) => Some(judge.scores(answers)),
            Kind::Measure(_) => None,
        };
        self.parts.iter().map(judged).collect()
    }

    fn verdict(&self, values: Vec<Score>, accuracy: Option<f32>) -> Result<Verdict, Ungraded> {
        let overall: f32 = self.parts.iter().zip(&values).map(|(named, score)| named.weight * score.value).sum();
        if !overall.is_finite() {
            let reason = Reason::NotFinite { value: overall };
            return Err(Ungraded { part: "overall".to_owned(), reason, errors: String::new() });
        }
        let mut parts = Vec::with_capacity(values.len());
        for (named, score) in self.parts.iter().zip(values) {
            parts.push(Part { name: named.name.clone(), value: score.value });
            parts.extend(score.parts);
        }
        Ok(Verdict { overall, accuracy: accuracy.unwrap_or_else(|| overall.clamp(0.0, 1.0)), parts })
    }
}

impl Reward for WeightedSum {
    fn judge(&self, answers: &[Answer<'_>]) -> Vec<Result<Verdict, Ungraded>> {
        let judged = self.judged(answers);
        let ungraded = |index: usize| judged.iter().flatten().find_map(|scores| scores[index].as_ref().err());
        let accuracy = |index: usize| {
            judged.iter().flatten().next().and_then(|scores| scores[index].as_ref().ok()).map(|score| score.accuracy)
        };
        let graded: Vec<usize> = (0..answers.len()).filter(|&index| ungraded(index).is_none()).collect();
        let measured: Vec<Measured<'_>> = graded
            .iter()
            .map(|&index| Measured { answer: answers[index], is_right: accuracy(index).is_some_and(|a| a >= 1.0) })
            .collect();
        let columns: Vec<Option<Vec<f32>>> = self
            .parts
            .iter()
            .map(|named| match &named.part {
                Kind::Judge(_) => None,
                Kind::Measure(measure) => Some(measure.values(&measured)),
            })
            .collect();
        let mut outcomes: Vec<Result<Verdict, Ungraded>> = Vec::with_capacity(answers.len());
        let mut row = 0;
        for index in 0..answers.len() {
            if let Some(ungraded) = ungraded(index) {
                outcomes.push(Err(ungraded.clone()));
                continue;
            }
            let said = judged.iter().zip(&columns).filter_map(|(scores, column)| match (scores, column) {
                (Some(scores), _) => scores[index].clone().ok(),
                (None, Some(column)) => Some(Score { value: column[row], accuracy: 0.0, parts: Vec::new() }),
                (None, None) => None,
            });
            outcomes.push(self.verdict(said.collect(), accuracy(index)));
            row += 1;
        }
        outcomes
    }
}

impl Kind {
    fn new(name: &str, part: &BuiltInPart) -> Result<Self, RewardError> {
        Ok(match part {
            BuiltInPart::Answer(part) => Self::Judge(Judge::Answer(*part)),
            BuiltInPart::Subprocess(part) => Self::Judge(Judge::Subprocess(part.pool(name)?)),
            BuiltInPart::Http(part) => Self::Judge(Judge::Http(part.pool(name)?)),
            BuiltInPart::Format(part) => Self::Measure(Measure::Format(*part)),
            BuiltInPart::Repetition(part) => Self::Measure(Measure::Repetition(*part)),
            BuiltInPart::SoftOverlong(part) => Self::Measure(Measure::SoftOverlong(*part)),
            BuiltInPart::CosineLength(part) => Self::Measure(Measure::CosineLength(*part)),
            BuiltInPart::GroupLength(part) => Self::Measure(Measure::GroupLength(*part)),
        })
    }
}

impl Judge {
    fn scores(&self, answers: &[Answer<'_>]) -> Vec<Result<Score, Ungraded>> {
        match self {
            Self::Answer(part) => answers
                .par_iter()
                .map(|answer| {
                    let value = part.score(answer);
                    Ok(Score { value, accuracy: value, parts: Vec::new() })
                })
                .collect(),
            Self::Subprocess(pool) => pool.judge(answers),
            Self::Http(pool) => pool.judge(answers),
        }
    }
}

struct Measured<'a> {
    answer: Answer<'a>,
    is_right: bool,
}

impl Measure {
    fn values(self, measured: &[Measured<'_>]) -> Vec<f32> {
        let each = |value: &(dyn Fn(&Measured<'_>) -> f32 + Sync)| measured.par_iter().map(value).collect();
        match self {
            Self::Format(part) => each(&|measured| part.score(measured.answer.response)),
            Self::Repetition(part) => each(&|measured| part.score(measured.answer.response)),
            Self::SoftOverlong(part) => each(&|measured| part.penalty(measured.answer.tokens)),
            Self::CosineLength(part) => each(&|measured| part.score(measured.is_right, measured.answer.tokens)),
            Self::GroupLength(part) => {
                let member = |measured: &Measured<'_>| GroupMember {
                    group: measured.answer.group,
                    tokens: measured.answer.tokens,
                    is_right: measured.is_right,
                };
                part.scores(&measured.iter().map(member).collect::<Vec<_>>())
            }
        }
    }
}
