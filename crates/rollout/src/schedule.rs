//! Which responses are written when: waiting ones take the place of those that ended, in order of arrival.

use std::ops::Range;

/// Shares of the rows into which a group may be cut: it need not wait for room for all of its responses if there is room for
/// this part of the rows, and no part is smaller, so that responses to a prompt mostly share the work of looking at it.
const PARTS: usize = 4;

/// Groups written at once, in multiples of those that fill all rows. What a prompt takes in the cache stays until its last
/// response ended, so without a limit as many prompts could be there as there are rows.
const STRAGGLERS: usize = 4;

/// How much an engine does at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Responses written side by side.
    pub(crate) rows: usize,
    /// Tokens of a pass in which more than one prompt is read.
    pub(crate) tokens_per_pass: usize,
}

impl Limits {
    /// Fewest responses to a prompt that begin together, unless fewer are left.
    fn part(&self) -> usize {
        self.rows.div_ceil(PARTS)
    }

    /// Most groups written at once; a group that was cut counts with each part.
    pub(crate) fn groups(&self, responses: usize) -> usize {
        STRAGGLERS * self.rows.div_ceil(responses.min(self.part()).max(1))
    }
}

/// Responses to one prompt that begin together. The prompt is read with the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) prompt: usize,
    pub(crate) responses: Range<usize>,
}

/// The prompts that wait.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Tokens of each prompt.
    prompts: Vec<usize>,
    /// Responses to each.
    responses: usize,
    limits: Limits,
    /// First prompt with a response that has not begun, and that response.
    next: (usize, usize),
}

impl Queue {
    pub(crate) fn new(prompts: Vec<usize>, responses: usize, limits: Limits) -> Self {
        // Without responses no prompt is ever read.
        let prompts = if responses == 0 { Vec::new() } else { prompts };
        Self { prompts, responses, limits, next: (0, 0) }
    }

