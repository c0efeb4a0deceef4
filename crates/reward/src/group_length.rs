//! A reward for being among the shorter responses to a prompt.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Pays a right answer for being short among the responses to its prompt and takes from it for being long; a wrong answer can only
/// lose.
///
/// With `λ = 0.5 − (length − shortest)/(longest − shortest)` over the responses to one prompt, a right answer earns `λ` and a wrong
/// one `min(0, λ)`; both lie in `-0.5..=0.5`. Where all are equally long, all earn 0. Lengths are in tokens.
///
/// # Source
/// Kimi k1.5, arXiv:2501.12599, section 2.3.3 (length penalty).
///
/// # Departures
/// Open-R1's `len_reward` takes the extremes over everything it is called with, be it one prompt or several, and counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupLength {}

/// A response as far as its length reward goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Which prompt it answers.
    pub group: usize,
    /// Its length.
    pub tokens: usize,
    /// Whether its answer is right.
    pub is_right: bool,
}

impl GroupLength {
    /// What each of `members` earns, in their order. Groups need not stand together.
    #[must_use]
    pub fn scores(&self, members: &[GroupMember]) -> Vec<f32> {
        let mut extremes: HashMap<usize, (usize, usize)> = HashMap::new();
        for &GroupMember { group, tokens, .. } in members {
            let (shortest, longest) = extremes.entry(group).or_insert((tokens, tokens));
            (*shortest, *longest) = ((*shortest).min(tokens), (*longest).max(tokens));
        }
        let score = |member: &GroupMember| {
            let (shortest, longest) = extremes.get(&member.group).copied().unwrap_or_default();
            if shortest == longest {
                return 0.0;
            }
            let excess = (member.tokens - shortest) as f64 / (longest - shortest) as f64;
            let lambda = (0.5 - excess) as f32;
            if member.is_right { lambda } else { lambda.min(0.0) }
        };
        members.iter().map(score).collect()
    }
}
