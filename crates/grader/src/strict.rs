//! The profile of our own: what is right passes, in whatever writing; what is wrong never does.

mod answer;
mod bracket;
mod choice;
mod clock;
mod compare;
mod formula;
mod lexer;
mod line;
mod literal;
mod phrase;
mod quantity;
mod reader;
mod relation;
mod spelling;
mod symbol;
mod token;
mod unit;

use answer::Answer;
use lexer::Grouping;
use token::Token;

use crate::fuel::{Failure, Fuel, LONGEST_READ};
use crate::{Grade, Ground};

/// Both answers' tokens, with commas between digits read in one way.
struct Reading {
    tokens: Result<Vec<Token>, Failure>,
    answer: Result<Answer, Failure>,
}

impl Reading {
    fn of(text: &str, grouping: Grouping) -> Self {
        let tokens = lexer::tokens(text, grouping);
        let answer = match &tokens {
            Ok(tokens) => reader::read(tokens),
            Err(failure) => Err(*failure),
        };
        Self { tokens, answer }
    }
}

/// Whether an answer, prepared as for grading, is understood as more than text.
pub(crate) fn is_read(text: &str) -> bool {
    let text = collapsed(text);
    text.len() <= LONGEST_READ && Reading::of(&text, Grouping::Thousands).answer.is_ok_and(|answer| !answer.is_text())
}

pub(crate) fn grade(prediction: &str, gold: &str) -> Grade {
    let (given, truth) = (collapsed(prediction), collapsed(gold));
    if bare(&given).is_empty() || bare(&truth).is_empty() {
        return Grade { correct: false, ground: Ground::Different };
    }
    if given == truth {
        return Grade { correct: true, ground: Ground::Text };
    }
    if given.len() > LONGEST_READ || truth.len() > LONGEST_READ {
        return Grade { correct: false, ground: Ground::Refused };
    }
    let fuel = Fuel::new();
    let verdict = match compare(&given, &truth, Grouping::Thousands, &fuel) {
        Ok(Ground::Different) | Err(_) if lexer::has_ambiguous_comma(&given) || lexer::has_ambiguous_comma(&truth) => {
            compare(&given, &truth, Grouping::Separate, &fuel)
        }
        verdict => verdict,
    };
    let ground = verdict.unwrap_or_else(|failure| match failure {
        Failure::Refused => Ground::Refused,
        Failure::Unread | Failure::Undefined => Ground::Unread,
    });
    Grade { correct: matches!(ground, Ground::Text | Ground::Value), ground }
}

fn compare(given: &str, truth: &str, grouping: Grouping, fuel: &Fuel) -> Result<Ground, Failure> {
    let (given, truth) = (Reading::of(given, grouping), Reading::of(truth, grouping));
    if let (Ok(given), Ok(truth)) = (&given.tokens, &truth.tokens)
        && token::same(given, truth)
    {
        return Ok(if given.is_empty() { Ground::Different } else { Ground::Text });
    }
    if let (Ok(given), Ok(truth)) = (&given.tokens, &truth.tokens)
        && phrase::same_word(token::trimmed(given), token::trimmed(truth))
    {
        return Ok(Ground::Text);
    }
    let same = compare::same(&given.answer?, &truth.answer?, fuel)?;
    Ok(if same { Ground::Value } else { Ground::Different })
}

/// The text with every run of blanks as one space, and no blanks, quotation marks, asterisks or ticks of Markdown around it.
fn collapsed(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.strip_prefix("<answer>").and_then(|text| text.strip_suffix("</answer>")).unwrap_or(&text).trim();
    let bold = text.strip_prefix("**").and_then(|text| text.strip_suffix("**")).filter(|text| !text.contains('*'));
    // A bold lead, as in `**Answer:** 7`.
    let lead = text.strip_prefix("**").and_then(|text| text.split_once("**")).map(|(lead, rest)| [lead, rest].concat());
    let mut text = bold.or(lead.as_deref()).unwrap_or(text).trim();
    for (open, close) in [('*', '*'), ('_', '_'), ('\'', '\''), ('`', '`'), ('‘', '’'), ('“', '”')] {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        text = inner.filter(|inner| !inner.contains([open, close])).unwrap_or(text);
    }
    text.trim().to_owned()
}

/// What is left without the marks that only set an answer off.
fn bare(text: &str) -> String {
    let without_words = text.replace("\\text", "").replace("\\boxed", "").replace("\\{", "⦃");
    without_words.chars().filter(|c| !matches!(c, '$' | ' ' | '{' | '}' | '.' | ',' | '\\')).collect()
}
