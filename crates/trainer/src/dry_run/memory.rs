//! What a run takes of memory, estimated from shapes.
//!
//! All tensors are f32. With `P` the number of parameters, `Q` that of the trained ones, `w` the width of the hidden states, `f` the
//! inner width of a feed-forward layer, `k` the width of all key heads, `h` the number of heads, `V` the vocabulary, and `n` the tokens
//! of the largest micro-batch, of prompts as long as the longest one seen and responses of the full length:
//!
//! | item | numbers of 4 bytes | phase |
//! |---|---|---|
//! | weights | `P` | both |
//! | weights before the step | `Q`: the policy that sampled is kept until its step ends | update |
//! | AdamW moments | `2 Q` | both |
//! | reference weights | `P`, if the recipe has a reference policy | both |
//! | gradient | `Q`, and `Q` more for the share of a pass where there are several | update |
//! | language activations | per layer `n (9 w + 2 k + 5 f)`, and `h` for each pair of tokens that attend | update |
//! | vision activations | the same per block with the tower's widths and `k = w`, thrice the pairs | update |
//! | vocabulary chunk | `6 · chunk · V` logits, and `2 V w` for the gradient of the output projection | update |
//! | keys and values | `2 · layers · k` for each token of the prompts and responses that are written side by side | rollout |
//! | sampling | `8 · rows · V` | rollout |
//!
//! `9 w + 2 k + 5 f`: of each of two norms its input, normed and scaled output; queries, keys, values, and attention before and after it
//! is normalized; of the feed-forward layer the gate before and after the sigmoid and after it all, the other branch, and their product.
//! A phase needs the sum of its items, and [`BESIDES`] for what is not among them. Measured on the CPU with a model of 12 million
//! parameters, a run took 1.09 times the sum with passes of 8192 tokens, and 1.17 times with passes of 1024.

use std::fmt;

use rollout::NativeEngine;
use vlm_model::ModelConfig;

use super::Sizes;
use crate::config::TrainConfig;
use crate::micro_batch::{GroupLengths, micro_batches};
use crate::recipe::Algorithm;

/// Bytes of a number.
const NUMBER: f64 = 4.0;

/// Share of the sum that is added for copies in flight and the allocator.
const BESIDES: f64 = 0.125;

/// Bytes of a mebibyte.
const MEBI: f64 = 1_048_576.0;

/// An estimate of what a run takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it is taken for.
    pub items: Vec<MemoryItem>,
    /// A checkpoint on disk, in bytes.
    pub checkpoint: u64,
}

/// Something that takes memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryItem {
    /// What.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: u64,
    /// Whether it is there while responses are sampled.
    pub in_rollout: bool,
    /// Whether it is there while the policy is updated.
    pub in_update: bool,
}

/// Sizes of a stack of transformer layers.
struct Stack {
    layers: f64,
    width: f64,
    inner: f64,
    keys: f64,
}

impl Stack {
    /// Numbers kept per token for the backward pass, attention's pairs apart.
    fn per_token(&self) -> f64 {
        self.layers * (9.0 * self.width + 2.0 * self.keys + 5.0 * self.inner)
    }
}

/// The largest passes of an update.
#[derive(Default)]
struct Pass {
    tokens: f64,
    /// Pairs of tokens of which one attends to the other.
    pairs: f64,
    /// Prompts in it.
    pieces: f64,
    /// Passes in all.
    count: usize,
}

impl Memory {
    /// Estimates what a run takes whose prompts are at most as large as these.
    pub(super) fn of(config: &TrainConfig, algorithm: &Algorithm, model: &ModelConfig, sizes: Sizes) -> Self {
        let (mut all, mut trained) = (0.0, 0.0);
        for (name, shape) in model.tensors() {
            let count: f64 = shape.iter().map(|&side| side as f64).product();
            all += count;
            trained += if config.update.freeze_vision && name.starts_with("visual") { 0.0 } else { count };
        }
        let text = &model.text;
        let [vocabulary, width, heads, inner, layers] = [
            text.vocab_size,
            text.hidden_size,
            text.num_attention_heads,
            text.intermediate_size,
            text.num_hidden_layers,
        ]
        .map(|n| n as f64);
        let keys = (text.num_key_value_heads * model.head_width()) as f64;
        let language = Stack { layers, width, inner, keys };
        let pass = largest_pass(config, sizes);
        let chunk = (config.update.vocabulary_chunk as f64).min(pass.tokens);
        let rows = config.rollout.max_rows as f64;
        let prompts = NativeEngine::prompts_at_once(config.rollout.max_rows, config.rollout.responses) as f64;
        let written = prompts * sizes.prompt as f64 + rows * config.rollout.sampling.max_new_tokens as f64;
        let rollout = |name, numbers| MemoryItem::new(name, numbers, true, false);
        let update = |name, numbers| MemoryItem::new(name, numbers, false, true);
        let both = |name, numbers| MemoryItem::new(name, numbers, true, true);
        let items = vec![
            both("weights", all),
            update("weights before the step", trained),
            both("AdamW moments", 2.0 * trained),
            both("reference weights", if algorithm.needs_reference() { all } else { 0.0 }),
            update("gradient", trained * if pass.count > 1 { 2.0 } else { 1.0 }),
            update("language activations", pass.tokens * language.per_token() + layers * heads * pass.pairs),
            update("vision activations", if config.update.freeze_vision { 0.0 } else { vision(model, &pass, sizes) }),
            update("vocabulary chunk", 6.0 * chunk * vocabulary + 2.0 * vocabulary * width),
            rollout("keys and values", 2.0 * layers * keys * written),
            rollout("sampling", 8.0 * rows * vocabulary),
        ];
        Self { items, checkpoint: (NUMBER * (all + 2.0 * trained)) as u64 }
    }

