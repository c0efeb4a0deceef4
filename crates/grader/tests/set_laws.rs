//! Laws of sets of numbers and of times: what is the same set is so in any writing, and no other set passes.

use grader::{Profile, grade};
use proptest::prelude::*;

fn same(a: &str, b: &str) -> bool {
    grade(a, b, Profile::StrictSound).correct && grade(b, a, Profile::StrictSound).correct
}

/// A piece of the line with whole ends; `None` is an infinite end.
#[derive(Clone, Copy, Debug)]
struct Piece {
    low: Option<i32>,
    is_low_open: bool,
    high: Option<i32>,
    is_high_open: bool,
}

impl Piece {
    /// Whether the piece has the number `halves / 2`.
    fn has(&self, halves: i32) -> bool {
        let above = self.low.is_none_or(|low| if self.is_low_open { halves > 2 * low } else { halves >= 2 * low });
        above && self.high.is_none_or(|high| if self.is_high_open { halves < 2 * high } else { halves <= 2 * high })
    }

    fn interval(&self) -> String {
        let low = self.low.map_or("-\\infty".to_owned(), |low| low.to_string());
        let high = self.high.map_or("\\infty".to_owned(), |high| high.to_string());
        let open = if self.is_low_open || self.low.is_none() { '(' } else { '[' };
        let close = if self.is_high_open || self.high.is_none() { ')' } else { ']' };
        format!("{open}{low}, {high}{close}")
    }

    fn inequality(&self) -> String {
        let sign = |is_open: bool| if is_open { "<" } else { "\\le" };
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{low} {} x {} {high}", sign(self.is_low_open), sign(self.is_high_open)),
            (Some(low), None) => format!("{low} {} x", sign(self.is_low_open)),
            (None, Some(high)) => format!("x {} {high}", sign(self.is_high_open)),
            (None, None) => "x \\in \\mathbb{R}".to_owned(),
        }
    }
}

/// The numbers at which whole ends can be told apart: every half from -7 to 7.
fn members(has: impl Fn(i32) -> bool) -> Vec<i32> {
    (-14..=14).filter(|halves| has(*halves)).collect()
}

fn piece() -> impl Strategy<Value = Piece> {
    let end = prop::option::weighted(0.85, -5..6_i32);
    (end.clone(), any::<bool>(), end, any::<bool>())
        .prop_map(|(low, is_low_open, high, is_high_open)| Piece { low, is_low_open, high, is_high_open })
        .prop_filter("a piece is not empty", |piece| piece.low.zip(piece.high).is_none_or(|(low, high)| low < high))
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec(piece(), 1..4)
}

fn union(pieces: &[Piece], style: usize) -> String {
    let all = |write: fn(&Piece) -> String, between: &str| pieces.iter().map(write).collect::<Vec<_>>().join(between);
    match style {
        0 => all(Piece::interval, " \\cup "),
        1 => all(Piece::inequality, " \\text{ or } "),
        2 => format!("x\\in {}", all(Piece::interval, "∪")),
        _ => pieces.iter().rev().map(Piece::interval).collect::<Vec<_>>().join(" U "),
    }
}

proptest! {
    /// The oracle asks every half number whether it lies in each set.
    #[test]
    fn unions_are_the_same_if_their_numbers_are(a in pieces(), b in pieces(), one in 0..4_usize, other in 0..4_usize) {
        let numbers = |pieces: &[Piece]| members(|halves| pieces.iter().any(|piece| piece.has(halves)));
        let is_same = numbers(&a) == numbers(&b);
        let (a, b) = (union(&a, one), union(&b, other));
        prop_assert_eq!(same(&a, &b), is_same, "{} {}", a, b);
    }

    #[test]
    fn a_union_is_itself_in_pieces_and_any_order(a in pieces(), at in -5..6_i32, one in 0..4_usize, other in 0..4_usize) {
        let mut cut: Vec<Piece> = Vec::new();
        for piece in a.iter().rev() {
            let lies_within = piece.low.is_none_or(|low| low < at) && piece.high.is_none_or(|high| at < high);
            if lies_within {
                cut.push(Piece { low: Some(at), is_low_open: true, ..*piece });
                cut.push(Piece { high: Some(at), is_high_open: false, ..*piece });
            } else {
                cut.push(*piece);
            }
        }
        let (a, cut) = (union(&a, one), union(&cut, other));
        prop_assert!(same(&a, &cut), "{a} is {cut}");
    }

    #[test]
    fn both_conditions_hold_in_the_intersection(a in piece(), b in piece(), c in piece()) {
        let numbers = members(|halves| a.has(halves) && b.has(halves));
        let is_same = numbers == members(|halves| c.has(halves));
        for both in [
            format!("{} \\text{{ and }} {}", a.inequality(), b.inequality()),
            format!("{} \\cap {}", a.interval(), b.interval()),
        ] {
            // A single number is no interval.
            if numbers.len() > 1 {
                prop_assert_eq!(same(&both, &c.interval()), is_same, "{} {}", both, c.interval());
            }
        }
    }

    #[test]
    fn what_is_taken_out_is_missing(a in piece(), out in -6..7_i32, c in pieces()) {
        let is_same = members(|halves| a.has(halves) && halves != 2 * out) == members(|halves| c.iter().any(|piece| piece.has(halves)));
        let without = format!("{} \\setminus \\{{{out}\\}}", a.interval());
        prop_assert_eq!(same(&without, &union(&c, 0)), is_same, "{} {}", without, union(&c, 0));
        let excepted = format!("{} \\text{{ and }} x \\ne {out}", a.inequality());
        if a.low.is_some() || a.high.is_some() {
            prop_assert!(same(&without, &excepted), "{} {}", without, excepted);
        }
    }

    #[test]
    fn a_time_is_itself_by_either_clock(hour in 0..24_u32, minute in 0..60_u32, shift in 1..1440_u32) {
        let twelve = |hour: u32, minute: u32| {
            let half = if hour < 12 { "am" } else { "p.m." };
            format!("{}:{minute:02} {half}", (hour + 11) % 12 + 1)
        };
        let (time, later) = (twelve(hour, minute), (hour * 60 + minute + shift) % 1440);
        let later = twelve(later / 60, later % 60);
        let long = format!("{hour:02}:{minute:02}");
        prop_assert!(same(&time, &time.replace("p.m.", "PM").replace("am", "a.m.")));
        prop_assert!(!same(&time, &later), "{time} is not {later}");
        // Half past ten may be in the evening, and could be a ratio.
        let is_told = hour > 12 || (hour == 0 && minute < 10);
        prop_assert!(same(&time, &long) == is_told || hour == 0, "{time} is {long}");
    }

    #[test]
    fn amounts_in_parts_add_up(hours in 1..50_i64, minutes in 1..60_i64, seconds in 1..60_i64) {
        let total = hours * 3600 + minutes * 60 + seconds;
        for parts in [
            format!("{hours} hours {minutes} minutes {seconds} seconds"),
            format!("{hours} h {minutes} min {seconds} s"),
            format!("{hours} hours, {minutes} minutes and {seconds} seconds").replace(',', ""),
        ] {
            let (whole, more) = (format!("{total} s"), format!("{} s", total + 1));
            prop_assert!(same(&parts, &whole), "{parts} is {whole}");
            prop_assert!(!same(&parts, &more), "{parts} is not {more}");
        }
    }
}
