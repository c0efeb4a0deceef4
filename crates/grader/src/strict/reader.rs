//! From tokens to an answer.

use super::answer::{Answer, Equation};
use super::clock::{Clock, is_date};
use super::quantity::{measured_in_parts, quantity, ratio};
use super::token::{Kind, Token, closing, has_top_level, split, top_level, trimmed};
use super::{line, phrase, relation, spelling};
use crate::fuel::{DEEPEST_NEST, Failure, Fuel, MOST_ELEMENTS};

/// Most tokens of an answer that is read for its structure.
const MOST_TOKENS: usize = 600;

/// Reads an answer.
///
/// # Errors
/// [`Failure::Refused`] for an answer that nests too deeply or has too many parts.
pub(super) fn read(tokens: &[Token]) -> Result<Answer, Failure> {
    if tokens.len() > MOST_TOKENS {
        return Err(Failure::Refused);
    }
    let tokens = spelling::with_signs(&phrase::with_numbers(tokens));
    Reader { depth: 0, fuel: Fuel::new() }.answer(phrase::without_lead(&tokens))
}

pub(super) struct Reader {
    depth: usize,
    /// What may be computed while reading.
    pub(super) fuel: Fuel,
}

impl Reader {
    /// Reads an answer; what is no mathematics is text.
    pub(super) fn answer(&mut self, tokens: &[Token]) -> Result<Answer, Failure> {
        if self.depth >= DEEPEST_NEST {
            return Err(Failure::Refused);
        }
        self.depth += 1;
        let answer = self.structure(trimmed(tokens));
        self.depth -= 1;
        match answer {
            Err(Failure::Unread) if !tokens.is_empty() => Ok(Answer::Text(phrase::text(trimmed(tokens)))),
            answer => answer,
        }
    }

    fn structure(&mut self, tokens: &[Token]) -> Result<Answer, Failure> {
        if tokens.is_empty() {
            return Err(Failure::Unread);
        }
        // Set phrases are short.
        let words = if tokens.len() <= 6 { phrase::text(tokens) } else { String::new() };
        if phrase::is_nothing(&words) || tokens[..].iter().all(|token| token.is('∅')) {
            return Ok(Answer::Set(Vec::new()));
        }
        let is_reals = matches!(&tokens[0].kind, Kind::Symbol(name) if name == "mathbb(R)");
        if phrase::is_everything(&words) || (is_reals && tokens.len() == 1) {
            return Ok(Answer::Region { variable: None, intervals: vec![line::everything()] });
        }
        if words == "dne" || is_date(tokens) || phrase::is_rank(tokens) {
            return Err(Failure::Unread);
        }
        // `12 (twelve)` says it twice.
        if let [value, open, again, close] = tokens
            && open.is('(')
            && open.spaced
            && close.is(')')
            && matches!(value.kind, Kind::Number(_))
            && value.kind == again.kind
        {
            return self.structure(&tokens[..1]);
        }
        if let Some(plain) = phrase::without_remark(tokens) {
            return self.answer(&plain);
        }
        if let Some(clock) = Clock::read(tokens) {
            return Ok(Answer::Clock(clock));
        }
        if let Some(choice) = self.choice(tokens)? {
            return Ok(choice);
        }
        if let Some(quantity) = measured_in_parts(tokens) {
            return Ok(Answer::Quantity(quantity));
        }
        if let Some(list) = self.list(tokens)? {
            return Ok(list);
        }
        if let Some(both) = self.plus_and_minus(tokens)? {
            return Ok(both);
        }
        if let Some(answer) = relation::read(self, tokens) {
            return answer;
        }
        if let Some(interval) = self.outward(tokens)? {
            return Ok(interval);
        }
        if let Some(sets) = self.sets(tokens)? {
            return Ok(sets);
        }
        if let Some(labelled) = self.labelled(tokens)? {
            return Ok(labelled);
        }
        let is_to = |token: &Token| token.is(':') || token.reads("to");
        if !top_level(tokens, is_to).is_empty() {
            return ratio(&split(tokens, is_to), tokens.last());
        }
        if let Some(answer) = self.bracketed(tokens)? {
            return Ok(answer);
        }
        if let Some(point) = self.point(tokens)? {
            return Ok(point);
        }
        quantity(tokens).map(Answer::Quantity)
    }

