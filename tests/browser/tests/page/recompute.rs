//! Colours of tokens, worked out again from what the run recorded.

use inspector::TokenRecord;

/// The stops of the page's scales on light paper.
const SEQUENTIAL: [u32; 9] = [0xffffff, 0xeef8d9, 0xc9e8c4, 0x84cdbb, 0x42b0c4, 0x2186ba, 0x24539f, 0x202f7c, 0x0d1a4d];
const DIVERGING: [u32; 9] = [0x12488f, 0x3f7dc0, 0x85b1dd, 0xc9def0, 0xffffff, 0xfbdcb8, 0xf2ac63, 0xd97a1a, 0xa04a00];

/// The values that the page's keys 1, 2, … colour by, in their order.
pub(crate) const VALUES: [&str; 7] =
    ["dependency", "advantage", "gate", "entropy", "log_probs", "gap", "divergence:patch-blackout"];

/// A value of each token.
pub(crate) fn numbers(tokens: &TokenRecord, value: &str) -> Vec<f32> {
    match value {
        "dependency" => tokens.dependency.clone().expect("it was measured"),
        "advantage" => tokens.advantage.clone(),
        "gate" => tokens.gate.clone(),
        "entropy" => tokens.entropy.clone(),
        "log_probs" => tokens.log_probs.clone(),
        "gap" => tokens.log_probs.iter().zip(&tokens.sampling_log_probs).map(|(ours, theirs)| ours - theirs).collect(),
        "divergence:patch-blackout" => tokens.contrasts[0].divergence.clone(),
        "sampling_log_probs" => tokens.sampling_log_probs.clone(),
        "contrast_log_probs:patch-blackout" => tokens.contrasts[0].log_probs.clone(),
        other => panic!("no value {other}"),
    }
}

/// The CSS colour of each number on a scale over `range`.
pub(crate) fn colours(value: &str, numbers: &[f32], range: &[f32], clip: bool) -> Vec<String> {
    let mut sorted = range.to_vec();
    sorted.sort_by(f32::total_cmp);
    let beyond = if clip { sorted.len() / 100 } else { 0 };
    let (low, high) = (f64::from(sorted[beyond]), f64::from(sorted[sorted.len() - 1 - beyond]));
    let limit = low.abs().max(high.abs());
    let signed = matches!(value, "advantage" | "gap" | "difference");
    let (low, high) = match value {
        "gate" => (0.0, 1.0),
        "log_probs" => (low, high.max(0.0)),
        _ if signed => (-limit, limit),
        _ => (low.min(0.0), high),
    };
    let colour = |number: &f32| {
        let share = ((f64::from(*number) - low) / (high - low)).clamp(0.0, 1.0);
        let share = if value == "log_probs" { 1.0 - share } else { share };
        mixed(if signed { DIVERGING } else { SEQUENTIAL }, (share * 255.0).round() / 255.0)
    };
    numbers.iter().map(colour).collect()
}

fn mixed(stops: [u32; 9], share: f64) -> String {
    let at = share * 8.0;
    let left = (at.floor() as usize).min(7);
    let channel = |shift: u32| {
        let of = |stop: u32| f64::from(stop >> shift & 255);
        (of(stops[left]) + (of(stops[left + 1]) - of(stops[left])) * (at - left as f64)).round()
    };
    format!("rgb({}, {}, {})", channel(16), channel(8), channel(0))
}
