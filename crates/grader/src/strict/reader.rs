//! From tokens to an answer.

use super::answer::{Answer, Interval, Quantity};
use super::token::{Kind, Token, closing, has_top_level, split, top_level, trimmed};
use super::{formula, phrase, relation, symbol, unit};
use crate::algebra::{Constant, Expression};
use crate::fuel::{DEEPEST_NEST, Failure, MOST_ELEMENTS};

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
    let tokens = phrase::with_numbers(tokens);
    Reader { depth: 0 }.answer(phrase::without_lead(&tokens))
}

pub(super) struct Reader {
    depth: usize,
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
        let words = phrase::text(tokens);
        if phrase::is_nothing(&words) || tokens[..].iter().all(|token| token.is('∅')) {
            return Ok(Answer::Set(Vec::new()));
        }
        let is_reals = matches!(&tokens[0].kind, Kind::Symbol(name) if name == "mathbb(R)");
        if phrase::is_everything(&words) || (is_reals && tokens.len() == 1) {
            return Ok(Answer::Region { variable: None, intervals: vec![everything()] });
        }
        if let Some(choice) = self.choice(tokens)? {
            return Ok(choice);
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
        if has_top_level(tokens, "∪") {
            return self.union(tokens);
        }
        if let [reals, minus, rest @ ..] = tokens
            && matches!(&reals.kind, Kind::Symbol(name) if name == "mathbb(R)")
            && minus.is('∖')
        {
            return self.all_but(rest);
        }
        let is_to = |token: &Token| token.is(':') || token.reads("to");
        if !top_level(tokens, is_to).is_empty() {
            return ratio(&split(tokens, is_to), tokens.last());
        }
        if let Some(answer) = self.bracketed(tokens)? {
            return Ok(answer);
        }
        quantity(tokens).map(Answer::Quantity)
    }

