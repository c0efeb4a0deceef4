//! The fused attention is softmax attention over the keys that each query may see.

mod laws;

use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use kernels::{AttentionPlan, CachedKeys, Run, attention, cached_attention};
use laws::{assert_equal, assert_same_gradients, double, normal};
use proptest::prelude::*;

/// Runs as they come in training: contexts and what follows them, and bidirectional runs.
#[derive(Clone, Debug)]
struct Batch {
    runs: Vec<Run>,
    hidden: Vec<bool>,
}

impl Batch {
    fn tokens(&self) -> usize {
        self.runs.last().map_or(0, |run| run.tokens.end)
    }

    fn sees(&self, query: usize, key: usize) -> bool {
        let run = self.runs.iter().find(|run| run.tokens.contains(&query)).expect("a run for every token");
        let own = run.tokens.contains(&key) && (!run.causal || key <= query);
        (own || run.context.contains(&key)) && (key == query || !self.hidden.get(key).copied().unwrap_or(false))
    }

    /// True where a key is out of sight, `[tokens, tokens]`.
    fn blocked(&self) -> Tensor<2, Bool> {
        let tokens = self.tokens();
        let blocked: Vec<bool> = (0..tokens).flat_map(|q| (0..tokens).map(move |k| !self.sees(q, k))).collect();
        Tensor::from_data(TensorData::new(blocked, [tokens, tokens]), &Device::default())
    }
}

fn batches() -> impl Strategy<Value = Batch> {
    // A prompt, how many of its first tokens are hidden, and the lengths of what continues it.
    let group = (1_usize..90, 0_usize..20, prop::collection::vec(0_usize..90, 0..4), any::<bool>());
    prop::collection::vec(group, 1..3).prop_map(|groups| {
        let (mut runs, mut hidden) = (Vec::new(), Vec::new());
        for (prompt, blind, lengths, causal) in groups {
            let start = hidden.len();
            runs.push(Run { tokens: start..start + prompt, causal, context: 0..0 });
            hidden.extend((0..prompt).map(|token| token < blind.min(prompt - 1)));
            for length in lengths {
                let first = hidden.len();
                runs.push(Run { tokens: first..first + length, causal: true, context: start..start + prompt });
                hidden.resize(first + length, false);
            }
        }
        Batch { runs, hidden }
    })
}

/// Scores of all pairs, softmax, sum: one head at a time.
fn plain(query: &Tensor<3>, key: &Tensor<3>, value: &Tensor<3>, blocked: &Tensor<2, Bool>) -> Tensor<2> {
    let ([tokens, heads, width], key_heads) = (query.dims(), key.dims()[1]);
    let head = |x: &Tensor<3>, head: usize| x.clone().narrow(1, head, 1).reshape([tokens, width]);
    let outputs = (0..heads).map(|index| {
        let group = index / (heads / key_heads);
        let scores = head(query, index).matmul(head(key, group).transpose()) / (width as f64).sqrt();
        softmax(scores.mask_fill(blocked.clone(), -1e30), 1).matmul(head(value, group))
    });
    Tensor::cat(outputs.collect(), 1)
}

/// Fails unless outputs and gradients of `(heads, key heads, width)` are those of [`plain`].
fn assert_is_plain_attention(batch: &Batch, (heads, key_heads, width): (usize, usize, usize), seed: u64) {
    let plan = Arc::new(AttentionPlan::new(batch.runs.clone(), batch.hidden.clone()));
    let blocked = batch.blocked();
    let query = normal([batch.tokens(), heads, width], seed);
    let key = normal([batch.tokens(), key_heads, width], seed.wrapping_add(1));
    let value = normal([batch.tokens(), key_heads, width], seed.wrapping_add(2));
    let found = attention(query.clone(), key.clone(), value.clone(), &plan);
    assert_equal(found, plain(&query, &key, &value, &blocked), 2e-6);
    // What is not f32 takes the composition of tensor operations.
    let found = attention(double(&query), double(&key), double(&value), &plan);
    assert_equal(found, double(&plain(&query, &key, &value, &blocked)), 2e-6);
    // One of the three inputs is a constant each time.
    assert_same_gradients(
        &query,
        &key,
        |query, key| attention(query, key, value.clone().autodiff(), &plan),
        |query, key| plain(&query, &key, &value.clone().autodiff(), &blocked),
        2e-5,
    );
    assert_same_gradients(
        &value,
        &key,
        |value, key| attention(query.clone().autodiff(), key, value, &plan),
        |value, key| plain(&query.clone().autodiff(), &key, &value, &blocked),
        2e-5,
    );
}

