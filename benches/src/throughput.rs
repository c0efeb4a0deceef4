//! How much of a device's arithmetic and memory bandwidth a piece of work uses.

use clap::Args;
use vlm_model::{ModelConfig, Precision};

use crate::row::Row;
use crate::statistics::three_digits;
use crate::work::Work;

/// Patches and image tokens of the benchmark's pictures.
const PATCHES: f64 = 400.0;

/// What the device can do at most.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Peaks {
    /// Most floating-point operations a second, in 10¹²; prints what share of them each piece of work uses
    #[arg(long)]
    peak_tflops: Option<f64>,
    /// Most bytes a second from the device's memory, in 10⁹; prints what share of them decoding uses
    #[arg(long)]
    peak_gbps: Option<f64>,
}

/// What a piece of work has to compute and to read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost {
    /// Multiplications and additions of matrix products.
    operations: f64,
    /// Bytes of weights, keys and values that decoding reads.
    bytes: f64,
}

/// A table of tokens a second and shares of the peaks, if there are peaks to compare with or anything was written.
///
/// Operations are those that each side's own way needs: the peer computes the prompt for every response.
pub(crate) fn throughputs(rows: &[Row], peaks: &Peaks) -> Option<String> {
    let lines: Vec<String> = rows.iter().flat_map(|row| of_row(row, peaks)).collect();
    let heading = "\n| work | side | response tokens a second | share of peak arithmetic | share of peak bandwidth |\n|---|---|---|---|---|\n";
    (!lines.is_empty()).then(|| format!("{heading}{}", lines.join("\n")))
}

fn of_row(row: &Row, peaks: &Peaks) -> Vec<String> {
    let sides = [("peer", row.other(), false), ("ours", row.ours(), true)];
    let measured = matches!(row.work, Work::Decode | Work::LogProbs | Work::Divergence | Work::Update);
    let Some(prompt) = row.ready["prompt_tokens"].as_u64().filter(|_| measured) else { return Vec::new() };
    let model = row.setting.dims.config(row.setting.vocabulary);
    let line = |(name, seconds, shared): (&str, Option<crate::statistics::Spread>, bool)| {
        let seconds = seconds?.median;
        let tokens = (row.setting.responses * row.setting.new_tokens) as f64;
        let shape = Shape {
            prompt: prompt as f64,
            group: row.setting.responses as f64,
            response: row.setting.new_tokens as f64,
            shared,
            bytes: if row.setting.dtype == Precision::BFloat16 { 2.0 } else { 4.0 },
        };
        let cost = shape.cost(&model, row.work);
        let share = |done: f64, peak: Option<f64>| match peak {
            Some(peak) if done > 0.0 => format!("{:.1} %", 100.0 * done / seconds / peak),
            _ => "–".to_owned(),
        };
        let arithmetic = share(cost.operations, peaks.peak_tflops.map(|peak| peak * 1e12));
        let bandwidth = share(cost.bytes, peaks.peak_gbps.map(|peak| peak * 1e9));
        let (work, responses, rate) = (row.work.name(), row.setting.responses, three_digits(tokens / seconds));
        Some(format!("| `{work}`, {responses} responses | {name} | {rate} | {arithmetic} | {bandwidth} |"))
    };
    sides.into_iter().filter_map(line).collect()
}

/// Sizes of a piece of work.
struct Shape {
    prompt: f64,
    group: f64,
    response: f64,
    /// Whether the prompt is computed once for the group.
    shared: bool,
    /// Bytes of a number.
    bytes: f64,
}

