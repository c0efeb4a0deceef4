//! How much time, how many attempts and how many bytes a reward outside of this program gets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::RewardError;

/// Longest time that can be set, in seconds: a day.
const LONGEST: f64 = 86_400.0;

/// Most workers.
const MOST_WORKERS: usize = 256;

/// Bounds on a reward outside of this program; what they cut off is ungraded, so that no reward can hold up a step.
///
/// Judging the answers of a round takes at most about `deadline`, whatever the reward does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawLimits", into = "RawLimits")]
pub struct Limits {
    raw: RawLimits,
}

/// The limits as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimits {
    /// Seconds to wait for the next reply of a program, or for all replies of a server to one request.
    pub timeout: f64,
    /// Seconds for all answers of a round together.
    pub deadline: f64,
    /// How often an answer is sent again after a failure, alone and not in a batch.
    pub retries: usize,
    /// Seconds before the first answer is sent again; twice as many after each further failure, at most 5.
    pub back_off: f64,
    /// Programs, or requests to a server, at work side by side.
    pub workers: usize,
    /// Answers sent together.
    pub batch: usize,
    /// Most bytes of one reply.
    pub max_reply_bytes: usize,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            timeout: 30.0,
            deadline: 300.0,
            retries: 2,
            back_off: 0.2,
            workers: 4,
            batch: 16,
            max_reply_bytes: 65_536,
        }
    }
}

impl Limits {
    /// Checks the limits.
    ///
    /// # Errors
    /// - [`RewardError::Seconds`] if a time is not above 0 and at most a day; the back-off may be 0.
    /// - [`RewardError::Count`] if a count is 0 or there are more than 256 workers.
    pub fn new(raw: RawLimits) -> Result<Self, RewardError> {
        let seconds =
            [("timeout", raw.timeout, false), ("deadline", raw.deadline, false), ("back_off", raw.back_off, true)];
        for (name, value, may_be_zero) in seconds {
            let is_valid = value <= LONGEST && (value > 0.0 || (may_be_zero && value == 0.0));
            if !is_valid {
                return Err(RewardError::Seconds { name, value, longest: LONGEST });
            }
        }
        let counts = [
            ("workers", raw.workers, MOST_WORKERS),
            ("batch", raw.batch, usize::MAX),
            ("max_reply_bytes", raw.max_reply_bytes, usize::MAX),
        ];
        for (name, value, most) in counts {
            if !(1..=most).contains(&value) {
                return Err(RewardError::Count { name, value, most });
            }
        }
        Ok(Self { raw })
    }

    /// The limits as they are written.
    #[must_use]
    pub const fn raw(&self) -> RawLimits {
        self.raw
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.raw.timeout)
    }

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_secs_f64(self.raw.deadline)
    }

    /// The pause after so many failures in a row, of which there is at least one.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doubled = self.raw.back_off * 2.0_f64.powi(failures.saturating_sub(1).min(30) as i32);
        Duration::from_secs_f64(doubled.min(5.0))
    }
}

impl TryFrom<RawLimits> for Limits {
    type Error = RewardError;

    fn try_from(raw: RawLimits) -> Result<Self, RewardError> {
        Self::new(raw)
    }
}

impl From<Limits> for RawLimits {
    fn from(limits: Limits) -> Self {
        limits.raw
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, RawLimits};

    fn is_valid(raw: RawLimits) -> bool {
        Limits::new(raw).is_ok()
    }

    #[test]
    fn bounds_belong_to_what_is_allowed() {
        let raw = RawLimits::default();
        for seconds in [1e-3, 86_400.0] {
            assert!(is_valid(RawLimits { timeout: seconds, deadline: seconds, back_off: seconds, ..raw }));
        }
        assert!(is_valid(RawLimits { back_off: 0.0, retries: 0, workers: 256, batch: 1, max_reply_bytes: 1, ..raw }));
        for seconds in [0.0, -1.0, 86_400.1, f64::NAN, f64::INFINITY] {
            assert!(!is_valid(RawLimits { timeout: seconds, ..raw }), "{seconds}");
            assert!(!is_valid(RawLimits { deadline: seconds, ..raw }), "{seconds}");
            assert_eq!(is_valid(RawLimits { back_off: seconds, ..raw }), seconds == 0.0, "{seconds}");
        }
    }

    #[test]
    fn pauses_double_up_to_five_seconds() {
        let limits = Limits::new(RawLimits { back_off: 0.5, ..RawLimits::default() }).expect("valid");
        let pauses = [1, 2, 3, 4, 5, u32::MAX].map(|failures| limits.pause(failures).as_secs_f64());
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]);
        let none = Limits::new(RawLimits { back_off: 0.0, ..RawLimits::default() }).expect("valid");
        assert!(none.pause(9).is_zero());
    }

    #[test]
    fn limits_are_written_as_they_are_read() {
        let raw = RawLimits {
            timeout: 1.5,
            deadline: 60.0,
            retries: 7,
            back_off: 0.0,
            workers: 2,
            batch: 3,
            max_reply_bytes: 99,
        };
        let limits = Limits::new(raw).expect("valid");
        let text = serde_json::to_string(&limits).expect("JSON");
        assert_eq!(serde_json::from_str::<Limits>(&text).expect("as written").raw(), raw);
        let defaults = serde_json::from_str::<Limits>("{}").expect("all have defaults").raw();
        let expected = (30.0, 300.0, 2, 0.2, 4, 16, 65_536);
        let RawLimits { timeout, deadline, retries, back_off, workers, batch, max_reply_bytes } = defaults;
        assert_eq!((timeout, deadline, retries, back_off, workers, batch, max_reply_bytes), expected);
    }
}