    /// Takes out what begins beside `rows` responses in `groups` groups that go on. Where none goes on, something begins as long
    /// as something waits.
    pub(crate) fn enter(&mut self, rows: usize, groups: usize) -> Vec<Entry> {
        let mut room = self.limits.rows.saturating_sub(rows);
        // Every response that goes on adds a token to the pass.
        let mut tokens = rows;
        let mut entries = Vec::new();
        let most = self.limits.groups(self.responses);
        while let Some(&length) = self.prompts.get(self.next.0).filter(|_| groups + entries.len() < most) {
            let (prompt, first) = self.next;
            let waiting = self.responses - first;
            let count = waiting.min(room);
            if count < waiting.min(self.limits.part()) {
                break;
            }
            if first == 0 {
                let alone = tokens == rows;
                tokens += length;
                if tokens > self.limits.tokens_per_pass && !alone {
                    break;
                }
            }
            entries.push(Entry { prompt, responses: first..first + count });
            room -= count;
            self.next = if count == waiting { (prompt + 1, 0) } else { (prompt, first + count) };
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rows: usize) -> Limits {
        Limits { rows, tokens_per_pass: usize::MAX }
    }

    /// Plays the passes of responses with these lengths, one list per prompt, and returns the entries of each pass.
    fn play(lengths: &[&[usize]], prompt_tokens: &[usize], limits: Limits) -> Vec<Vec<Entry>> {
        let responses = lengths[0].len();
        let mut queue = Queue::new(prompt_tokens.to_vec(), responses, limits);
        // Tokens that each response of each group still lacks.
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut passes = Vec::new();
        loop {
            let rows = groups.iter().map(Vec::len).sum();
            let entries = queue.enter(rows, groups.len());
            if rows == 0 && entries.is_empty() {
                return passes;
            }
            groups.extend(entries.iter().map(|entry| lengths[entry.prompt][entry.responses.clone()].to_vec()));
            passes.push(entries);
            assert!(groups.iter().map(Vec::len).sum::<usize>() <= limits.rows);
            for group in &mut groups {
                group.iter_mut().for_each(|left| *left -= 1);
                group.retain(|&left| left > 0);
            }
            groups.retain(|group| !group.is_empty());
        }
    }

    fn entry(prompt: usize, responses: Range<usize>) -> Entry {
        Entry { prompt, responses }
    }

    /// Four prompts, two responses to each, four rows. Waves would take 5 + 4 passes.
    #[test]
    fn waiting_prompts_take_the_place_of_what_ended() {
        let lengths: [&[usize]; 4] = [&[1, 2], &[3, 5], &[4, 1], &[2, 2]];
        let expected = [
            vec![entry(0, 0..2), entry(1, 0..2)],
            // One response has ended, and one row is a part of four.
            vec![entry(2, 0..1)],
            // The first prompt's second one has.
            vec![entry(2, 1..2)],
            // That of a single token has, and the shorter one to the second prompt.
            vec![entry(3, 0..2)],
            vec![],
        ];
        assert_eq!(play(&lengths, &[10; 4], limits(4)), expected);
    }

    /// A group of ten with four rows is cut, and the next one begins when all of it has begun.
    #[test]
    fn a_group_larger_than_the_rows_is_cut() {
        let lengths: [&[usize]; 2] = [&[3; 10], &[1; 10]];
        let passes = play(&lengths, &[10; 2], limits(4));
        let begun: Vec<Entry> = passes.concat();
        let expected =
            [entry(0, 0..4), entry(0, 4..8), entry(0, 8..10), entry(1, 0..2), entry(1, 2..4), entry(1, 4..6)];
        assert_eq!(begun[..6], expected);
        assert_eq!(begun.iter().map(|entry| entry.responses.len()).sum::<usize>(), 20);
        // Three times three passes for the first, beside the last three of which six of the second end, and one for the rest.
        assert_eq!(passes.len(), 9 + 1);
    }

    /// A group that fits is not torn for less than a quarter of the rows.
    #[test]
    fn small_gaps_are_left() {
        let mut queue = Queue::new(vec![10; 3], 8, limits(64));
        assert_eq!(queue.enter(57, 8), []);
        assert_eq!(queue.enter(56, 7), [entry(0, 0..8)]);
        let mut queue = Queue::new(vec![10; 3], 32, limits(64));
        assert_eq!(queue.enter(49, 8), [], "15 of 64 rows are less than a quarter");
        assert_eq!(queue.enter(48, 7), [entry(0, 0..16)]);
        assert_eq!(queue.enter(49, 7), [], "and so they are for the rest of it");
        assert_eq!(queue.enter(30, 7), [entry(0, 16..32), entry(1, 0..18)]);
    }

    /// Prompts are read together up to the limit, the tokens of other responses counted, and a longer one by itself.
    #[test]
    fn reading_is_bounded() {
        let limits = Limits { rows: 64, tokens_per_pass: 100 };
        let mut queue = Queue::new(vec![60, 40, 30, 500, 10], 1, limits);
        assert_eq!(queue.enter(0, 0), [entry(0, 0..1), entry(1, 0..1)]);
        assert_eq!(queue.enter(2, 2), [entry(2, 0..1)]);
        assert_eq!(queue.enter(3, 3), [entry(3, 0..1)]);
        assert_eq!(queue.enter(4, 4), [entry(4, 0..1)]);
        let mut queue = Queue::new(vec![60, 40], 1, limits);
        assert_eq!(queue.enter(1, 1).len(), 1, "one token goes on beside 60 and 40");
    }

    /// Groups with one long response each do not keep as many prompts as there are rows.
    #[test]
    fn stragglers_are_bounded() {
        let mut queue = Queue::new(vec![10; 100], 8, limits(64));
        assert_eq!(queue.enter(32, 32), [], "four times the eight groups that fill the rows");
        assert_eq!(queue.enter(31, 31), [entry(0, 0..8)]);
        assert!(!Queue::new(vec![10; 3], 1, limits(1)).enter(0, 0).is_empty());
        assert!(Queue::new(vec![10; 3], 0, limits(4)).enter(0, 0).is_empty());
    }
}