    /// Several answers with commas, `or`, `and` between them.
    fn list(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let is_or = |token: &Token| token.reads("or") || token.is('∨');
        if tokens[0].is(']') {
            return Ok(None);
        }
        let parts_here = |token: &Token| token.is_any(",;&∧") || is_or(token) || token.reads("and");
        if top_level(tokens, parts_here).is_empty() {
            return Ok(None);
        }
        // A comma may stand before an "and".
        let parts: Vec<&[Token]> = split(tokens, parts_here).into_iter().filter(|part| !part.is_empty()).collect();
        if parts.len() > MOST_ELEMENTS {
            return Err(Failure::Refused);
        }
        if let [only] = parts[..] {
            return if has_top_level(tokens, ",;") { Err(Failure::Unread) } else { self.answer(only).map(Some) };
        }
        // `p ∧ q` is one statement; `x = 1 ∨ x = 2` are two.
        let is_stated = |part: &&[Token]| part.iter().any(|token| token.is_any("=<>≤≥≠∈"));
        if has_top_level(tokens, "∧∨") && !parts.iter().all(is_stated) {
            return Err(Failure::Unread);
        }
        let has_or = !top_level(tokens, is_or).is_empty();
        let mut items = Vec::new();
        let mut is_either = has_or;
        for part in parts {
            match self.answer(part)? {
                Answer::List(more) => items.extend(more),
                Answer::Either(more) => {
                    is_either = true;
                    items.extend(more);
                }
                // Who names one option or another has not chosen.
                Answer::Choice { .. } | Answer::Text(_) if has_or => return Err(Failure::Unread),
                item => items.push(item),
            }
        }
        let has_comma = has_top_level(tokens, ",;");
        // `(-∞, 1) or (2, ∞)`, and with a comma or an "and" if they do not overlap.
        let intervals: Option<Vec<line::Part>> = items.iter().map(line::evident_interval).collect();
        if let Some(intervals) = intervals
            && items.len() > 1
            && (has_or || line::meet(&intervals, &self.fuel).is_none())
            && let Some(region) = line::union(&intervals)
        {
            return Ok(Some(region));
        }
        let parts: Option<Vec<line::Part>> = items.iter().map(line::part).collect();
        if let Some(parts) = parts
            && items.iter().any(|item| matches!(item, Answer::Region { .. }))
        {
            // A comma before an exception means "but".
            let meets = !has_or && (!has_comma || has_top_level(tokens, "≠"));
            let region = if has_or && !has_comma { line::union(&parts) } else { None };
            let region = if meets { line::meet(&parts, &self.fuel) } else { region };
            if let Some(region) = region {
                return Ok(Some(region));
            }
        }
        Ok(Some(if is_either { Answer::Either(items) } else { Answer::List(items) }))
    }

    /// `±3` is 3 and -3; a `∓` has the other sign.
    fn plus_and_minus(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let count = |sign| tokens.iter().filter(|token| token.is(sign)).count();
        match (count('±'), count('∓')) {
            (0, 0) => return Ok(None),
            (1, 0 | 1) | (0, 1) => {}
            _ => return Err(Failure::Unread),
        }
        let with = |plus: char, minus: char| -> Vec<Token> {
            let swap = |token: &Token| match token.kind {
                Kind::Sign('±') => Token { kind: Kind::Sign(plus), ..token.clone() },
                Kind::Sign('∓') => Token { kind: Kind::Sign(minus), ..token.clone() },
                _ => token.clone(),
            };
            tokens.iter().map(swap).collect()
        };
        Ok(Some(Answer::Either(vec![self.answer(&with('+', '-'))?, self.answer(&with('-', '+'))?])))
    }

