//! The forward pass on the CPU: a task for each block of queries.

use std::ops::Range;

use rayon::prelude::*;

use super::{AttentionPlan, Run};
use crate::host::{Host, exponentials, in_order, tensor, values, vectorized};
use crate::matrix::{Matrix, multiply};

/// Query lines (tokens times heads that share a key head) of a block.
const LINES: usize = 256;
/// Fewest tokens of a block, however many heads share a key head.
const FEWEST: usize = 16;

/// Outputs, and the logarithm of each query's sum of exponentials, `[tokens, heads]`.
pub(super) struct Attended {
    pub(super) output: Host,
    pub(super) log_sums: Vec<f32>,
}

/// Queries, keys and values as slices.
pub(super) struct Heads<'a> {
    pub(super) query: &'a [f32],
    pub(super) key: &'a [f32],
    pub(super) value: &'a [f32],
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    pub(super) width: usize,
}

impl Heads<'_> {
    /// Query heads of a key head.
    pub(super) fn share(&self) -> usize {
        self.heads / self.key_heads
    }

    /// Rows of `part` (keys or values) at some tokens for one key head.
    pub(super) fn rows<'b>(&self, part: &'b [f32], tokens: &Range<usize>, key_head: usize) -> Matrix<'b> {
        let step = self.key_heads * self.width;
        let start = tokens.start * step + key_head * self.width;
        Matrix::new(part.get(start..).unwrap_or_default(), tokens.len(), self.width, step)
    }

    /// Lines of `part` (laid out as the queries are) for a block and the heads of a key head, each value times `factor`:
    /// `[share · tokens, width]`.
    pub(super) fn gather(
        &self,
        part: &[f32],
        tokens: &Range<usize>,
        key_head: usize,
        factor: f32,
        into: &mut Vec<f32>,
    ) {
        into.clear();
        for head in key_head * self.share()..(key_head + 1) * self.share() {
            for token in tokens.clone() {
                let start = (token * self.heads + head) * self.width;
                into.extend(part[start..start + self.width].iter().map(|value| value * factor));
            }
        }
    }

    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Tokens of a block.
    pub(super) fn block(&self) -> usize {
        (LINES / self.share()).max(FEWEST)
    }
}

/// The keys of a block of queries: those of the context, then those of the run that any of them sees.
pub(super) struct Keys {
    pub(super) context: Range<usize>,
    pub(super) own: Range<usize>,
}

impl Keys {
    pub(super) fn of(run: &Run, block: &Range<usize>) -> Self {
        let end = if run.causal { block.end } else { run.tokens.end };
        Self { context: run.context.clone(), own: run.tokens.start..end }
    }

    pub(super) fn count(&self) -> usize {
        self.context.len() + self.own.len()
    }

    /// Keys, from the first on, that a query may see, those hidden among them.
    pub(super) fn visible(&self, run: &Run, query: usize) -> usize {
        if run.causal { self.context.len() + query + 1 - self.own.start } else { self.count() }
    }

    /// Scores of a block's queries, `[lines, keys]`.
    pub(super) fn scores(&self, heads: &Heads<'_>, queries: &[f32], key_head: usize, scores: &mut Vec<f32>) {
        let (lines, count) = (queries.len() / heads.width, self.count());
        // Every element is written by the products.
        scores.resize(lines * count, 0.0);
        let queries = Matrix::new(queries, lines, heads.width, heads.width);
        let context = self.context.len();
        multiply(scores, count, false, queries, heads.rows(heads.key, &self.context, key_head).transposed());
        multiply(
            &mut scores[context..],
            count,
            false,
            queries,
            heads.rows(heads.key, &self.own, key_head).transposed(),
        );
    }

