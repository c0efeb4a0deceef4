//! Draws on the CPU: rows side by side, each in its own cache, and nothing sorted but a handful of columns.

use rayon::prelude::*;

use super::{BELOW_ONE, Draw, Filter};
use crate::host::{TASK, exp, vectorized};

/// Columns whose weights are added up before the sums are.
const BLOCK: usize = 512;
/// Candidates that are sorted rather than parted again.
const FEW: usize = 32;

/// What cannot be drawn from.
const NOTHING: Draw = Draw { column: 0, log_prob: f32::NAN };

pub(super) fn draw(scores: &[f32], columns: usize, filter: &Filter, excluded: &[usize], uniform: &[f32]) -> Vec<Draw> {
    let rows = scores.par_chunks(columns).with_min_len((TASK / columns).max(1)).enumerate();
    rows.map_init(Scratch::default, |scratch, (row, scores)| {
        if filter.temperature == 0.0 {
            return greedy(scores, excluded, scratch);
        }
        scratch.weigh(scores, excluded, filter.temperature as f32);
        let uniform = f64::from(uniform[row] * BELOW_ONE);
        match filter.top_k == 0 && filter.top_p >= 1.0 {
            true => invert(scratch, uniform),
            false => invert_heaviest(scratch, filter, uniform),
        }
    })
    .collect()
}

/// Memory that a thread uses for one row after another.
#[derive(Default)]
struct Scratch {
    /// `exp((score − top) / temperature)` of each column, 0 where it is excluded.
    weights: Vec<f32>,
    /// Sums of the weights of each block.
    sums: Vec<f64>,
    /// Columns by weight; see [`key`].
    candidates: Vec<u64>,
}

impl Scratch {
    fn weigh(&mut self, scores: &[f32], excluded: &[usize], temperature: f32) {
        self.weights.clear();
        self.weights.extend_from_slice(scores);
        excluded.iter().for_each(|&column| self.weights[column] = f32::NEG_INFINITY);
        self.sums.clear();
        vectorized(
            #[inline(always)]
            || {
                let (top, factor) = (largest(&self.weights), 1.0 / temperature);
                for block in self.weights.chunks_mut(BLOCK) {
                    block.iter_mut().for_each(|weight| *weight = exp((*weight - top) * factor));
                    self.sums.push(f64::from(sum(block)));
                }
            },
        );
    }

    fn total(&self) -> f64 {
        self.sums.iter().sum()
    }
}

/// The first column at which the sum of the weights exceeds the share `uniform` of their total.
fn invert(scratch: &Scratch, uniform: f64) -> Draw {
    let total = scratch.total();
    let mut rest = uniform * total;
    let mut found = None;
    for (index, (block, &sum)) in scratch.weights.chunks(BLOCK).zip(&scratch.sums).enumerate() {
        if rest >= sum {
            rest -= sum;
            continue;
        }
        for (place, &weight) in block.iter().enumerate() {
            if weight > 0.0 {
                found = Some((index * BLOCK + place, weight));
            }
            if rest < f64::from(weight) {
                break;
            }
            rest -= f64::from(weight);
        }
        break;
    }
    found.map_or(NOTHING, |(column, weight)| drawn(column as u32, weight, total))
}