    /// Sets with `∪`, `∩` or `∖` between them.
    fn sets(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let is_reals = matches!(&tokens[0].kind, Kind::Symbol(name) if name == "mathbb(R)");
        let is_minus =
            |at: usize| tokens[at].is('∖') || tokens[at].reads("except") || (is_reals && at == 1 && tokens[at].is('-'));
        let Some(sign) = ["∪", "∩"].into_iter().find(|sign| has_top_level(tokens, sign)) else {
            let Some(at) = (1..tokens.len()).find(|at| is_minus(*at)) else { return Ok(None) };
            let (part, hole) = (self.answer(&tokens[..at])?, self.answer(&tokens[at + 1..])?);
            let hole = match hole {
                value @ Answer::Quantity(_) if tokens[at].reads("except") => Answer::Set(vec![value]),
                hole => hole,
            };
            let rest = line::part(&part)
                .zip(line::part(&hole))
                .and_then(|(part, hole)| line::without(part, &hole, &self.fuel));
            return rest.map(Some).ok_or(Failure::Unread);
        };
        let parts = split(tokens, |token| token.is_any(sign));
        if parts.len() > MOST_ELEMENTS {
            return Err(Failure::Refused);
        }
        let items: Vec<Answer> = parts.into_iter().map(|part| self.answer(part)).collect::<Result<_, _>>()?;
        let members = |item: &Answer| match item {
            Answer::Set(members) => Some(members.clone()),
            _ => None,
        };
        let sets: Option<Vec<Vec<Answer>>> = items.iter().map(members).collect();
        if let (Some(sets), "∪") = (sets, sign) {
            return Ok(Some(Answer::Set(sets.concat())));
        }
        let parts: Vec<line::Part> = items.iter().map(line::part).collect::<Option<_>>().ok_or(Failure::Unread)?;
        let whole = if sign == "∪" { line::union(&parts) } else { line::meet(&parts, &self.fuel) };
        whole.map(Some).ok_or(Failure::Unread)
    }

    /// `Perimeter: 24`: a value and what it is of.
    fn labelled(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let Some(at) = tokens.iter().position(|token| token.is(':')) else { return Ok(None) };
        let name = &tokens[..at];
        let is_long = |token: &Token| token.word().is_some_and(|word| word.chars().count() > 3);
        let label = relation::label(name).filter(|_| name.iter().all(|word| word.word().is_some()));
        let (Some(label), true) = (label, name.iter().any(is_long)) else { return Ok(None) };
        let value = Box::new(self.answer(&tokens[at + 1..])?);
        Ok(Some(Answer::Equation(Equation { label: Some(label), value, difference: None })))
    }

    /// `P(1, 2)`: a point and where it is.
    fn point(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let [name, place @ ..] = tokens else { return Ok(None) };
        let label = name.word().filter(|name| name.len() == 1 && name.chars().all(|c| c.is_ascii_uppercase()));
        let (Some(label), Some(open)) = (label, place.first()) else { return Ok(None) };
        let is_tuple = open.is('(') && closing(place, 0) == Some(place.len() - 1) && place.len() > 2;
        if !is_tuple || !has_top_level(&place[1..place.len() - 1], ",;") {
            return Ok(None);
        }
        let value = Box::new(self.answer(place)?);
        Ok(Some(Answer::Equation(Equation { label: Some(label.to_owned()), value, difference: None })))
    }

    /// `]a, b[`, an interval whose open ends are written with the bracket turned around.
    fn outward(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let [first, inner @ .., last] = tokens else { return Ok(None) };
        let are_ends = first.is_any("[]") && last.is_any("[]") && (first.is(']') || last.is('['));
        let parts = split(inner, |token| token.is_any(",;"));
        if !are_ends || parts.len() != 2 {
            return Ok(None);
        }
        let open = if first.is(']') { '(' } else { '[' };
        let close = if last.is('[') { ')' } else { ']' };
        let items = vec![self.answer(parts[0])?, self.answer(parts[1])?];
        Ok(Some(Answer::Bracketed { open, close, items }))
    }
}
