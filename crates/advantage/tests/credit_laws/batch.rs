//! Ragged batches on the host, and how they become tensors.

use std::ops::Range;

use advantage::{Credit, CreditShaper, Evidence, Groups};
use burn::tensor::{Bool, Element, Tensor, TensorData};
use proptest::prelude::*;
use proptest::sample::select;

use crate::device::device;

/// One response without its padding.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) reward: f32,
    pub(crate) visual: bool,
    pub(crate) scores: Vec<f32>,
}

impl Response {
    /// The entropies of its tokens: the scores in reverse order.
    pub(crate) fn entropies(&self) -> Vec<f32> {
        self.scores.iter().rev().copied().collect()
    }
}

/// Responses, group by group.
pub(crate) type Batch = Vec<Vec<Response>>;

/// What stands where no token is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Padding {
    /// Columns before all responses.
    pub(crate) before: usize,
    /// Columns after the longest response.
    pub(crate) after: usize,
    pub(crate) garbage: f32,
}

/// Multiples of a power of two, so that sums are exact in f32 and in f64, and values either tie or are well apart.
const GRID: [f32; 8] = [0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0];
/// Far below and far above anything a model produces, with nothing near the smallest range that trajectory shaping resolves.
const SCALES: [f32; 5] = [1.0, 1.0, 1024.0, 1.0 / (1u64 << 40) as f32, (1u128 << 80) as f32];

/// Dependencies of one response: empty ones and single tokens are likely, since they are the edges that matter.
pub(crate) fn scores() -> impl Strategy<Value = Vec<f32>> {
    let length = prop_oneof![1 => 0..=1usize, 4 => 2..=9usize];
    let score = prop_oneof![3 => select(&GRID[..]), 1 => (0..160u16).prop_map(|step| f32::from(step) / 16.0)];
    let all_equal = (length.clone(), select(&GRID[..])).prop_map(|(length, score)| vec![score; length]);
    let mixed = length.prop_flat_map(move |length| prop::collection::vec(score.clone(), length));
    let unscaled = prop_oneof![1 => all_equal, 6 => mixed];
    (unscaled, select(&SCALES[..])).prop_map(|(scores, scale)| scores.iter().map(|score| score * scale).collect())
}

/// Batches of unequal groups; rewards often agree within a group, as verdicts do.
pub(crate) fn batch() -> impl Strategy<Value = Batch> {
    let reward = prop_oneof![3 => select(&[0.0f32, 0.1, 0.9, 1.0][..]), 1 => -3.0f32..3.0];
    let response =
        move |visual| (reward.clone(), scores()).prop_map(move |(reward, scores)| Response { reward, visual, scores });
    let group = prop::bool::weighted(0.8).prop_flat_map(move |visual| prop::collection::vec(response(visual), 1..=5));
    prop::collection::vec(group, 1..=4)
}

pub(crate) fn padding() -> impl Strategy<Value = Padding> {
    let garbage = select(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -1.0, 0.0][..]);
    (0..=2usize, 1..=3usize, garbage).prop_map(|(before, after, garbage)| Padding { before, after, garbage })
}

pub(crate) fn responses(batch: &Batch) -> Vec<&Response> {
    batch.iter().flatten().collect()
}

/// First row and end of each group.
pub(crate) fn group_ranges(batch: &Batch) -> Vec<Range<usize>> {
    let mut end = 0;
    batch
        .iter()
        .map(|group| {
            end += group.len();
            end - group.len()..end
        })
        .collect()
}

/// Rows of numbers as a table that is wide enough for the longest response, `filler` standing on padding.
fn padded<E: Element>(rows: &[Vec<E>], padding: Padding, filler: E) -> TensorData {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = padding.before + longest + padding.after;
    let whole = rows.iter().flat_map(|row| {
        let after = width - padding.before - row.len();
        [vec![filler; padding.before], row.clone(), vec![filler; after]].concat()
    });
    TensorData::new(whole.collect(), [rows.len(), width])
}

/// The batch as tensors, with garbage on the padding. The entropies are those of [`Response::entropies`].
pub(crate) fn evidence(batch: &Batch, padding: Padding) -> Evidence {
    let device = device();
    let responses = responses(batch);
    let rows = responses.len();
    let mask: Vec<_> = responses.iter().map(|response| vec![true; response.scores.len()]).collect();
    let dependency: Vec<_> = responses.iter().map(|response| response.scores.clone()).collect();
    let entropy: Vec<_> = responses.iter().map(|response| response.entropies()).collect();
    let numbers = |rows: &[Vec<f32>]| Tensor::from_data(padded(rows, padding, padding.garbage), &device);
    let rewards: Vec<f32> = responses.iter().map(|response| response.reward).collect();
    let visual: Vec<bool> = responses.iter().map(|response| response.visual).collect();
    Evidence::new(
        Tensor::from_data(TensorData::new(rewards, [rows]), &device),
        Groups::new(batch.iter().map(Vec::len).collect()).expect("no group is empty"),
        Tensor::<2, Bool>::from_data(padded(&mask, padding, false), &device),
    )
    .and_then(|evidence| evidence.with_visual(Tensor::from_data(TensorData::new(visual, [rows]), &device)))
    .and_then(|evidence| evidence.with_dependency(numbers(&dependency)))
    .and_then(|evidence| evidence.with_entropy(numbers(&entropy)))
    .expect("evidence that fits")
}

/// Rows of a tensor without their padding, which must be 0.
pub(crate) fn ragged(tensor: Tensor<2>, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    let [_, width] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().iter().collect();
    let rows = values.chunks(width).zip(responses(batch));
    rows.map(|(row, response)| {
        let (before, rest) = row.split_at(padding.before);
        let (tokens, after) = rest.split_at(response.scores.len());
        assert!([before, after].concat().iter().all(|&value| value == 0.0), "{row:?} is not 0 on padding");
        tokens.to_vec()
    })
    .collect()
}

/// What the shaper makes of credit 1 for every token, as `(advantage, gate)`.
pub(crate) fn shaped(shaper: &dyn CreditShaper, batch: &Batch, padding: Padding) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let evidence = evidence(batch, padding);
    let ones = evidence.response().clone().float();
    let credit = shaper.shape(&evidence, Credit { advantage: ones.clone(), gate: ones }).expect("scored");
    (ragged(credit.advantage, batch, padding), ragged(credit.gate, batch, padding))
}

/// Ones in the shape of the batch.
pub(crate) fn ones(batch: &Batch) -> Vec<Vec<f32>> {
    responses(batch).iter().map(|response| vec![1.0; response.scores.len()]).collect()
}

/// Fails unless the values agree to `relative` of the larger of 1 and the expected value.
pub(crate) fn assert_close(found: &[Vec<f32>], expected: &[Vec<f64>], relative: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found.len(), expected.len());
        for (&value, &wanted) in found.iter().zip(expected) {
            let allowed = relative * wanted.abs().max(1.0);
            prop_assert!((f64::from(value) - wanted).abs() <= allowed, "{:?} but expected {:?}", found, expected);
        }
    }
    Ok(())
}

/// The rows in f64.
pub(crate) fn widened(rows: &[Vec<f32>]) -> Vec<Vec<f64>> {
    rows.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect()
}
