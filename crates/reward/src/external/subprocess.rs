//! A user's reward as a program.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::limits::Limits;
use super::pool::{Fault, Pool, Worker};
use super::process::{Line, NoLine, Process};
use super::protocol::{Reply, Request};
use crate::RewardError;
use crate::ungraded::Reason;

/// A program that judges answers, in any language.
///
/// It reads requests from standard input, a JSON object a line, and writes a reply to each to standard output, in any order:
///
/// ```text
/// {"id":7,"problem":"What is 1 + 1?","response":"It is \\boxed{2}.","answer":"2"}
/// {"id":7,"score":1.0}
/// ```
///
/// A reply has a `score` (a number, or `true` and `false` for 1 and 0) or `parts` (numbers by name, logged beside it; their sum is the
/// score if none is given), and `error` instead where it cannot tell. The part `accuracy` says how right the answer is; without one
/// the score does. Output has to be flushed line by line, and standard output is for replies alone; standard error is free, its end
/// is shown when something goes wrong.
///
/// It runs as long as training does and is ended with it: its input is closed, and after half a second it and the programs it started
/// are killed. A program that does not reply in time, ends, or writes what is no reply is replaced by a new one, and the answers it
/// left open are sent again, one by one, before they are given up as ungraded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subprocess {
    /// The program and its arguments. No shell reads them.
    #[serde(deserialize_with = "command")]
    pub command: Vec<String>,
    /// Bounds on it.
    #[serde(default)]
    pub limits: Limits,
}

/// Reads a command that names a program.
fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    if command.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(D::Error::custom(
            "the command is empty; give the program and its arguments: [\"python\", \"judge.py\"]",
        ));
    }
    Ok(command)
}

impl Subprocess {
    /// Starts a first program, so that a wrong command is found before anything is trained, and makes the pool of them.
    pub(crate) fn pool(&self, name: &str) -> Result<Pool<Program>, RewardError> {
        let max_reply_bytes = self.limits.raw().max_reply_bytes;
        let first = Process::start(&self.command, max_reply_bytes).map_err(|error| RewardError::Command {
            name: name.to_owned(),
            command: self.command.join(" "),
            reason: error.to_string(),
        })?;
        let mut first = Some(first);
        let program = |_| Program { settings: self.clone(), process: first.take() };
        Ok(Pool::new(name, self.limits, (0..self.limits.raw().workers).map(program).collect()))
    }
}

/// A worker of the pool: a program that is started when it is needed.
pub(crate) struct Program {
    settings: Subprocess,
    process: Option<Process>,
}

impl Program {
    /// A program that waits for requests: the present one, or a new one if that ended or spoke unasked.
    fn ready(&mut self) -> Result<Process, Reason> {
        if let Some(mut process) = self.process.take() {
            if !process.is_spent() {
                return Ok(process);
            }
            process.end();
        }
        let command = &self.settings.command;
        Process::start(command, self.settings.limits.raw().max_reply_bytes).map_err(|error| Reason::NotStarted {
            program: command.first().cloned().unwrap_or_default(),
            message: error.to_string(),
        })
    }

    /// Takes replies until none is open.
    fn receive(
        &self,
        process: &Process,
        open: &mut BTreeSet<u64>,
        replies: &mut Vec<Reply>,
        deadline: Instant,
    ) -> Result<(), Reason> {
        let limits = &self.settings.limits;
        let mut last = Instant::now();
        while !open.is_empty() {
            match process.line_by(deadline.min(last + limits.timeout())) {
                Ok(Line::Text(line)) => {
                    let reply = Reply::read(&line)?;
                    if !open.remove(&reply.id) {
                        return Err(Reason::Unasked { id: reply.id });
                    }
                    replies.push(reply);
                    last = Instant::now();
                }
                Ok(Line::TooLong) => return Err(Reason::TooLong { limit: limits.raw().max_reply_bytes }),
                Err(NoLine::Silent) if Instant::now() >= deadline => {
                    return Err(Reason::Deadline { seconds: limits.raw().deadline });
                }
                Err(NoLine::Silent) => return Err(Reason::Silent { seconds: limits.raw().timeout }),
                Err(NoLine::Ended) => return Err(Reason::Ended { status: String::new() }),
            }
        }
        Ok(())
    }
}

impl Worker for Program {
    fn exchange(&mut self, requests: &[Request<'_>], deadline: Instant) -> (Vec<Reply>, Option<Fault>) {
        let process = match self.ready() {
            Ok(process) => process,
            Err(reason) => return (Vec::new(), Some(reason.into())),
        };
        let mut text = Vec::new();
        for request in requests {
            // Text and numbers can always be written.
            if serde_json::to_writer(&mut text, request).is_ok() {
                text.push(b'\n');
            }
        }
        process.send(text);
        let mut open = requests.iter().map(|request| request.id).collect();
        let mut replies = Vec::with_capacity(requests.len());
        match self.receive(&process, &mut open, &mut replies, deadline) {
            Ok(()) => {
                self.process = Some(process);
                (replies, None)
            }
            Err(reason) => {
                let (status, errors) = process.end();
                let reason = if matches!(reason, Reason::Ended { .. }) { Reason::Ended { status } } else { reason };
                (replies, Some(Fault { reason, errors }))
            }
        }
    }
}