impl Shape {
    fn cost(&self, model: &ModelConfig, work: Work) -> Cost {
        let copies = if self.shared { 1.0 } else { self.group };
        let read = copies * (vision(model) + language(model, self.prompt, self.prompt / 2.0));
        let context = self.prompt + self.response / 2.0;
        let written = self.group * self.response;
        let pass = read + language(model, written, context) + vocabulary(model, written);
        match work {
            Work::LogProbs => Cost { operations: pass, bytes: 0.0 },
            Work::Divergence => Cost { operations: 2.0 * pass, bytes: 0.0 },
            // Backward costs two products for each of forward; rows without a gradient are counted, though ours leaves them out.
            Work::Update => Cost { operations: 3.0 * pass, bytes: 0.0 },
            Work::Decode => {
                let keys = 2.0 * (model.text.num_key_value_heads * model.head_width()) as f64 * layers(model);
                let a_token = weights(model) + self.group * context * keys;
                Cost { operations: pass, bytes: self.bytes * self.response * a_token }
            }
            _ => Cost::default(),
        }
    }
}

fn layers(model: &ModelConfig) -> f64 {
    model.text.num_hidden_layers as f64
}

/// Weights of a decoder layer's matrices.
fn of_layer(model: &ModelConfig) -> f64 {
    let text = &model.text;
    let keys = text.num_key_value_heads * model.head_width();
    (2 * text.hidden_size * (text.hidden_size + keys) + 3 * text.hidden_size * text.intermediate_size) as f64
}

/// Weights that each decoding step reads.
fn weights(model: &ModelConfig) -> f64 {
    layers(model) * of_layer(model) + (model.text.hidden_size * model.text.vocab_size) as f64
}

/// Operations of the decoder layers on `tokens`, each of which attends to `context` tokens on average.
fn language(model: &ModelConfig, tokens: f64, context: f64) -> f64 {
    layers(model) * tokens * (2.0 * of_layer(model) + 4.0 * model.text.hidden_size as f64 * context)
}

fn vocabulary(model: &ModelConfig, tokens: f64) -> f64 {
    2.0 * tokens * (model.text.hidden_size * model.text.vocab_size) as f64
}

/// Operations of the vision tower on one picture.
fn vision(model: &ModelConfig) -> f64 {
    let tower = &model.vision;
    let (width, whole) = (tower.hidden_size as f64, tower.fullatt_block_indexes.len() as f64);
    let window = (tower.window_size / tower.patch_size).pow(2) as f64;
    let of_block = 4.0 * width * width + 3.0 * width * tower.intermediate_size as f64;
    let depth = tower.depth as f64;
    let attention = 4.0 * width * (whole * PATCHES + (depth - whole) * window.min(PATCHES));
    let merged = width * tower.spatial_merge_size.pow(2) as f64;
    let merger = 2.0 * (merged * merged + merged * tower.out_hidden_size as f64);
    PATCHES * (2.0 * depth * of_block + attention) + PATCHES / tower.spatial_merge_size.pow(2) as f64 * merger
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dimensions::Dimensions;

    #[test]
    fn a_token_costs_two_operations_a_weight() {
        let model = Dimensions::ThreeBillion.config(None);
        // Qwen2.5-3B: 36 layers of 77 million weights in matrices, and an embedding of 311 million.
        assert_eq!(of_layer(&model), 77_070_336.0);
        assert_eq!(weights(&model), 36.0 * 77_070_336.0 + 2048.0 * 151_936.0);
        assert_eq!(language(&model, 1.0, 0.0) + vocabulary(&model, 1.0), 2.0 * weights(&model));
    }

    #[test]
    fn sharing_saves_prompts_alone() {
        let model = Dimensions::Bench.config(None);
        let shape = |shared| Shape { prompt: 100.0, group: 8.0, response: 50.0, shared, bytes: 4.0 };
        let cost = |shared| shape(shared).cost(&model, Work::LogProbs).operations;
        let prompt = vision(&model) + language(&model, 100.0, 50.0);
        assert!(((cost(false) - cost(true)) / (7.0 * prompt) - 1.0).abs() < 1e-12);
        assert_eq!(shape(true).cost(&model, Work::Update).operations, 3.0 * cost(true));
    }
}
