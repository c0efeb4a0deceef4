//! Rounds of answers, judged by a reward of one part.

use std::time::{Duration, Instant};

use reward::{
    Answer, BuiltInPart, Http, Limits, RawLimits, Reason, Reward as _, RewardConfig, RewardError, Subprocess, Truth,
    Ungraded, Verdict, WeightedSum,
};

pub(crate) type Outcome = Result<Verdict, Ungraded>;

/// No test may take longer, however busy the machine is.
const BOUND: Duration = Duration::from_secs(20);

/// Short limits, without retries.
pub(crate) fn impatient() -> RawLimits {
    RawLimits { timeout: 0.5, deadline: 10.0, retries: 0, back_off: 0.01, workers: 1, batch: 4, ..RawLimits::default() }
}

/// Limits that no well-behaved reward reaches.
pub(crate) fn patient() -> RawLimits {
    RawLimits { timeout: 15.0, deadline: 18.0, ..impatient() }
}

/// A reward that is one program, a shell script.
pub(crate) fn script(script: &str, limits: RawLimits) -> WeightedSum {
    program(&["sh", "-c", script], limits).expect("there is a shell")
}

pub(crate) fn program(command: &[&str], limits: RawLimits) -> Result<WeightedSum, RewardError> {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    of_part(BuiltInPart::Subprocess(Subprocess { command, limits: Limits::new(limits)? }))
}

/// A reward that is one server.
pub(crate) fn server(url: String, limits: RawLimits) -> WeightedSum {
    let limits = Limits::new(limits).expect("valid");
    of_part(BuiltInPart::Http(Http { url, limits })).expect("a valid address")
}

fn of_part(part: BuiltInPart) -> Result<WeightedSum, RewardError> {
    let mut part = part.weighing(2.0);
    part.name = "mine".to_owned();
    RewardConfig::of_parts(vec![part])?.build()
}

/// Judges responses whose right answers are 0, 1, 2 and so on.
pub(crate) fn judge(reward: &WeightedSum, responses: &[&str]) -> Vec<Outcome> {
    let truths: Vec<Truth> = (0..responses.len()).map(|index| Truth { answer: index.to_string() }).collect();
    let answers: Vec<Answer<'_>> = responses
        .iter()
        .zip(&truths)
        .map(|(response, truth)| Answer { problem: "Which?", response, truth, tokens: 1, group: 0 })
        .collect();
    let started = Instant::now();
    let outcomes = reward.judge(&answers);
    assert!(started.elapsed() < BOUND, "judging took {:?}", started.elapsed());
    assert_eq!(outcomes.len(), responses.len());
    outcomes
}

/// The overall rewards of answers that are all judged.
#[track_caller]
pub(crate) fn rewards(outcomes: &[Outcome]) -> Vec<f32> {
    outcomes.iter().map(|outcome| outcome.as_ref().expect("a verdict").overall).collect()
}

/// The reasons of answers none of which is judged.
#[track_caller]
pub(crate) fn reasons(outcomes: &[Outcome]) -> Vec<Reason> {
    let reason = |outcome: &Outcome| {
        let ungraded = outcome.as_ref().expect_err("no verdict");
        assert_eq!(ungraded.part, "mine");
        ungraded.reason.clone()
    };
    outcomes.iter().map(reason).collect()
}
