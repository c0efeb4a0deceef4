//! What stands in brackets around the whole: tuples, intervals, sets, matrices, systems.

use super::answer::{Answer, Equation};
use super::reader::Reader;
use super::token::{Kind, Token, closing, has_top_level, split, top_level};
use crate::fuel::{Failure, MOST_ELEMENTS};

impl Reader {
    /// A tuple, an interval, a set or a matrix around the whole.
    pub(super) fn bracketed(&mut self, tokens: &[Token]) -> Result<Option<Answer>, Failure> {
        // The brace before a system has no partner.
        if let [brace, Token { kind: Kind::Begin(_), .. }, .., last] = tokens
            && brace.is('⦃')
            && matches!(last.kind, Kind::End(_))
        {
            return self.system(&tokens[2..tokens.len() - 1]).map(Some);
        }
        if closing(tokens, 0) != Some(tokens.len() - 1) || tokens.len() < 2 {
            return Ok(None);
        }
        let inner = &tokens[1..tokens.len() - 1];
        let (Kind::Sign(open), Kind::Sign(close)) = (&tokens[0].kind, &tokens[tokens.len() - 1].kind) else {
            return match (&tokens[0].kind, &tokens[tokens.len() - 1].kind) {
                (Kind::Begin(name), Kind::End(end)) if name == end => match &**name {
                    "cases" | "dcases" | "rcases" | "align" | "aligned" | "gather" | "gathered" | "split"
                    | "equation" => self.system(inner).map(Some),
                    name => self.matrix(name, inner).map(Some),
                },
                _ => Ok(None),
            };
        };
        if let [Token { kind: Kind::Begin(name), .. }, .., Token { kind: Kind::End(_), .. }] = inner
            && name.ends_with("matrix") | (name == "array")
            && closing(inner, 0) == Some(inner.len() - 1)
        {
            return self.answer(inner).map(Some);
        }
        let has_commas = has_top_level(inner, ",;");
        let has_condition = has_top_level(inner, "|") && has_top_level(inner, "=<>≤≥≠");
        let is_set = *open == '⦃' && *close == '⦄' || *open == '{' && *close == '}' && (has_commas || has_condition);
        if is_set && let Some(bar) = top_level(inner, |token| token.is_any("|:")).first() {
            let is_real = match &inner[..*bar] {
                [name] => is_name(name),
                [name, of, reals] => {
                    is_name(name) && of.is('∈') && matches!(&reals.kind, Kind::Symbol(set) if set == "mathbb(R)")
                }
                _ => false,
            };
            return match self.answer(&inner[bar + 1..])? {
                region @ Answer::Region { .. } if is_real => Ok(Some(region)),
                value if is_real && gives(&inner[0], &value) => Ok(Some(Answer::Set(vec![value]))),
                Answer::Either(values) if is_real && values.iter().all(|value| gives(&inner[0], value)) => {
                    Ok(Some(Answer::Set(values)))
                }
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
                (Answer::List(more) | Answer::Either(more), true) => items.extend(more),
                (Answer::List(_) | Answer::Either(_), false) => return Err(Failure::Unread),
                (item, _) => items.push(item),
            }
        }
        let round = |sign: char| match sign {
            '⟨' => '(',
            '⟩' => ')',
            sign => sign,
        };
        let row = |item: &Answer| match item {
            Answer::Bracketed { open: '[', close: ']', items } => Some(items.clone()),
            _ => None,
        };
        let rows: Option<Vec<Vec<Answer>>> = items.iter().map(row).collect();
        Ok(Some(if is_set {
            Answer::Set(items)
        } else if let (Some(rows), '[', ']') = (rows, open, close) {
            Answer::Matrix { is_determinant: false, rows }
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

    /// Lines of equations one below the other, with marks where they align.
    fn system(&mut self, inner: &[Token]) -> Result<Answer, Failure> {
        let inner = match inner.first() {
            Some(columns) if columns.is('{') => &inner[closing(inner, 0).ok_or(Failure::Unread)? + 1..],
            _ => inner,
        };
        let mut read = Vec::with_capacity(inner.len());
        for (at, token) in inner.iter().enumerate() {
            if token.is('⏎') {
                read.push(Token::sign(','));
            } else if !token.is('&') {
                read.push(token.clone());
            } else if !inner.get(at + 1).is_some_and(|next| next.is_any("=<>≤≥≠≈")) && at > 0 && !inner[at - 1].is('⏎')
            {
                // A column of conditions: a function in pieces.
                return Err(Failure::Unread);
            }
        }
        self.answer(&read)
    }
}

/// Whether an answer says what the value of `name` is.
fn gives(name: &Token, answer: &Answer) -> bool {
    let Answer::Equation(Equation { label: Some(label), .. }) = answer else { return false };
    matches!(&name.kind, Kind::Symbol(own) | Kind::Word(own) if own == label)
}

/// Whether a token can name a variable.
fn is_name(token: &Token) -> bool {
    matches!(token.kind, Kind::Symbol(_)) || token.word().is_some_and(|word| word.chars().count() == 1)
}
