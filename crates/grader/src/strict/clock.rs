//! Times of day.

use super::token::Token;

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    seconds: u32,
    /// Whether it is before or after noon, where that is said.
    is_afternoon: Option<bool>,
}

const NOON: u32 = 12 * 3600;

impl Clock {
    /// The time that the numbers of hours, minutes and seconds are, if they are one.
    pub(super) fn new(numbers: &[u32], is_afternoon: Option<bool>) -> Option<Self> {
        let hours = if is_afternoon.is_some() { 1..=12 } else { 0..=24 };
        let (hour, rest) = numbers.split_first()?;
        let fits = hours.contains(hour) && rest.len() <= 2 && rest.iter().all(|part| *part < 60);
        let seconds = |rest: &[u32]| rest.iter().zip([60, 1]).map(|(part, size)| part * size).sum::<u32>();
        fits.then(|| Self { seconds: hour * 3600 + seconds(rest), is_afternoon })
    }

    /// Reads `3:30 pm`, `10:05` or `8 a.m.`; without a half of the day or a minute like `05` it could be a ratio.
    pub(super) fn read(tokens: &[Token]) -> Option<Self> {
        let (tokens, is_afternoon) = match tokens {
            [rest @ .., half] if half.reads("am") || half.reads("pm") => (rest, Some(half.reads("pm"))),
            [rest @ .., half, dot, m] | [rest @ .., half, dot, m, _]
                if (half.reads("a") || half.reads("p")) && dot.is('.') && m.reads("m") =>
            {
                (rest, Some(half.reads("p")))
            }
            rest => (rest, None),
        };
        let numbers: Option<Vec<u32>> = tokens.iter().step_by(2).map(Token::whole).collect();
        let are_parted = tokens.iter().skip(1).step_by(2).all(|token| token.is(':'));
        let is_padded = tokens.iter().skip(1).any(|token| token.padded);
        let is_sure = is_afternoon.is_some() || is_padded;
        (is_sure && are_parted && tokens.len() % 2 == 1).then(|| Self::new(&numbers?, is_afternoon))?
    }

    /// Whether both are the same time of day. Without a half of the day, only an hour after noon or before one tells it.
    pub(super) fn same(self, other: Self) -> bool {
        let of_day = |clock: Self| {
            let afternoon = clock.is_afternoon?;
            Some(clock.seconds % NOON + if afternoon { NOON } else { 0 })
        };
        match (of_day(self), of_day(other)) {
            (Some(one), Some(another)) => one == another,
            (Some(one), None) => one == other.seconds && !(3600..13 * 3600).contains(&one),
            (None, Some(another)) => self.seconds == another && !(3600..13 * 3600).contains(&another),
            (None, None) => self.seconds == other.seconds,
        }
    }
}

/// Whether the tokens are a date in numbers, `2024-01-05` or `1/5/2024`, which is no formula.
pub(super) fn is_date(tokens: &[Token]) -> bool {
    let [first, sign, second, again, third] = tokens else { return false };
    let parts = sign.kind == again.kind && sign.is_any("-/.");
    let (Some(first), Some(second), Some(third)) = (first.whole(), second.whole(), third.whole()) else { return false };
    let is_year = |number| (1000..=2999).contains(&number);
    let is_day = |number| (1..=31).contains(&number);
    parts && is_day(second) && (is_year(first) && is_day(third) || is_day(first) && is_year(third))
}
