//! Which steps of a run are meant.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::TrainError;

/// Some steps of a run: `7`, `10..20` (both ends included), `10..`, `..20`, or several of these with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// First and last step of each part.
    parts: Vec<(usize, usize)>,
}

impl Steps {
    /// These steps, which are in order.
    pub(super) fn of(steps: impl IntoIterator<Item = usize>) -> Self {
        let mut parts: Vec<(usize, usize)> = Vec::new();
        for step in steps {
            match parts.last_mut() {
                Some((_, last)) if *last + 1 == step => *last = step,
                _ => parts.push((step, step)),
            }
        }
        Self { parts }
    }

    /// Whether a step is among them.
    #[must_use]
    pub fn contains(&self, step: usize) -> bool {
        self.parts.iter().any(|&(first, last)| (first..=last).contains(&step))
    }
}

impl FromStr for Steps {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self, TrainError> {
        let part = |part: &str| {
            let number = |digits: &str, absent: usize| match digits {
                "" => Some(absent),
                digits => digits.parse().ok(),
            };
            let ends = match part.split_once("..") {
                Some((first, last)) => number(first, 1).zip(number(last, usize::MAX)),
                None => part.parse().ok().map(|step| (step, step)),
            };
            ends.filter(|(first, last)| first <= last).ok_or_else(|| {
                TrainError::Usage(format!("`{part}` names no steps; write 7, 10..20, or several with commas between"))
            })
        };
        Ok(Self { parts: text.split(',').map(|text| part(text.trim())).collect::<Result<_, _>>()? })
    }
}

impl Display for Steps {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (index, &(first, last)) in self.parts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match last {
                _ if first == last => write!(formatter, "{comma}{first}")?,
                usize::MAX => write!(formatter, "{comma}{first}..")?,
                _ => write!(formatter, "{comma}{first}..{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_written() {
        for (text, among, not_among) in [
            ("7", &[7][..], &[6, 8][..]),
            ("10..20", &[10, 15, 20], &[9, 21]),
            ("3..", &[3, 9999], &[2]),
            ("..3", &[1, 3], &[0, 4]),
            ("1, 5..6,9", &[1, 5, 6, 9], &[2, 4, 7, 8]),
        ] {
            let steps: Steps = text.parse().expect(text);
            assert!(among.iter().all(|&step| steps.contains(step)), "{text}");
            assert!(!not_among.iter().any(|&step| steps.contains(step)), "{text}");
            assert_eq!(steps.to_string().parse::<Steps>().expect("its own writing"), steps);
        }
        assert_eq!(Steps::of([1, 2, 3, 7, 9, 10]).to_string(), "1..3,7,9..10");
        for text in ["", "x", "5..3", "1,,2", "-1", "1.5", "1..2..3"] {
            let error = text.parse::<Steps>().expect_err(text).to_string();
            assert!(error.contains("10..20"), "{error}");
        }
    }
}
