//! Responses with padding anywhere and rewards for single tokens, and how they become tensors.

use advantage::{Evidence, Groups};
use burn::tensor::{Bool, Tensor, TensorData};
use proptest::prelude::*;

use crate::device::device;

/// One response: what it earned, and what each of its tokens earned; `None` is padding, at either end or in between.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) reward: f32,
    pub(crate) tokens: Vec<Option<f32>>,
}

/// Responses group by group, all of one width.
pub(crate) type Page = Vec<Vec<Line>>;

/// A value for every column of every response, `None` on padding.
pub(crate) type Cells<T> = Vec<Vec<Option<T>>>;

/// Multiples of a sixteenth, so that undiscounted sums are exact in f32 and in f64.
pub(crate) fn sixteenths() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0f32), 3 => (-32..=32i16).prop_map(|step| f32::from(step) / 16.0)]
}

/// Pages with padding anywhere.
pub(crate) fn page() -> impl Strategy<Value = Page> {
    pages(|width| prop::collection::vec(prop_oneof![1 => Just(None), 4 => sixteenths().prop_map(Some)], width).boxed())
}

/// Pages with padding before and after the tokens of a response only.
pub(crate) fn gapless_page() -> impl Strategy<Value = Page> {
    pages(|width| {
        let tokens = prop::collection::vec(sixteenths().prop_map(Some), width);
        let ends = (0..=width / 2, width.div_ceil(2)..=width);
        let cut = |(mut tokens, (start, end)): (Vec<Option<f32>>, (usize, usize))| {
            tokens[..start].fill(None);
            tokens[end..].fill(None);
            tokens
        };
        (tokens, ends).prop_map(cut).boxed()
    })
}

fn pages(tokens: fn(usize) -> BoxedStrategy<Vec<Option<f32>>>) -> impl Strategy<Value = Page> {
    (1..=9usize).prop_flat_map(move |width| {
        let line = (sixteenths(), tokens(width)).prop_map(|(reward, tokens)| Line { reward, tokens });
        prop::collection::vec(prop::collection::vec(line, 1..=4), 1..=3)
    })
}

pub(crate) fn lines(page: &Page) -> Vec<&Line> {
    page.iter().flatten().collect()
}

/// The page as tensors, without what single tokens earned.
pub(crate) fn outcomes(page: &Page) -> Evidence {
    let device = device();
    let lines = lines(page);
    let shape = [lines.len(), lines[0].tokens.len()];
    let rewards: Vec<f32> = lines.iter().map(|line| line.reward).collect();
    let response: Vec<bool> = lines.iter().flat_map(|line| &line.tokens).map(Option::is_some).collect();
    Evidence::new(
        Tensor::from_data(TensorData::new(rewards, [shape[0]]), &device),
        Groups::new(page.iter().map(Vec::len).collect()).expect("no group is empty"),
        Tensor::<2, Bool>::from_data(TensorData::new(response, shape), &device),
    )
    .expect("evidence that fits")
}

/// The page as tensors, with garbage on the padding.
pub(crate) fn evidence(page: &Page, garbage: f32) -> Evidence {
    let outcomes = outcomes(page);
    let tokens = lines(page).into_iter().flat_map(|line| &line.tokens);
    let tokens: Vec<f32> = tokens.map(|token| token.unwrap_or(garbage)).collect();
    let tokens = Tensor::from_data(TensorData::new(tokens, outcomes.response().dims()), &device());
    outcomes.with_token_rewards(tokens).expect("evidence that fits")
}

/// Values of the tokens, `None` on padding, where they must be 0.
pub(crate) fn cells(tensor: Tensor<2>, page: &Page) -> Cells<f32> {
    let values: Vec<f32> = tensor.into_data().iter().collect();
    let rows = values.chunks(page[0][0].tokens.len()).zip(lines(page));
    rows.map(|(row, line)| {
        let cell = |(&value, token): (&f32, &Option<f32>)| {
            assert!(token.is_some() || value == 0.0, "{row:?} is not 0 on padding");
            token.map(|_| value)
        };
        row.iter().zip(&line.tokens).map(cell).collect()
    })
    .collect()
}

/// The values that are there.
pub(crate) fn tokens<T: Copy>(rows: &Cells<T>) -> Vec<T> {
    rows.iter().flatten().copied().flatten().collect()
}

/// Fails unless the values agree to `allowed` of the larger of 1 and the expected value, cell by cell.
pub(crate) fn assert_close(found: &Cells<f32>, expected: &Cells<f64>, allowed: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        prop_assert_eq!(found.is_some(), expected.is_some());
        let (found, expected) = (f64::from(found.unwrap_or(0.0)), expected.unwrap_or(0.0));
        prop_assert!(
            (found - expected).abs() <= allowed * expected.abs().max(1.0),
            "{} but expected {}",
            found,
            expected
        );
    }
    Ok(())
}

pub(crate) fn widened(rows: &Cells<f32>) -> Cells<f64> {
    rows.iter().map(|row| row.iter().map(|value| value.map(f64::from)).collect()).collect()
}
