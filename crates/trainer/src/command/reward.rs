//! `sightline reward`: what a reward says of answers, without a model.

mod row;
mod tally;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use reward::{Answer, Part, Profile, Reward as _, RewardConfig, Truth, Ungraded, Verdict, WeightedSum, answers_match};
use serde_json::{Map, Value, json};
use trainer::{TrainConfig, TrainError};

use self::row::{Given, Row, Rows};
use self::tally::Tally;
use super::print;

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
took; where a program or server gave no verdict, \"correct\" is null and \"ungraded\" says why.";

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
            Action::Test(test) => test.run(),
        }
    }
}

impl Test {
    fn run(self) -> Result<(), TrainError> {
        let judge = self.judge()?;
        let mut tally = Tally::default();
        for row in Rows::new(BufReader::new(open(&self.file)?), self.file.clone()) {
            let (line, row) = row?;
            let judged = judge.judge(&row).map_err(|message| TrainError::Usage(format!("line {line}: {message}")))?;
            if self.json {
                print(&judged.to_json().to_string())?;
            } else {
                print(&judged.line(line, &row))?;
                tally.add(line, &row, &judged);
            }
        }
        if self.json { Ok(()) } else { tally.lines().iter().try_for_each(|line| print(line)) }
    }

    fn judge(&self) -> Result<Judge, TrainError> {
        let profile = self.profile.map_or_else(Profile::default, Profile::from);
        let (config, bare) = match &self.config {
            Some(path) => (TrainConfig::read(path, &[])?.reward, None),
            None => (RewardConfig { profile: Some(profile), ..RewardConfig::default() }, Some(profile)),
        };
        Ok(Judge { reward: config.build()?, bare })
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
}

/// A row's outcome and the time it took.
struct Judged {
    outcome: Result<Verdict, Ungraded>,
    time: Duration,
}

impl Judge {
    fn judge(&self, row: &Row) -> Result<Judged, String> {
        let truth = Truth { answer: row.gold.clone() };
        let started = Instant::now();
        let outcome = match &row.given {
            Given::Prediction(prediction) => {
                let profile = self.bare.ok_or("the reward of a run judges whole texts; give a `response`")?;
                let accuracy = if answers_match(prediction, &row.gold, profile) { 1.0 } else { 0.0 };
                let parts = vec![Part { name: "accuracy".to_owned(), value: accuracy }];
                Ok(Verdict { overall: accuracy, accuracy, parts })
            }
            Given::Response(response) => {
                let tokens = row.tokens.unwrap_or_else(|| response.split_whitespace().count());
                let answer = Answer { problem: &row.problem, response, truth: &truth, tokens, group: 0 };
                self.reward.judge(&[answer]).pop().ok_or("the reward gave no outcome")?
            }
        };
        Ok(Judged { outcome, time: started.elapsed() })
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
