//! What is said: a request for each answer, a reply for each request.

use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::ungraded::Reason;
use crate::weighted_sum::Score;
use crate::{Answer, Part};

/// Most parts of a reply and most bytes of the name of one, so that a reply cannot flood the metrics.
const MOST_PARTS: usize = 32;
const LONGEST_NAME: usize = 64;

/// Characters of what was written that an error shows.
const SHOWN: usize = 120;

/// One answer to be judged.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Request<'a> {
    /// Never used twice by one run, so that a late reply is not taken for another's.
    pub(crate) id: u64,
    problem: &'a str,
    response: &'a str,
    answer: &'a str,
}

impl<'a> Request<'a> {
    pub(crate) const fn new(id: u64, answer: &Answer<'a>) -> Self {
        Self { id, problem: answer.problem, response: answer.response, answer: answer.truth.answer.as_str() }
    }
}

/// What a reward says of one answer. Other fields may stand beside these.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    #[serde(default)]
    score: Option<Number>,
    #[serde(default)]
    parts: Option<Map<String, serde_json::Value>>,
    /// Why there is no score.
    #[serde(default)]
    error: Option<String>,
}

/// A number, or the truth value that some languages have for 1 and 0.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Value(f64),
    Truth(bool),
}

impl Number {
    fn value(self) -> f32 {
        match self {
            Self::Value(value) => value as f32,
            Self::Truth(truth) => f32::from(u8::from(truth)),
        }
    }
}

impl Reply {
    /// Reads one reply.
    pub(crate) fn read(text: &[u8]) -> Result<Self, Reason> {
        serde_json::from_slice(text).map_err(|error| nonsense(&error, text))
    }

    /// The score of a part named `name`: `score`, or else the sum of `parts`. How right the answer is, is the part `accuracy`, or
    /// else the score, in `0..=1`.
    pub(crate) fn score(self, name: &str) -> Result<Score, Reason> {
        let declined = |message: String| Reason::Declined { message };
        if let Some(message) = self.error {
            return Err(declined(shortened(&message)));
        }
        let parts = self.parts.unwrap_or_default();
        if parts.len() > MOST_PARTS || parts.keys().any(|name| name.len() > LONGEST_NAME) {
            let message =
                format!("more than {MOST_PARTS} parts, or a part with a name of more than {LONGEST_NAME} bytes");
            return Err(declined(message));
        }
        let mut values = Vec::with_capacity(parts.len());
        for (part, value) in parts {
            let number = Number::deserialize(&value).map(Number::value).ok().filter(|value| value.is_finite());
            let value = number.ok_or_else(|| declined(format!("its part `{part}` is {value} and not a number")))?;
            values.push((part, value));
        }
        let value = match self.score.map(Number::value) {
            Some(score) => score,
            None if values.is_empty() => {
                return Err(declined("its reply has neither a `score` nor `parts`".to_owned()));
            }
            None => values.iter().map(|(_, value)| value).sum(),
        };
        if !value.is_finite() {
            return Err(declined(format!("its score is {value}")));
        }
        let accuracy = values.iter().find(|(part, _)| part == "accuracy").map_or(value, |(_, value)| *value);
        let part = |(part, value): (String, f32)| Part { name: format!("{name}/{part}"), value };
        Ok(Score { value, accuracy: accuracy.clamp(0.0, 1.0), parts: values.into_iter().map(part).collect() })
    }
}

/// That some text cannot be read as what it should be.
pub(crate) fn nonsense(error: &serde_json::Error, text: &[u8]) -> Reason {
    let text = shortened(&String::from_utf8_lossy(text));
    Reason::Nonsense { message: format!("not a reply ({error}): {text}") }
}

/// The beginning of a text, on one line.
pub(crate) fn shortened(text: &str) -> String {
    let mut shown: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN + 1).collect();
    if let Some((at, _)) = shown.char_indices().nth(SHOWN) {
        shown.truncate(at);
        shown.push('…');
    }
    shown
}
