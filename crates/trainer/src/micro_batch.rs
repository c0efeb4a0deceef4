//! Cutting a batch of groups into passes of bounded size.
//!
//! Tokens are packed without padding, so sorting by length would save nothing: a pass costs what its tokens cost, whatever
//! their order (but for attention off the CPU, where the responses of a group are padded to its longest). Groups stay in
//! theirs, and so do all per-token values.

use std::ops::Range;

/// Some responses of one group, computed behind one copy of its prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Index of the group.
    pub group: usize,
    /// Its responses.
    pub responses: Range<usize>,
}

/// Prompt length and response lengths of a group.
#[derive(Clone, Debug)]
pub struct GroupLengths {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of each response.
    pub responses: Vec<usize>,
}

/// How many tokens a batch takes, and how many it would take if every response had a prompt of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Tokens of all passes: a prompt once for each piece of its group, and the responses.
    pub computed: usize,
    /// Prompt and response of every response.
    pub unshared: usize,
}

impl TokenCounts {
    /// Of groups that are cut into passes of at most `budget` tokens.
    #[must_use]
    pub fn of(groups: &[GroupLengths], budget: usize) -> Self {
        let mut counts = Self::default();
        for lengths in groups {
            counts.computed += pieces(lengths, budget).iter().map(|(_, cost)| cost).sum::<usize>();
            counts.unshared += lengths.responses.iter().map(|response| lengths.prompt + response).sum::<usize>();
        }
        counts
    }

    /// How many times as many tokens there would be without sharing; `G (P + R) / (P + G R)` for an uncut group of `G`
    /// responses of `R` tokens to a prompt of `P`. 0 of nothing.
    #[must_use]
    pub fn saving(&self) -> f64 {
        if self.computed == 0 { 0.0 } else { self.unshared as f64 / self.computed as f64 }
    }
}

