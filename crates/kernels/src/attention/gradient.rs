//! The backward pass on the CPU: a task for each run and key head.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::host::{Heads, Keys, blocks};
use super::{AttentionPlan, Run};
use crate::host::{Host, exp, in_order, sum_pairs, tensor, values, vectorized};
use crate::matrix::{Matrix, multiply};

/// Parts for each thread that exist at once.
const WAVE: usize = 8;

/// What the backward pass needs of the forward pass. Of the scores only the logarithm of each query's sum is kept.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) query: Host,
    pub(super) key: Host,
    pub(super) value: Host,
    pub(super) output: Host,
    /// `[tokens, heads]`
    pub(super) log_sums: Arc<[f32]>,
}

/// What a run contributes for one key head.
struct Part {
    /// `[tokens of the run, share, width]`
    query: Vec<f32>,
    /// Keys and values of the run's own tokens, each `[tokens, width]`.
    own: [Vec<f32>; 2],
    /// Keys and values of its context.
    context: [Vec<f32>; 2],
}

/// Gradients of queries, keys and values.
pub(super) fn backward(forward: &Forward, upstream: &Host, plan: &AttentionPlan) -> [Host; 3] {
    let [query, key, value, output, upstream] =
        [&forward.query, &forward.key, &forward.value, &forward.output, upstream].map(|x| in_order(x.clone()));
    let shape = query.layout().shape();
    let (tokens, count, width) = (shape[0], shape[1], shape[2]);
    let key_heads = key.layout().shape()[1];
    let heads =
        Heads { query: values(&query), key: values(&key), value: values(&value), heads: count, key_heads, width };
    let pass = Pass { heads, plan, output: values(&output), upstream: values(&upstream), log_sums: &forward.log_sums };

    let work: Vec<(usize, usize)> =
        (0..plan.runs.len()).flat_map(|run| (0..key_heads).map(move |key_head| (run, key_head))).collect();
    let mut of_query = vec![0.0; tokens * count * width];
    let mut of_keys = [vec![0.0; tokens * key_heads * width], vec![0.0; tokens * key_heads * width]];
    let share = count / key_heads;
    // A wave at a time, since each part holds gradients of a whole context; they are added in the order of the runs.
    for wave in work.chunks(WAVE * rayon::current_num_threads()) {
        let parts: Vec<Part> = wave.par_iter().map(|&(run, key_head)| pass.run(&plan.runs[run], key_head)).collect();
        for (&(run, key_head), part) in wave.iter().zip(&parts) {
            let run = &plan.runs[run];
            for (token, lines) in run.tokens.clone().zip(part.query.chunks_exact(share * width)) {
                let start = (token * count + key_head * share) * width;
                of_query[start..start + share * width].copy_from_slice(lines);
            }
            for (places, found) in [(&run.tokens, &part.own), (&run.context, &part.context)] {
                for (total, found) in of_keys.iter_mut().zip(found) {
                    for (token, row) in places.clone().zip(found.chunks_exact(width)) {
                        let start = (token * key_heads + key_head) * width;
                        total[start..start + width].iter_mut().zip(row).for_each(|(total, value)| *total += value);
                    }
                }
            }
        }
    }
    let [of_key, of_value] = of_keys.map(|values| tensor(values, [tokens, key_heads, width]));
    [tensor(of_query, [tokens, count, width]), of_key, of_value]
}

struct Pass<'a> {
    heads: Heads<'a>,
    plan: &'a AttentionPlan,
    output: &'a [f32],
    upstream: &'a [f32],
    log_sums: &'a [f32],
}

/// Buffers of a task.
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    upstream: Vec<f32>,
    output: Vec<f32>,
    weights: Vec<f32>,
    slopes: Vec<f32>,
    lines: Vec<f32>,
}