    /// Hides what the plan hides from a query among its visible scores.
    pub(super) fn hide(&self, plan: &AttentionPlan, query: usize, scores: &mut [f32]) {
        if plan.hidden.is_empty() {
            return;
        }
        for (key, score) in self.context.clone().chain(self.own.clone()).zip(scores) {
            if key != query && plan.is_hidden(key) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// Blocks of consecutive queries of one run.
pub(super) fn blocks(run: &Run, block: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let tokens = run.tokens.clone();
    tokens.clone().step_by(block).map(move |start| start..tokens.end.min(start + block))
}

pub(super) fn forward(query: &Host, key: &Host, value: &Host, plan: &AttentionPlan) -> Attended {
    let (query, key, value) = (in_order(query.clone()), in_order(key.clone()), in_order(value.clone()));
    let shape = query.layout().shape();
    let (tokens, count, width) = (shape[0], shape[1], shape[2]);
    let key_heads = key.layout().shape()[1];
    let heads =
        Heads { query: values(&query), key: values(&key), value: values(&value), heads: count, key_heads, width };
    let (mut output, mut log_sums) = (vec![0.0; tokens * count * width], vec![0.0; tokens * count]);
    let (mut rest, mut rest_of_sums) = (output.as_mut_slice(), log_sums.as_mut_slice());
    let mut tasks = Vec::new();
    for run in &plan.runs {
        for block in blocks(run, heads.block()) {
            let (here, after) = rest.split_at_mut(block.len() * count * width);
            let (sums, sums_after) = rest_of_sums.split_at_mut(block.len() * count);
            tasks.push((run, block, here, sums));
            (rest, rest_of_sums) = (after, sums_after);
        }
    }
    tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (run, block, output, sums)| {
        for key_head in 0..key_heads {
            scratch.attend(&heads, plan, run, &block, key_head, output, sums);
        }
    });
    Attended { output: tensor(output, [tokens, count * width]), log_sums }
}

/// Buffers of a task.
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    scores: Vec<f32>,
    sums: Vec<f32>,
    lines: Vec<f32>,
}

impl Scratch {
    /// Attention of a block's queries for the heads of one key head, into the block's rows of the output.
    #[expect(clippy::too_many_arguments, reason = "a block, where it lies, and its two outputs")]
    fn attend(
        &mut self,
        heads: &Heads<'_>,
        plan: &AttentionPlan,
        run: &Run,
        block: &Range<usize>,
        key_head: usize,
        output: &mut [f32],
        log_sums: &mut [f32],
    ) {
        let keys = Keys::of(run, block);
        let (count, width) = (keys.count(), heads.width);
        heads.gather(heads.query, block, key_head, heads.scale(), &mut self.queries);
        keys.scores(heads, &self.queries, key_head, &mut self.scores);
        self.sums.clear();
        for (line, scores) in self.scores.chunks_exact_mut(count).enumerate() {
            let token = line % block.len();
            let (head, query) = (key_head * heads.share() + line / block.len(), block.start + token);
            let (seen, unseen) = scores.split_at_mut(keys.visible(run, query));
            keys.hide(plan, query, seen);
            unseen.fill(0.0);
            let (top, sum) = vectorized(
                #[inline(always)]
                || exponentials(seen),
            );
            self.sums.push(sum);
            log_sums[token * heads.heads + head] = top + sum.ln();
        }
        let lines = self.sums.len();
        self.lines.resize(lines * width, 0.0);
        let weights = |from: usize, columns: usize| Matrix::new(&self.scores[from..], lines, columns, count);
        let (context, own) = (keys.context.len(), keys.own.len());
        let of_context = heads.rows(heads.value, &keys.context, key_head);
        let of_own = heads.rows(heads.value, &keys.own, key_head);
        multiply(&mut self.lines, width, false, weights(context, own), of_own);
        if context > 0 {
            multiply(&mut self.lines, width, true, weights(0, context), of_context);
        }
        for (line, (values, sum)) in self.lines.chunks_exact(width).zip(&self.sums).enumerate() {
            let (token, head) = (line % block.len(), key_head * heads.share() + line / block.len());
            let start = (token * heads.heads + head) * width;
            for (output, value) in output[start..start + width].iter_mut().zip(values) {
                *output = value / sum;
            }
        }
    }
}