    /// Bytes while responses are sampled.
    #[must_use]
    pub fn rollout(&self) -> u64 {
        sum(self.items.iter().filter(|item| item.in_rollout))
    }

    /// Bytes while the policy is updated.
    #[must_use]
    pub fn update(&self) -> u64 {
        sum(self.items.iter().filter(|item| item.in_update))
    }

    /// Bytes of the larger of both, and an eighth of them for what is not among the items.
    #[must_use]
    pub fn peak(&self) -> u64 {
        (self.rollout().max(self.update()) as f64 * (1.0 + BESIDES)) as u64
    }
}

impl MemoryItem {
    /// More bytes than can be counted are as many as can.
    fn new(name: &'static str, numbers: f64, in_rollout: bool, in_update: bool) -> Self {
        Self { name, bytes: (NUMBER * numbers) as u64, in_rollout, in_update }
    }
}

fn sum<'a>(items: impl Iterator<Item = &'a MemoryItem>) -> u64 {
    items.fold(0, |sum, item| sum.saturating_add(item.bytes))
}

impl fmt::Display for Memory {
    /// An item a line, then both sums, in MiB.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        writeln!(formatter, "{:<24} {:>12} {:>12}", "memory in MiB", "rollout", "update")?;
        let cell = |bytes: u64, is_there| if is_there { mebibytes(bytes) } else { String::new() };
        for item in self.items.iter().filter(|item| item.bytes > 0) {
            let cells = [cell(item.bytes, item.in_rollout), cell(item.bytes, item.in_update)];
            writeln!(formatter, "  {:<22} {:>12} {:>12}", item.name, cells[0], cells[1])?;
        }
        write!(formatter, "  {:<22} {:>12} {:>12}", "sum", mebibytes(self.rollout()), mebibytes(self.update()))
    }
}

/// Bytes in MiB, with a digit behind the point.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MEBI)
}

/// The largest pass of an optimizer batch whose prompts and responses are as long as they get.
fn largest_pass(config: &TrainConfig, sizes: Sizes) -> Pass {
    let responses = vec![config.rollout.sampling.max_new_tokens; config.rollout.responses];
    let groups = config.rollout.prompts_per_step.div_ceil(config.update.updates_per_step);
    // More groups than fill some passes make none of them larger.
    let enough = 2 + 2 * config.update.tokens_per_micro_batch / (sizes.prompt + responses[0]).max(1);
    let group = GroupLengths { prompt: sizes.prompt, responses };
    let batches = micro_batches(&vec![group.clone(); groups.min(enough)], config.update.tokens_per_micro_batch);
    let (prompt, response) = (sizes.prompt as f64, config.rollout.sampling.max_new_tokens as f64);
    let mut largest = Pass { count: batches.len(), ..Pass::default() };
    for batch in &batches {
        let rows = batch.iter().map(|piece| piece.responses.len()).sum::<usize>() as f64;
        let pieces = batch.len() as f64;
        largest.tokens = largest.tokens.max(pieces * prompt + rows * response);
        largest.pairs = largest.pairs.max(pieces * prompt * prompt + rows * response * (prompt + response));
        largest.pieces = largest.pieces.max(pieces);
    }
    largest
}

/// Numbers the vision tower keeps for the images of a pass.
fn vision(model: &ModelConfig, pass: &Pass, sizes: Sizes) -> f64 {
    let c = &model.vision;
    let [layers, width, inner, heads] = [c.depth, c.hidden_size, c.intermediate_size, c.num_heads].map(|n| n as f64);
    let patches = pass.pieces * sizes.patches as f64;
    let side = c.window_size / c.patch_size;
    let full = c.fullatt_block_indexes.iter().filter(|&&block| block < c.depth).count() as f64;
    let window = (side * side).min(sizes.largest_image) as f64;
    let pairs = (layers - full) * patches * window + full * patches * sizes.largest_image as f64;
    patches * Stack { layers, width, inner, keys: width }.per_token() + 3.0 * heads * pairs
}