/// Packs groups, in order, into micro-batches of at most `budget` tokens. A group that does not fit is cut between
/// responses, its prompt repeated; a single response is never cut.
#[must_use]
pub fn micro_batches(groups: &[GroupLengths], budget: usize) -> Vec<Vec<Piece>> {
    let mut batches = vec![Vec::new()];
    let mut used = 0;
    for (group, lengths) in groups.iter().enumerate() {
        for (responses, cost) in pieces(lengths, budget) {
            if used > 0 && used + cost > budget {
                batches.push(Vec::new());
                used = 0;
            }
            used += cost;
            if let Some(batch) = batches.last_mut() {
                batch.push(Piece { group, responses });
            }
        }
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

/// The same responses in the same order, each behind a copy of its prompt, in micro-batches of at most `budget` tokens.
///
/// Responses without tokens are left out: there is nothing to compute. A single response is never cut.
#[must_use]
pub(crate) fn one_prompt_each(groups: &[GroupLengths], pieces: &[Piece], budget: usize) -> Vec<Vec<Piece>> {
    let single: Vec<Piece> = pieces
        .iter()
        .flat_map(|piece| piece.responses.clone().map(|r| Piece { group: piece.group, responses: r..r + 1 }))
        .filter(|piece| groups[piece.group].responses[piece.responses.start] > 0)
        .collect();
    let lengths: Vec<GroupLengths> = single
        .iter()
        .map(|piece| {
            let group = &groups[piece.group];
            GroupLengths { prompt: group.prompt, responses: group.responses[piece.responses.clone()].to_vec() }
        })
        .collect();
    let original = |batch: Vec<Piece>| batch.into_iter().map(|piece| single[piece.group].clone()).collect();
    micro_batches(&lengths, budget).into_iter().map(original).collect()
}

/// Ranges of a group's responses that fit the budget behind its prompt, and what each costs.
fn pieces(lengths: &GroupLengths, budget: usize) -> Vec<(Range<usize>, usize)> {
    let mut pieces = Vec::new();
    let (mut start, mut cost) = (0, lengths.prompt);
    for (response, &length) in lengths.responses.iter().enumerate() {
        if response > start && cost + length > budget {
            pieces.push((start..response, cost));
            (start, cost) = (response, lengths.prompt);
        }
        cost += length;
    }
    if start < lengths.responses.len() {
        pieces.push((start..lengths.responses.len(), cost));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn groups() -> impl Strategy<Value = Vec<GroupLengths>> {
        let group = (1_usize..50, prop::collection::vec(0_usize..40, 0..6));
        prop::collection::vec(group.prop_map(|(prompt, responses)| GroupLengths { prompt, responses }), 0..8)
    }

    #[test]
    fn a_group_that_is_not_cut_saves_what_it_can() {
        let group = GroupLengths { prompt: 300, responses: vec![128; 8] };
        let counts = TokenCounts::of(&[group.clone(), group], 2000);
        assert_eq!(counts, TokenCounts { computed: 2 * (300 + 8 * 128), unshared: 2 * 8 * (300 + 128) });
        assert!((counts.saving() - 8.0 * 428.0 / 1324.0).abs() < 1e-12);
        assert_eq!(TokenCounts::default().saving(), 0.0);
    }

    proptest! {
        /// Every response is computed exactly once and in order, whatever the budget, and only a batch that cannot be cut
        /// further exceeds it.
        #[test]
        fn every_response_once(groups in groups(), budget in 1_usize..300) {
            let batches = micro_batches(&groups, budget);
            let seen: Vec<(usize, usize)> =
                batches.iter().flatten().flat_map(|piece| piece.responses.clone().map(|r| (piece.group, r))).collect();
            let all: Vec<(usize, usize)> =
                groups.iter().enumerate().flat_map(|(g, lengths)| (0..lengths.responses.len()).map(move |r| (g, r))).collect();
            prop_assert_eq!(seen, all);
            for batch in &batches {
                let cost = |piece: &Piece| {
                    let lengths = &groups[piece.group];
                    lengths.prompt + lengths.responses[piece.responses.clone()].iter().sum::<usize>()
                };
                let total: usize = batch.iter().map(cost).sum();
                prop_assert!(total <= budget || (batch.len() == 1 && batch[0].responses.len() == 1));
            }
        }

        /// The tokens that are counted are those of the passes.
        #[test]
        fn counted_tokens_are_computed(groups in groups(), budget in 1_usize..300) {
            let passes = micro_batches(&groups, budget);
            let cost = |piece: &Piece| {
                let lengths = &groups[piece.group];
                lengths.prompt + lengths.responses[piece.responses.clone()].iter().sum::<usize>()
            };
            let computed = passes.iter().flatten().map(cost).sum::<usize>();
            prop_assert_eq!(TokenCounts::of(&groups, budget).computed, computed);
            // One response a pass shares nothing.
            let alone = TokenCounts::of(&groups, 1);
            prop_assert_eq!(alone.computed, alone.unshared);
        }

        /// With a prompt for each response too, whatever the pieces were.
        #[test]
        fn every_response_with_its_own_prompt(groups in groups(), budget in 1_usize..300, other in 1_usize..300) {
            for pieces in micro_batches(&groups, other) {
                let length = |piece: &Piece| groups[piece.group].responses[piece.responses.start];
                let batches = one_prompt_each(&groups, &pieces, budget);
                let seen: Vec<(usize, usize)> =
                    batches.iter().flatten().map(|piece| (piece.group, piece.responses.start)).collect();
                let all = pieces.iter().flat_map(|piece| piece.responses.clone().map(|r| (piece.group, r)));
                let all: Vec<(usize, usize)> = all.filter(|&(g, r)| groups[g].responses[r] > 0).collect();
                prop_assert_eq!(seen, all);
                for batch in &batches {
                    prop_assert!(batch.iter().all(|piece| piece.responses.len() == 1));
                    let total: usize = batch.iter().map(|piece| groups[piece.group].prompt + length(piece)).sum();
                    prop_assert!(total <= budget || batch.len() == 1);
                }
            }
        }
    }
}
