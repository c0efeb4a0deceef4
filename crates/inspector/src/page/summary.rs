//! What is known of a page's values before a response is opened.

use serde::Serialize;

use super::Page;
use crate::record::TokenRecord;

/// A value that colours tokens, over all responses and in each.
#[derive(Serialize)]
pub(super) struct Value {
    /// A field of [`TokenRecord`], `gap`, or `divergence`.
    name: &'static str,
    /// The contrast it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    contrast: Option<String>,
    /// Over all tokens of the page, those scored again included.
    range: Range,
    /// Each response's mean; `null` for one without finite values.
    mean: Vec<Option<f32>>,
    /// Each response's least value.
    min: Vec<Option<f32>>,
    /// Each response's greatest value.
    max: Vec<Option<f32>>,
}

/// Where finite values lie.
#[derive(Serialize)]
struct Range {
    min: Option<f32>,
    max: Option<f32>,
    /// The value that one in a hundred does not exceed.
    p01: Option<f32>,
    /// The value that one in a hundred reaches or exceeds.
    p99: Option<f32>,
}

/// The values that any response of the page has, in the order of the page's keys.
pub(super) fn values(page: &Page) -> Vec<Value> {
    let mut contrasts: Vec<&str> = Vec::new();
    for name in all_tokens(page).flat_map(|tokens| &tokens.contrasts).map(|contrast| contrast.name.as_str()) {
        if !contrasts.contains(&name) {
            contrasts.push(name);
        }
    }
    let own = ["dependency", "advantage", "gate", "entropy", "log_probs", "gap"].map(|name| (name, None));
    let divergences = contrasts.into_iter().map(|contrast| ("divergence", Some(contrast)));
    let known = own
        .into_iter()
        .chain(divergences)
        .filter(|(name, contrast)| all_tokens(page).any(|tokens| numbers(tokens, name, *contrast).is_some()));
    known.map(|(name, contrast)| value(page, name, contrast)).collect()
}

fn value(page: &Page, name: &'static str, contrast: Option<&str>) -> Value {
    let (mut mean, mut min, mut max) = (Vec::new(), Vec::new(), Vec::new());
    for rollout in &page.rollouts {
        let tokens = rollout.record.tokens.as_ref();
        let finite = tokens.and_then(|tokens| numbers(tokens, name, contrast)).unwrap_or_default();
        let sum: f64 = finite.iter().copied().map(f64::from).sum();
        mean.push((!finite.is_empty()).then(|| (sum / finite.len() as f64) as f32));
        min.push(finite.iter().copied().reduce(f32::min));
        max.push(finite.iter().copied().reduce(f32::max));
    }
    let mut finite: Vec<f32> =
        all_tokens(page).filter_map(|tokens| numbers(tokens, name, contrast)).flatten().collect();
    finite.sort_unstable_by(f32::total_cmp);
    let hundredth = finite.len() / 100;
    let range = Range {
        min: finite.first().copied(),
        max: finite.last().copied(),
        p01: finite.get(hundredth).copied(),
        p99: finite.len().checked_sub(1 + hundredth).map(|at| finite[at]),
    };
    Value { name, contrast: contrast.map(str::to_owned), range, mean, min, max }
}

fn all_tokens(page: &Page) -> impl Iterator<Item = &TokenRecord> {
    page.rollouts.iter().flat_map(|rollout| {
        let compared = rollout.compared.iter().map(|comparison| &comparison.tokens);
        rollout.record.tokens.iter().chain(compared)
    })
}

/// A response's finite values; `None` if it has none of that name.
fn numbers(tokens: &TokenRecord, name: &str, contrast: Option<&str>) -> Option<Vec<f32>> {
    let list = |wanted| tokens.lists().find(|(name, of, _)| (*name, *of) == (wanted, contrast)).map(|(.., list)| list);
    let numbers: Vec<f32> = if name == "gap" {
        list("log_probs")?.iter().zip(list("sampling_log_probs")?).map(|(ours, theirs)| ours - theirs).collect()
    } else {
        list(name)?.to_vec()
    };
    Some(numbers.into_iter().filter(|number| number.is_finite()).collect())
}