/// As [`invert`] for what the filter leaves, in order of weight.
fn invert_heaviest(scratch: &mut Scratch, filter: &Filter, uniform: f64) -> Draw {
    let total = scratch.total();
    if !total.is_finite() {
        return NOTHING;
    }
    // What is lighter adds up to less than what may be cut away, so all that can be kept is heavier.
    let least = match filter.top_k {
        0 => 0.5 * (1.0 - filter.top_p) * total / scratch.weights.len() as f64,
        _ => 0.0,
    };
    let heavy = scratch.weights.iter().enumerate().filter(|&(_, &weight)| weight > 0.0 && f64::from(weight) >= least);
    scratch.candidates.clear();
    scratch.candidates.extend(heavy.map(|(column, &weight)| key(weight, column)));
    let mut kept = &mut scratch.candidates[..];
    let mut mass = total;
    if filter.top_k > 0 {
        let count = filter.top_k.min(kept.len());
        if count < kept.len() {
            kept.select_nth_unstable_by(count, |a, b| b.cmp(a));
        }
        kept = &mut kept[..count];
        mass = mass_of(kept);
    }
    if filter.top_p < 1.0 {
        let share = filter.top_p * mass;
        let count = crossing(kept, |sum| sum >= share).map_or(0, |place| place + 1);
        kept = &mut kept[..count];
        mass = mass_of(kept);
    }
    let target = uniform * mass;
    let place = crossing(kept, |sum| sum > target);
    place.map_or(NOTHING, |place| drawn(column_of(kept[place]), weight_of(kept[place]), mass))
}

/// The place, among the candidates in falling order of weight, at which the sum of their weights has `reached` something; the
/// last if it never does. The candidates up to that place are the heaviest then, in no order.
fn crossing(candidates: &mut [u64], reached: impl Fn(f64) -> bool) -> Option<usize> {
    // All before `low` are heavier than the others and weigh `before`; the place is not behind `high`.
    let (mut low, mut high, mut before) = (0, candidates.len(), 0.0);
    while high - low > FEW {
        let middle = (high - low) / 2;
        candidates[low..high].select_nth_unstable_by(middle, |a, b| b.cmp(a));
        let sum = before + mass_of(&candidates[low..low + middle]);
        if reached(sum) {
            high = low + middle;
        } else {
            (low, before) = (low + middle, sum);
        }
    }
    candidates[low..high].sort_unstable_by(|a, b| b.cmp(a));
    for (place, &candidate) in candidates.iter().enumerate().take(high).skip(low) {
        before += f64::from(weight_of(candidate));
        if reached(before) {
            return Some(place);
        }
    }
    high.checked_sub(1)
}

fn greedy(scores: &[f32], excluded: &[usize], scratch: &mut Scratch) -> Draw {
    scratch.weigh(scores, &[], 1.0);
    let total = scratch.total();
    let weights = &mut scratch.weights;
    weights.clear();
    weights.extend_from_slice(scores);
    excluded.iter().for_each(|&column| weights[column] = f32::NEG_INFINITY);
    let lift = |values: &[f32]| {
        vectorized(
            #[inline(always)]
            || largest(values),
        )
    };
    let (highest, top) = (lift(weights), lift(scores));
    let column = weights.iter().position(|&score| score == highest).unwrap_or(0);
    Draw { column: column as u32, log_prob: (f64::from(highest - top) - total.ln()) as f32 }
}

fn drawn(column: u32, weight: f32, mass: f64) -> Draw {
    Draw { column, log_prob: (f64::from(weight) / mass).ln() as f32 }
}

/// Orders columns by weight, and the first of equals before the others: the bits of a number that is not negative order as it
/// does.
fn key(weight: f32, column: usize) -> u64 {
    u64::from(weight.to_bits()) << 32 | u64::from(!(column as u32))
}

fn weight_of(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

fn column_of(key: u64) -> u32 {
    !(key as u32)
}

fn mass_of(keys: &[u64]) -> f64 {
    keys.iter().map(|&key| f64::from(weight_of(key))).sum()
}

const LANES: usize = 16;

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut tops = [f32::NEG_INFINITY; LANES];
    let mut parts = values.chunks_exact(LANES);
    for part in &mut parts {
        for lane in 0..LANES {
            tops[lane] = if part[lane] > tops[lane] { part[lane] } else { tops[lane] };
        }
    }
    tops.iter().chain(parts.remainder()).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let mut parts = values.chunks_exact(LANES);
    for part in &mut parts {
        for lane in 0..LANES {
            sums[lane] += part[lane];
        }
    }
    sums.iter().sum::<f32>() + parts.remainder().iter().sum::<f32>()
}