/// More runs than the gradient works on at once, for up to 25 threads.
#[test]
fn many_responses_share_a_prompt() {
    const PROMPT: usize = 5;
    let mut runs = vec![Run { tokens: 0..PROMPT, causal: true, context: 0..0 }];
    for response in 0..100 {
        let start = runs.last().map_or(0, |run| run.tokens.end);
        runs.push(Run { tokens: start..start + 1 + response % 3, causal: true, context: 0..PROMPT });
    }
    assert_is_plain_attention(&Batch { runs, hidden: Vec::new() }, (4, 2, 8), 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equals_plain_attention(batch in batches(), shape in 0_usize..3, seed: u64) {
        assert_is_plain_attention(&batch, [(4, 2, 8), (3, 3, 5), (8, 1, 16)][shape], seed);
    }

    /// A token at a time, with what came before in a cache.
    #[test]
    fn cached_attention_is_attention(
        rows in 1_usize..5, context in 1_usize..60, filled in 1_usize..40, room in 0_usize..3, blind in 0_usize..9,
        shape in 0_usize..3, seed: u64,
    ) {
        let (heads, key_heads, width) = [(4, 2, 24), (3, 3, 5), (8, 1, 16)][shape];
        let own = |seed| normal([key_heads, rows, filled + room, width], seed);
        let shared = |seed| normal([key_heads, context, width], seed);
        let (context_keys, own_keys) = ((shared(seed), shared(seed ^ 1)), (own(seed ^ 2), own(seed ^ 3)));
        let query = normal([rows, heads, width], seed ^ 4);
        let hidden: Vec<bool> = (0..context).map(|key| key < blind.min(context - 1)).collect();
        let bias: Vec<f32> = hidden.iter().map(|&hidden| if hidden { f32::NEG_INFINITY } else { 0.0 }).collect();
        let bias = Tensor::<1>::from_floats(bias.as_slice(), &Device::default());
        let found = cached_attention(query.clone(), &CachedKeys {
            context: (&context_keys.0, &context_keys.1),
            context_bias: (blind > 0).then_some(&bias),
            own: (&own_keys.0, &own_keys.1),
            filled,
        });
        // What is not f32 takes the composition of tensor operations.
        let (wide_context, wide_own) = (
            (double(&context_keys.0), double(&context_keys.1)),
            (double(&own_keys.0), double(&own_keys.1)),
        );
        let composed = cached_attention(double(&query), &CachedKeys {
            context: (&wide_context.0, &wide_context.1),
            context_bias: (blind > 0).then_some(&bias),
            own: (&wide_own.0, &wide_own.1),
            filled,
        });
        assert_equal(composed, double(&found), 2e-6);
        for row in 0..rows {
            let joined = |context: &Tensor<3>, own: &Tensor<4>| {
                let own = own.clone().narrow(1, row, 1).narrow(2, 0, filled).squeeze_dim::<3>(1);
                Tensor::cat(vec![context.clone(), own], 1).swap_dims(0, 1)
            };
            let (key, value) = (joined(&context_keys.0, &own_keys.0), joined(&context_keys.1, &own_keys.1));
            let tokens = context + filled;
            // The new token is the last of a sequence, of which only its row of the output matters.
            let query = query.clone().narrow(0, row, 1).expand([tokens, heads, width]);
            let blocked: Vec<bool> = (0..tokens * tokens).map(|at| hidden.get(at % tokens) == Some(&true)).collect();
            let blocked = Tensor::<2, Bool>::from_data(TensorData::new(blocked, [tokens, tokens]), &Device::default());
            let expected = plain(&query, &key, &value, &blocked).narrow(0, tokens - 1, 1);
            assert_equal(found.clone().narrow(0, row, 1), expected, 2e-6);
        }
    }
}
