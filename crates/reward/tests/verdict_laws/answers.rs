//! Answers to judge.

use reward::{Answer, Reward, Truth, Verdict};

pub(crate) fn truth(answer: &str) -> Truth {
    Truth { answer: answer.to_owned() }
}

/// The first response of the first group, as long as it has words.
pub(crate) fn answer<'a>(response: &'a str, truth: &'a Truth) -> Answer<'a> {
    Answer { problem: "What is it?", response, truth, tokens: response.split_whitespace().count(), group: 0 }
}

/// The verdict on one answer that can be judged.
pub(crate) fn verdict(reward: &dyn Reward, answer: &Answer<'_>) -> Verdict {
    let mut outcomes = reward.judge(&[*answer]);
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0).expect("a verdict")
}
