//! `sightline reward`: what a reward says of answers, without a model.

mod row;
mod tally;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use reward::{
    Answer, BuiltInPart, Part, Profile, Reward as _, RewardConfig, Truth, Ungraded, Verdict, WeightedSum, answers_match,
};
use serde_json::{Map, Value, json};
use trainer::{TrainConfig, TrainError};

use self::row::{Given, Row, Rows};
use self::tally::Tally;
use super::{is_unread, print};

/// Rows that programs and servers are asked about together.
const BLOCK: usize = 256;

/// Arguments of `reward`.
#[derive(Args)]
pub(crate) struct RewardCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Judge a file of answers and compare with what was expected
    Test(Test),
}

/// Arguments of `reward test`.
#[derive(Args)]
#[command(after_help = INPUT)]
struct Test {
    /// JSON lines; - is standard input
    file: PathBuf,
    /// Whose rules say when an answer is right [default: strict-sound]
    #[arg(long, value_enum, conflicts_with = "config")]
    profile: Option<ProfileName>,
    /// Judge responses by the reward of this configuration of a run
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print one JSON object for each row
    #[arg(long)]
    json: bool,
}

const INPUT: &str = "\
A row is a JSON object:
  prediction  a bare answer, or
  response    a text that is searched for its answer first
  gold        the right answer
and, where they are known (other fields are left alone):
  expected    whether it should be judged right
  category    what to group by in the table
  problem     the problem's text, for rewards that read it
  tokens      the response's length, for rewards that pay for it [default: its words]

With --json a row becomes {\"correct\":bool,\"parts\":{…},\"micros\":…}: whether it is right, the parts of its reward and the time it
took; where a program or server gave no verdict, \"correct\" is null and \"ungraded\" says why. It is an error if no row is graded.

Programs and servers of a --config are asked about 256 rows at a time; the time of a row is then its share of that.";

/// Graders.
#[derive(Clone, Copy, ValueEnum)]
enum ProfileName {
    /// The released grader's verdicts, quirks included
    Mathruler,
    /// Ours
    StrictSound,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Mathruler => Self::Mathruler,
            ProfileName::StrictSound => Self::StrictSound,
        }
    }
}

impl RewardCommand {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        match self.action {
            Action::Test(test) => match test.run() {
                Err(error) if is_unread(&error) => Ok(()),
                result => result,
            },
        }
    }
}

impl Test {
    fn run(self) -> Result<(), TrainError> {
        let judge = self.judge()?;
        judge.warm_up();
        let mut tally = Tally::default();
        let mut reason = None;
        let mut rows = Rows::new(BufReader::new(open(&self.file)?), self.file.clone());
        let mut end = None;
        while end.is_none() {
            let mut block = Vec::new();
            while end.is_none() && block.len() < judge.block {
                match rows.next() {
                    Some(Ok((line, row))) => match judge.refusal(&row) {
                        Some(message) => end = Some(Err(TrainError::Usage(format!("line {line}: {message}")))),
                        None => block.push((line, row)),
                    },
                    Some(Err(error)) => end = Some(Err(error)),
                    None => end = Some(Ok(())),
                }
            }
            for ((line, row), judged) in block.iter().zip(judge.judge(&block)) {
                print(&if self.json { judged.to_json().to_string() } else { judged.line(*line, row) })?;
                tally.add(*line, row, &judged);
                reason = reason.or_else(|| judged.outcome.err());
            }
        }
        end.unwrap_or(Ok(()))?;
        if !self.json {
            tally.lines().iter().try_for_each(|line| print(line))?;
        }
        match (tally.ungraded(), reason) {
            (Some(rows), Some(reason)) => {
                Err(TrainError::Usage(format!("none of the rows was graded, of {rows}; the first: {reason}")))
            }
            _ => Ok(()),
        }
    }

    fn judge(&self) -> Result<Judge, TrainError> {
        let Some(path) = &self.config else {
            let profile = self.profile.map_or_else(Profile::default, Profile::from);
            let config = RewardConfig { profile: Some(profile), ..RewardConfig::default() };
            return Ok(Judge { reward: config.build()?, bare: Some(profile), block: 1 });
        };
        let config = TrainConfig::read(path, &[])?.reward;
        let mut block = 1;
        for part in config.weighted_parts() {
            match part.part {
                BuiltInPart::GroupLength(_) => {
                    return Err(TrainError::Usage(format!(
                        "the reward's part `{}` compares the responses to one prompt, which rows do not tell; take it \
                         out of {} to test the others",
                        part.name,
                        path.display()
                    )));
                }
                BuiltInPart::Subprocess(_) | BuiltInPart::Http(_) => block = BLOCK,
                _ => {}
            }
        }
        Ok(Judge { reward: config.build()?, bare: None, block })
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>, TrainError> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path).map_err(|source| TrainError::File { action: "read", path: path.to_owned(), source })?;
    Ok(Box::new(file))
}

