//! Options of a question with several to choose from.

use super::answer::Answer;
use super::reader::Reader;
use super::token::{Kind, Token, has_top_level};
use crate::algebra::Expression;
use crate::fuel::Failure;

impl Reader {
    /// `A`, `(A)`, `A. 50`, `Option A`.
    pub(super) fn choice(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        const NAMES: [&str; 16] = [
            "option",
            "choice",
            "answer",
            "letter",
            "figure",
            "graph",
            "diagram",
            "picture",
            "image",
            "point",
            "选",
            "选项",
            "故选",
            "答案",
            "答案是",
            "答案为",
        ];
        let is_named = NAMES.iter().any(|name| tokens[0].reads(name)) && tokens.len() > 1;
        let tokens = if is_named { &tokens[1..] } else { tokens };
        let tokens = without_praise(tokens);
        let letter = |token: &Token| {
            let mut letters = token.word()?.chars();
            let letter = letters.next().filter(|letter| ('A'..='J').contains(&letter.to_ascii_uppercase()))?;
            letters.next().is_none().then_some(letter)
        };
        let (letter, rest, is_marked) = match tokens {
            [open, name, close, rest @ ..]
                if (open.is('(') && close.is(')') || open.is('[') && close.is(']')) && letter(name).is_some() =>
            {
                (letter(name), rest, true)
            }
            [name, mark, rest @ ..] if letter(name).is_some() && mark.is_any(".):") => {
                (letter(name), rest, mark.is(')'))
            }
            [name] => (letter(name), &[][..], is_named),
            [name, noun] if noun.reads("选项") => (letter(name), &[][..], true),
            [name, open, inner @ .., close]
                if letter(name).is_some_and(char::is_uppercase)
                    && open.is('(')
                    && open.spaced
                    && close.is(')')
                    && !inner.is_empty()
                    && !inner.iter().any(is_variable)
                    && !has_top_level(inner, ",;()") =>
            {
                (letter(name), inner, true)
            }
            [open, name] if open.is('(') => (letter(name), &[][..], true),
            [name, close] if close.is(']') => (letter(name), &[][..], true),
            _ => return Ok(None),
        };
        let Some(letter) = letter else { return Ok(None) };
        let is_item = is_marked || (!rest.is_empty() && rest[0].spaced);
        if letter.is_lowercase() && !is_item {
            return Ok(None);
        }
        let rest = match rest {
            [mark, rest @ ..] if mark.is_any(".:") && is_marked => rest,
            rest => rest,
        };
        let Some(first) = rest.first() else { return Ok(Some(Answer::Choice { letter, says: None })) };
        // Behind a mark of its own, or closely before a number, a minus is the sign of the number.
        let has_mark = tokens[1].is_any(".:");
        let is_signed = first.is('-')
            && (has_mark || first.spaced)
            && rest.get(1).is_some_and(|value| !value.spaced && value.word().is_none());
        let begins = is_signed || (has_mark && first.is_any("<>≤≥≠"));
        let joins = (first.is_any(",;+-*/^=<>≤≥≠∈∪!") && !begins) || first.reads("and") || first.reads("or");
        if joins || (letter.is_lowercase() && !first.spaced) {
            return Ok(None);
        }
        let says = self.answer(rest)?;
        let another = match &says {
            Answer::Choice { .. } => true,
            Answer::List(items) | Answer::Either(items) => {
                items.iter().any(|item| matches!(item, Answer::Choice { .. }))
            }
            Answer::Quantity(quantity) => match &quantity.value {
                Expression::Variable(name) => !matches!(name.as_bytes(), [b'k'..=b'z']),
                _ => false,
            },
            _ => false,
        };
        Ok((!another).then(|| Answer::Choice { letter, says: Some(Box::new(says)) }))
    }
}

/// Whether a token can name a variable, so that what stands in brackets may be a factor.
fn is_variable(token: &Token) -> bool {
    matches!(token.kind, Kind::Symbol(_)) || token.word().is_some_and(|word| word.chars().count() == 1)
}

/// `C` of `C is the correct answer`.
fn without_praise(tokens: &[Token]) -> &[Token] {
    const PRAISE: [&str; 7] = ["the", "correct", "right", "best", "answer", "option", "choice"];
    let start = tokens.iter().position(|token| token.reads("is")).filter(|at| *at > 0 && at + 1 < tokens.len());
    match start {
        Some(at) if tokens[at + 1..].iter().all(|token| PRAISE.iter().any(|word| token.reads(word))) => &tokens[..at],
        _ => tokens,
    }
}