impl Pass<'_> {
    fn run(&self, run: &Run, key_head: usize) -> Part {
        let (width, share) = (self.heads.width, self.heads.share());
        let zeros = |tokens: &Range<usize>| vec![0.0; tokens.len() * width];
        let mut part = Part {
            query: vec![0.0; run.tokens.len() * share * width],
            own: [zeros(&run.tokens), zeros(&run.tokens)],
            context: [zeros(&run.context), zeros(&run.context)],
        };
        let mut scratch = Scratch::default();
        for block in blocks(run, self.heads.block()) {
            self.block(&mut scratch, &mut part, run, &block, key_head);
        }
        part
    }

    /// With `P` the weights, `U` the upstream and `O` the output: the values get `PᵀU`; the scores `S = P ⊙ (U Vᵀ − Σ U⊙O)`,
    /// the queries `S K` and the keys `Sᵀ Q`.
    fn block(&self, scratch: &mut Scratch, part: &mut Part, run: &Run, block: &Range<usize>, key_head: usize) {
        let (heads, keys) = (&self.heads, Keys::of(run, block));
        let (width, count, scale) = (heads.width, keys.count(), heads.scale());
        let Scratch { queries, upstream, output, weights, slopes, lines } = scratch;
        heads.gather(self.upstream, block, key_head, 1.0, upstream);
        // Of tokens that a loss does not look at nothing is left to add.
        if upstream.iter().all(|&value| value == 0.0) {
            return;
        }
        heads.gather(heads.query, block, key_head, scale, queries);
        heads.gather(self.output, block, key_head, 1.0, output);
        keys.scores(heads, queries, key_head, weights);

        let rows = queries.len() / width;
        let whole = Matrix::new(upstream, rows, width, width);
        let of_context = heads.rows(heads.value, &keys.context, key_head);
        let of_own = heads.rows(heads.value, &keys.own, key_head);
        let context = keys.context.len();
        slopes.resize(rows * count, 0.0);
        multiply(slopes, count, false, whole, of_context.transposed());
        multiply(&mut slopes[context..], count, false, whole, of_own.transposed());

        let pairs = weights.chunks_exact_mut(count).zip(slopes.chunks_exact_mut(count));
        for (line, (weights, slopes)) in pairs.enumerate() {
            let token = block.start + line % block.len();
            let head = key_head * heads.share() + line / block.len();
            let visible = keys.visible(run, token);
            keys.hide(self.plan, token, &mut weights[..visible]);
            let log_sum = self.log_sums[token * heads.heads + head];
            let at = line * width..(line + 1) * width;
            vectorized(
                #[inline(always)]
                || {
                    let mean = sum_pairs(&upstream[at.clone()], &output[at], |u, o| u * o);
                    for (weight, slope) in weights[..visible].iter_mut().zip(&mut slopes[..visible]) {
                        *weight = exp(*weight - log_sum);
                        *slope = *weight * (*slope - mean);
                    }
                },
            );
            weights[visible..].fill(0.0);
            slopes[visible..].fill(0.0);
        }

        let of = |values: &[f32], from: usize, columns: usize, add: &mut [f32], with: &[f32]| {
            let values = Matrix::new(&values[from..], rows, columns, count);
            multiply(add, width, true, values.transposed(), Matrix::new(with, rows, width, width));
        };
        let own = keys.own.len();
        of(weights, context, own, &mut part.own[1], upstream);
        of(slopes, context, own, &mut part.own[0], queries);
        lines.resize(rows * width, 0.0);
        let slope = |from: usize, columns: usize| Matrix::new(&slopes[from..], rows, columns, count);
        multiply(lines, width, false, slope(context, own), heads.rows(heads.key, &keys.own, key_head));
        if context > 0 {
            of(weights, 0, context, &mut part.context[1], upstream);
            of(slopes, 0, context, &mut part.context[0], queries);
            multiply(lines, width, true, slope(0, context), heads.rows(heads.key, &keys.context, key_head));
        }
        for (line, values) in lines.chunks_exact(width).enumerate() {
            let token = block.start - run.tokens.start + line % block.len();
            let start = (token * heads.share() + line / block.len()) * width;
            for (query, value) in part.query[start..start + width].iter_mut().zip(values) {
                *query = value * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::attention;

    /// Keys' gradient of two runs behind a context, of which the first alone counts, with `value` for each query of the second.
    fn of_keys(value: f32) -> Vec<f32> {
        let device = Device::flex();
        let ones = |tokens: usize| Tensor::<3>::ones([tokens, 2, 4], &device);
        let run = |tokens: Range<usize>, context| Run { tokens, causal: true, context };
        let runs = vec![run(0..3, 0..0), run(3..43, 0..3), run(43..83, 0..3)];
        let query = Tensor::cat(vec![ones(43), ones(40) * value], 0).autodiff();
        let key = Tensor::cat((0..83).map(|token| ones(1) * (token as f32).sin()).collect(), 0);
        let key = key.narrow(1, 0, 1).autodiff().require_grad();
        let output = attention(query, key.clone(), key.clone(), &Arc::new(AttentionPlan::new(runs, Vec::new())));
        let found = output.narrow(0, 3, 40).square().sum().backward();
        key.grad(&found).expect("a gradient").into_data().iter::<f32>().collect()
    }

    #[test]
    fn what_does_not_count_is_not_looked_at() {
        let found = of_keys(f32::NAN);
        assert!(found == of_keys(1.0) && found.iter().all(|slope| slope.is_finite()));
        assert!(found[..3 * 4].iter().any(|&slope| slope != 0.0) && found[43 * 4..].iter().all(|&slope| slope == 0.0));
    }
}