/// What judges the rows.
struct Judge {
    reward: WeightedSum,
    /// Whose rules judge bare answers; none if the reward is a run's, which judges responses only.
    bare: Option<Profile>,
    /// Rows judged together: one, for a time of its own, unless somebody else has to be asked.
    block: usize,
}

/// A row's outcome and the time it took.
struct Judged {
    outcome: Result<Verdict, Ungraded>,
    time: Duration,
}

impl Judge {
    /// Grades something, so that what is set up only once is not in the first row's time.
    fn warm_up(&self) {
        answers_match(r"\frac{2}{4}", "0.5", self.bare.unwrap_or_default());
        if self.block == 1 {
            let truth = Truth { answer: "0.5".to_owned() };
            let response = r"<think>Half.</think> \boxed{\frac{2}{4}}";
            self.reward.judge(&[Answer { problem: "", response, truth: &truth, tokens: 1, group: 0 }]);
        }
    }

    /// Why a row cannot be judged, if it cannot.
    fn refusal(&self, row: &Row) -> Option<&'static str> {
        let is_bare = matches!(row.given, Given::Prediction(_));
        (is_bare && self.bare.is_none()).then_some("the reward of a run judges whole texts; give a `response`")
    }

    /// The outcome of each row, in order.
    fn judge(&self, rows: &[(usize, Row)]) -> Vec<Judged> {
        if let ([(_, row)], Some(profile)) = (rows, self.bare)
            && let Given::Prediction(prediction) = &row.given
        {
            let started = Instant::now();
            let accuracy = if answers_match(prediction, &row.gold, profile) { 1.0 } else { 0.0 };
            let time = started.elapsed();
            let parts = vec![Part { name: "accuracy".to_owned(), value: accuracy }];
            return vec![Judged { outcome: Ok(Verdict { overall: accuracy, accuracy, parts }), time }];
        }
        let truths: Vec<Truth> = rows.iter().map(|(_, row)| Truth { answer: row.gold.clone() }).collect();
        let mut answers = Vec::with_capacity(rows.len());
        for (group, ((_, row), truth)) in rows.iter().zip(&truths).enumerate() {
            let response = row.given.text();
            let tokens = row.tokens.unwrap_or_else(|| response.split_whitespace().count());
            answers.push(Answer { problem: &row.problem, response, truth, tokens, group });
        }
        let started = Instant::now();
        let outcomes = self.reward.judge(&answers);
        let time = started.elapsed().div_f64(rows.len().max(1) as f64);
        outcomes.into_iter().map(|outcome| Judged { outcome, time }).collect()
    }
}

impl Judged {
    /// Whether the answer was judged right; nothing if it was not judged.
    fn correct(&self) -> Option<bool> {
        self.outcome.as_ref().ok().map(Verdict::is_right)
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.time.as_micros()).unwrap_or(u64::MAX)
    }

    fn to_json(&self) -> Value {
        let parts = |verdict: &Verdict| -> Map<String, Value> {
            verdict.parts.iter().map(|part| (part.name.clone(), shortest(part.value))).collect()
        };
        match &self.outcome {
            Ok(verdict) => {
                json!({ "correct": verdict.is_right(), "parts": parts(verdict), "micros": self.micros() })
            }
            Err(ungraded) => {
                json!({ "correct": null, "parts": {}, "micros": self.micros(), "ungraded": ungraded.to_string() })
            }
        }
    }

    /// The outcome on one line, for people.
    fn line(&self, line: usize, row: &Row) -> String {
        let (verdict, parts) = match &self.outcome {
            Ok(verdict) => {
                let parts = verdict.parts.iter().map(|part| format!("{} {}", part.name, part.value));
                (if verdict.is_right() { "right" } else { "wrong" }, parts.collect::<Vec<_>>().join(", "))
            }
            Err(ungraded) => ("ungraded", ungraded.to_string()),
        };
        let disagrees = match (self.correct(), row.expected) {
            (Some(true), Some(false)) => "  ACCEPTED THOUGH WRONG",
            (Some(false), Some(true)) => "  REFUSED THOUGH RIGHT",
            _ => "",
        };
        let given = row::shortened(row.given.text());
        let gold = row::shortened(&row.gold);
        format!("{line:>6}  {verdict:<8}  {:>7} µs  {parts}  {given:?} for {gold:?}{disagrees}", self.micros())
    }
}

/// A number with the digits that tell it from other `f32`s, and no more.
fn shortest(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}