    /// `A`, `(A)`, `A. 50`, `Option A`.
    fn choice(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let is_named = ["option", "choice", "选", "选项"].iter().any(|name| tokens[0].reads(name)) && tokens.len() > 1;
        let tokens = if is_named { &tokens[1..] } else { tokens };
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
            _ => return Ok(None),
        };
        let Some(letter) = letter else { return Ok(None) };
        if letter.is_lowercase() && !is_marked {
            return Ok(None);
        }
        let rest = match rest {
            [mark, rest @ ..] if mark.is_any(".:") && is_marked => rest,
            rest => rest,
        };
        let Some(first) = rest.first() else { return Ok(Some(Answer::Choice { letter, says: None })) };
        let joins = first.is_any(",;+-*/^=<>≤≥≠∈∪!") || first.reads("and") || first.reads("or");
        if joins || (letter.is_lowercase() && !first.spaced) {
            return Ok(None);
        }
        let says = self.answer(rest)?;
        let another = match &says {
            Answer::Choice { .. } => true,
            Answer::List(items) => items.iter().any(|item| matches!(item, Answer::Choice { .. })),
            Answer::Quantity(quantity) => matches!(&quantity.value, Expression::Variable(_)),
            _ => false,
        };
        Ok((!another).then(|| Answer::Choice { letter, says: Some(Box::new(says)) }))
    }

    /// Several answers with commas, `or`, `and` between them.
    fn list(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        let is_or = |token: &Token| token.reads("or") || token.is('∨');
        if tokens[0].is(']') {
            return Ok(None);
        }
        let parts_here = |token: &Token| token.is_any(",;") || is_or(token) || token.reads("and");
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
        let mut items = Vec::new();
        for part in parts {
            match self.answer(part)? {
                Answer::List(more) => items.extend(more),
                item => items.push(item),
            }
        }
        let is_union = !top_level(tokens, is_or).is_empty() && !has_top_level(tokens, ",;");
        if is_union && let Some(union) = union_of(&items) {
            return Ok(Some(union));
        }
        Ok(Some(Answer::List(items)))
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
        Ok(Some(Answer::List(vec![self.answer(&with('+', '-'))?, self.answer(&with('-', '+'))?])))
    }

    fn union(&mut self, tokens: &[Token]) -> Result<Answer, Failure> {
        let parts = split(tokens, |token| token.is('∪'));
        let items: Result<Vec<Answer>, Failure> = parts.into_iter().map(|part| self.answer(part)).collect();
        let items = items?;
        let sets: Option<Vec<&[Answer]>> = items
            .iter()
            .map(|item| match item {
                Answer::Set(members) => Some(&members[..]),
                _ => None,
            })
            .collect();
        match sets {
            Some(sets) => Ok(Answer::Set(sets.concat())),
            None => union_of(&items).ok_or(Failure::Unread),
        }
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

    /// The real numbers without one of them.
    fn all_but(&mut self, tokens: &[Token]) -> Result<Answer, Failure> {
        match self.answer(tokens)? {
            Answer::Set(items) => match &items[..] {
                [item] => {
                    let value = item.as_formula().ok_or(Failure::Unread)?;
                    Ok(Answer::Region { variable: None, intervals: relation::around(value.clone()) })
                }
                _ => Err(Failure::Unread),
            },
            _ => Err(Failure::Unread),
        }
    }

    /// A tuple, an interval, a set or a matrix around the whole.
    fn bracketed(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        if closing(tokens, 0) != Some(tokens.len() - 1) || tokens.len() < 2 {
            return Ok(None);
        }
        let inner = &tokens[1..tokens.len() - 1];
        let (Kind::Sign(open), Kind::Sign(close)) = (&tokens[0].kind, &tokens[tokens.len() - 1].kind) else {
            return match (&tokens[0].kind, &tokens[tokens.len() - 1].kind) {
                (Kind::Begin(name), Kind::End(end)) if name == end => self.matrix(name, inner).map(Some),
                _ => Ok(None),
            };
        };
        let has_commas = has_top_level(inner, ",;");
        let is_set = *open == '⦃' && *close == '⦄' || *open == '{' && *close == '}' && has_commas;
        if is_set && let Some(bar) = top_level(inner, |token| token.is_any("|:")).first() {
            return match self.answer(&inner[bar + 1..])? {
                region @ Answer::Region { .. } => Ok(Some(region)),
                _ => Err(Failure::Unread),
            };
        }
        if inner.is_empty() {
            return if is_set { Ok(Some(Answer::Set(Vec::new()))) } else { Err(Failure::Unread) };
        }
        if !is_set && (!has_commas || !"([⟨".contains(*open) || !")]⟩".contains(*close)) {
            return Ok(None);
        }
        let parts = split(inner, |token| token.is_any(",;"));
        if parts.len() > MOST_ELEMENTS {
            return Err(Failure::Refused);
        }
        let mut items = Vec::new();
        for part in parts {
            match (self.answer(part)?, is_set) {
                (Answer::List(more), true) => items.extend(more),
                (Answer::List(_), false) => return Err(Failure::Unread),
                (item, _) => items.push(item),
            }
        }
        let round = |sign: char| match sign {
            '⟨' => '(',
            '⟩' => ')',
            sign => sign,
        };
        Ok(Some(if is_set {
            Answer::Set(items)
        } else {
            Answer::Bracketed { open: round(*open), close: round(*close), items }
        }))
    }

    fn matrix(&mut self, environment: &str, inner: &[Token]) -> Result<Answer, Failure> {
        let is_matrix = matches!(environment, "matrix" | "pmatrix" | "bmatrix" | "Bmatrix" | "smallmatrix" | "array");
        let is_determinant = environment == "vmatrix";
        if !is_matrix && !is_determinant {
            return Err(Failure::Unread);
        }
        let inner = match inner.first() {
            Some(open) if environment == "array" && open.is('{') => {
                &inner[closing(inner, 0).ok_or(Failure::Unread)? + 1..]
            }
            _ => inner,
        };
        let inner = if inner.last().is_some_and(|last| last.is('⏎')) { &inner[..inner.len() - 1] } else { inner };
        let mut rows = Vec::new();
        for row in split(inner, |token| token.is('⏎')) {
            let cells: Result<Vec<Answer>, Failure> =
                split(row, |token| token.is('&')).into_iter().map(|cell| self.answer(cell)).collect();
            rows.push(cells?);
        }
        if rows.iter().map(Vec::len).sum::<usize>() > MOST_ELEMENTS {
            return Err(Failure::Refused);
        }
        Ok(Answer::Matrix { is_determinant, rows })
    }
}

fn everything() -> Interval {
    let infinity = Expression::Constant(Constant::Infinity);
    Interval { low: infinity.clone().negated(), is_low_open: true, high: infinity, is_high_open: true }
}

