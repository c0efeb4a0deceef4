//! What a run takes of memory, estimated from shapes.
//!
//! With `P` the number of parameters, `Q` that of the trained ones, `w` the width of the hidden states, `k` the
//! width of all key heads, `V` the vocabulary, prompts as long as the longest one seen and responses of the full length:
//!
//! | item | numbers of 4 bytes | phase |
//! |---|---|---|
//! | weights | `P` | both |
//! | rounded weights | `P / 2` in half precision | both |
//! | AdamW moments | `2 Q` | both |
//! | reference weights | `P`, or half of it in half precision, if the recipe has a reference policy | both |
//! | gradient | `Q` where there are several passes, and what the share of a pass, which grows while its activations are let go, takes beyond them | update |
//! | activations | what [`Activations`] says of the largest pass | update |
//! | vocabulary chunk | `6 · chunk · V` logits, and `2 V w` for the gradient of the output projection | update |
//! | keys and values | `2 · layers · k`, or half of it in half precision, for each token of the prompts and responses that are written side by side | rollout |
//! | sampling | `8 · rows · V` | rollout |
//!
//! The share of a pass is `Q`, or `V w` of one among several where layers are computed again, since their gradients are added to the
//! sum at once. In half precision activations count as in f32, since norms and attention keep numbers in both formats.
//!
//! A phase needs the sum of its items, and [`BESIDES`] for what is not among them. Measured on the CPU in f32 with a model of
//! 39 million parameters and a pass of 1208 tokens, an update took 1.00 times the sum, and 1.06 times where layers are computed
//! again.

use std::fmt;

use rollout::NativeEngine;
use vlm_model::{ModelConfig, Precision};

use super::Sizes;
use crate::activations::{Activations, Computed, PassSizes};
use crate::config::TrainConfig;
use crate::micro_batch::{GroupLengths, Piece, micro_batches};
use crate::recipe::Algorithm;
use crate::recompute::{Recomputation, free_memory};

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
        let [vocabulary, width, layers] = [text.vocab_size, text.hidden_size, text.num_hidden_layers].map(|n| n as f64);
        let keys = (text.num_key_value_heads * model.head_width()) as f64;
        let passes = passes(config, sizes);
        let tokens = passes.iter().map(|pass| pass.tokens).fold(0.0, f64::max);
        let chunk = (config.update.vocabulary_chunk as f64).min(tokens);
        let rows = config.rollout.max_rows as f64;
        let prompts = NativeEngine::prompts_at_once(config.rollout.max_rows, config.rollout.responses) as f64;
        let written = prompts * sizes.prompt as f64 + rows * config.rollout.sampling.max_new_tokens as f64;
        let rollout = |name, numbers| MemoryItem::new(name, numbers, true, false);
        let update = |name, numbers| MemoryItem::new(name, numbers, false, true);
        let both = |name, numbers| MemoryItem::new(name, numbers, true, true);
        let half = config.precision == Precision::BFloat16;
        // Of a number that layers compute with, in numbers of 4 bytes.
        let computed = if half { 0.5 } else { 1.0 };
        let held = vec![
            both("weights", all),
            both("rounded weights", if half { computed * all } else { 0.0 }),
            both("AdamW moments", 2.0 * trained),
            both("reference weights", if algorithm.needs_reference() { computed * all } else { 0.0 }),
        ];
        let on_host = config.device == "cpu";
        let free = on_host.then(|| free_memory().saturating_sub(sum(held.iter())));
        let fused = on_host && !half;
        let recompute = Recomputation::of(&config.update).foresee(model, &passes, fused, free);
        let how = Computed { fused, recompute };
        let kept: Vec<Activations> = passes.iter().map(|pass| Activations::of(model, pass, how)).collect();
        let largest = |of: fn(&Activations) -> f64| kept.iter().map(of).fold(0.0, f64::max) / NUMBER;
        let [of_language, of_vision] = [largest(|kept| kept.language), largest(|kept| kept.vision)];
        let of_chunk = 6.0 * chunk * vocabulary + 2.0 * vocabulary * width;
        // A pass lets its activations go while its gradient grows.
        let share = if recompute && passes.len() > 1 { vocabulary * width } else { trained };
        // In half precision the only pass's share becomes the sum when its activations are gone.
        let beyond =
            (share - of_language - of_vision - of_chunk).max(0.0) * if passes.len() > 1 { computed } else { 1.0 };
        let needed = vec![
            update("gradient", beyond + if passes.len() > 1 { trained } else { 0.0 }),
            update("language activations", of_language),
            update("vision activations", of_vision),
            update("vocabulary chunk", of_chunk),
            rollout("keys and values", computed * 2.0 * layers * keys * written),
            rollout("sampling", 8.0 * rows * vocabulary),
        ];
        let items = [held, needed].concat();
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

/// The passes of an optimizer batch whose prompts and responses are as long as they get. Of many, only the first.
fn passes(config: &TrainConfig, sizes: Sizes) -> Vec<PassSizes> {
    let response = config.rollout.sampling.max_new_tokens;
    let groups = config.rollout.prompts_per_step.div_ceil(config.update.updates_per_step);
    // More groups than fill some passes make none of them larger.
    let enough = 2 + 2 * config.update.tokens_per_micro_batch / (sizes.prompt + response).max(1);
    let group = GroupLengths { prompt: sizes.prompt, responses: vec![response; config.rollout.responses] };
    let batches = micro_batches(&vec![group; groups.min(enough)], config.update.tokens_per_micro_batch);
    let pass = |pieces: &Vec<Piece>| {
        let mut pass = PassSizes::default();
        for piece in pieces {
            pass.add_prompt(sizes.prompt);
            piece.responses.clone().for_each(|_| pass.add_response(sizes.prompt, response));
            if !config.update.freeze_vision {
                pass.patches += sizes.patches as f64;
                pass.patch_pairs += sizes.patches as f64 * sizes.largest_image as f64;
            }
        }
        pass
    };
    batches.iter().map(pass).collect()
}