/// The intervals of all items together, if each is one or several and all are of the same variable.
fn union_of(items: &[Answer]) -> Option<Answer> {
    let mut variable: Option<String> = None;
    let mut all = Vec::new();
    for item in items {
        match item {
            Answer::Region { variable: name, intervals } => {
                if name.is_some() && variable.is_some() && variable != *name {
                    return None;
                }
                variable = variable.or_else(|| name.clone());
                all.extend(intervals.iter().cloned());
            }
            item => all.push(interval(item)?),
        }
    }
    (all.len() <= MOST_ELEMENTS).then_some(Answer::Region { variable, intervals: all })
}

/// `(a, b]` as an interval.
pub(super) fn interval(answer: &Answer) -> Option<Interval> {
    let Answer::Bracketed { open, close, items } = answer else { return None };
    let [low, high] = &items[..] else { return None };
    let (low, high) = (low.as_formula()?.clone(), high.as_formula()?.clone());
    Some(Interval { low, is_low_open: *open == '(', high, is_high_open: *close == ')' })
}

fn ratio(sides: &[&[Token]], last: Option<&Token>) -> Result<Answer, Failure> {
    let parts: Result<Vec<Expression>, Failure> = sides.iter().map(|side| formula::read(side)).collect();
    let parts = parts?;
    let limit = |at: usize, below: u64| {
        let value = parts.get(at).and_then(formula::literal);
        value.is_some_and(|value| {
            value.is_integer() && formula::literal(&formula::whole(below)).is_some_and(|b| value < b)
        })
    };
    let is_long = last.is_some_and(|last| matches!(&last.kind, Kind::Number(value) if value.is_integer()));
    let is_clock = is_long && (2..=3).contains(&parts.len()) && limit(0, 25) && limit(1, 60) && !limit(1, 10);
    Ok(Answer::Ratio { parts, is_clock })
}

fn quantity(tokens: &[Token]) -> Result<Quantity, Failure> {
    let plain = |value| Quantity { value, unit: None, percent: false, as_formula: None };
    if let [rest @ .., last] = tokens
        && (last.is('%') || last.reads("percent"))
    {
        return Ok(Quantity { percent: true, ..plain(formula::read(rest)?) });
    }
    let price = tokens.iter().position(|token| token.is_any("$£€¥")).filter(|at| *at <= 1 && tokens.len() > at + 1);
    if let Some(at) = price {
        let mut rest = tokens.to_vec();
        let sign = rest.remove(at);
        let value = formula::read(&rest)?;
        return Ok(Quantity { unit: unit::read(&[sign]), ..plain(value) });
    }
    let has_function = tokens.iter().any(|token| token.word().is_some_and(symbol::is_function));
    let is_degree_at =
        |at: usize| tokens[at].is('°') && !tokens.get(at + 1).is_some_and(|next| next.reads("C") || next.reads("F"));
    if !has_function && (0..tokens.len()).any(is_degree_at) {
        // Without a sine of it, an angle is a number of degrees, in every term.
        let bare: Vec<Token> = (0..tokens.len()).filter(|at| !is_degree_at(*at)).map(|at| tokens[at].clone()).collect();
        let degree = Token { kind: Kind::Sign('°'), spaced: false, prose: false };
        return Ok(Quantity { unit: unit::read(&[degree]), ..plain(formula::read(&bare)?) });
    }
    if !has_function
        && let Some((at, unit)) = unit::at_end(tokens)
        && let Ok(value) = formula::read(&tokens[..at])
    {
        return Ok(Quantity { value, unit: Some(unit), percent: false, as_formula: formula::read(tokens).ok() });
    }
    // Words are words, not products of names.
    let is_greek = |word: &str| matches!(word, "alpha" | "beta" | "gamma" | "theta" | "infinity");
    let is_long = |token: &Token| token.word().is_some_and(|word| word.chars().count() > 2 && !is_greek(word));
    let is_lower = |token: &Token| token.word().is_some_and(|word| word.chars().any(char::is_lowercase));
    let are_words = !has_function && tokens.iter().all(|token| token.word().is_some()) && tokens.iter().any(is_long);
    if are_words && (tokens.len() > 1 || tokens.iter().any(is_lower)) {
        return Err(Failure::Unread);
    }
    Ok(plain(formula::read(tokens)?))
}
