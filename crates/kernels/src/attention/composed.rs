//! The same as tensor operations, for every device: runs of a kind share batched products.
//!
//! # Departures
//! The backends' own attention is not used: on GPUs it may multiply in 16-bit formats whatever the tensors are of, and under
//! autodiff it is other arithmetic than without. Scores are made for some queries at a time instead.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::Run;
use crate::host::{at_least_f32, in_dtype};

/// Scores that exist at once: half a gibibyte of them.
const SCORES: usize = 1 << 27;

/// All runs, those of a kind together.
#[derive(Debug)]
pub(crate) struct Classes {
    classes: Vec<Class>,
    /// Puts the classes' outputs in the batch's order; `None` if they are.
    order: Option<Tensor<1, Int>>,
}

/// Runs computed as one rectangle `[rows, longest]`.
#[derive(Debug)]
struct Class {
    rows: usize,
    longest: usize,
    /// For each place of the rectangle the token that fills it. Places past a run's end repeat some token; no query before
    /// them sees them.
    places: Tensor<1, Int>,
    /// For each token of the runs its place in the rectangle; `None` if the rectangle is full.
    filled: Option<Tensor<1, Int>>,
    /// Added to the scores of a row's own keys, `[longest, longest]`.
    bias: Option<Tensor<2>>,
    context: Option<Context>,
}

/// Keys that all rows of a class see.
#[derive(Debug)]
struct Context {
    start: usize,
    length: usize,
    /// −∞ at hidden keys, `[length]`.
    bias: Option<Tensor<1>>,
}

/// Whether two runs can share a rectangle: padding is hidden by causality alone, and hidden tokens differ from run to run.
fn alike(a: &Run, b: &Run, hidden: &[bool]) -> bool {
    let hides = |run: &Run| hidden.get(run.tokens.clone()).is_some_and(|flags| flags.contains(&true));
    a.causal == b.causal
        && a.context == b.context
        && (a.tokens.len() == b.tokens.len() || (a.causal && !a.context.is_empty()))
        && !hides(a)
        && !hides(b)
}

impl Classes {
    pub(super) fn new(runs: &[Run], hidden: &[bool], device: &Device) -> Self {
        let mut members: Vec<Vec<&Run>> = Vec::new();
        for run in runs {
            match members.iter_mut().find(|class| alike(class[0], run, hidden)) {
                Some(class) => class.push(run),
                None => members.push(vec![run]),
            }
        }
        let tokens: Vec<usize> = members.iter().flatten().flat_map(|run| run.tokens.clone()).collect();
        let mut places = vec![0; tokens.len()];
        tokens.iter().enumerate().for_each(|(at, &token)| places[token] = at);
        let sorted = places.iter().enumerate().all(|(token, &place)| token == place);
        Self {
            classes: members.iter().map(|runs| Class::new(runs, hidden, device)).collect(),
            order: (!sorted).then(|| index_tensor(&places, device)),
        }
    }

    pub(super) fn attend(&self, query: &Tensor<3>, key: &Tensor<3>, value: &Tensor<3>) -> Tensor<2> {
        if self.classes.is_empty() {
            let [_, heads, width] = query.dims();
            return Tensor::zeros([0, heads * width], (&query.device(), query.dtype()));
        }
        let outputs = Tensor::cat(self.classes.iter().map(|class| class.attend(query, key, value)).collect(), 0);
        match &self.order {
            Some(order) => outputs.select(0, order.clone()),
            None => outputs,
        }
    }
}

impl Class {
    fn new(runs: &[&Run], hidden: &[bool], device: &Device) -> Self {
        let longest = runs.iter().map(|run| run.tokens.len()).max().unwrap_or(0);
        let (mut places, mut filled) = (Vec::with_capacity(runs.len() * longest), Vec::new());
        for (row, run) in runs.iter().enumerate() {
            filled.extend(row * longest..row * longest + run.tokens.len());
            places.extend(run.tokens.clone());
            places.resize((row + 1) * longest, run.tokens.start);
        }
        let first = runs[0];
        let flags = |places: std::ops::Range<usize>| hidden.get(places).filter(|flags| flags.contains(&true));
        let context = (!first.context.is_empty()).then(|| Context {
            start: first.context.start,
            length: first.context.len(),
            bias: flags(first.context.clone()).map(|flags| hiding_bias(flags, device)),
        });
        Self {
            rows: runs.len(),
            longest,
            filled: (filled.len() < places.len()).then(|| index_tensor(&filled, device)),
            places: index_tensor(&places, device),
            bias: bias(first.causal, longest, flags(first.tokens.clone()), device),
            context,
        }
    }

    fn attend(&self, query: &Tensor<3>, key: &Tensor<3>, value: &Tensor<3>) -> Tensor<2> {
        let rectangle = |x: &Tensor<3>| {
            let [_, heads, width] = x.dims();
            x.clone().select(0, self.places.clone()).reshape([self.rows, self.longest, heads, width])
        };
        let by_head = |x: &Tensor<3>| rectangle(x).permute([2, 0, 1, 3]);
        let context = self.context.as_ref().map(|context| {
            let by_head = |x: &Tensor<3>| x.clone().narrow(0, context.start, context.length).swap_dims(0, 1);
            ContextKeys { key: by_head(key), value: by_head(value), bias: context.bias.clone() }
        });
        let (query, key, value) = (rectangle(query), by_head(key), by_head(value));
        let output = match (context, &self.bias) {
            (None, None) => among_all(query, &key, &value, SCORES),
            (context, bias) => attend(query, context, key, value, bias.as_ref()),
        };
        match &self.filled {
            Some(filled) => output.select(0, filled.clone()),
            None => output,
        }
    }
}

/// As [`attend`] of queries that see all of their row, at most so many `scores` at a time.
fn among_all(query: Tensor<4>, key: &Tensor<4>, value: &Tensor<4>, scores: usize) -> Tensor<2> {
    let [rows, tokens, heads, width] = query.dims();
    let at_once = (scores / (rows * heads * key.dims()[2]).max(1)).clamp(1, tokens.max(1));
    if at_once >= tokens {
        return attend(query, None, key.clone(), value.clone(), None);
    }
    let part = |start: usize| {
        let length = at_once.min(tokens - start);
        let part = attend(query.clone().narrow(1, start, length), None, key.clone(), value.clone(), None);
        part.reshape([rows, length, heads * width])
    };
    let parts = (0..tokens).step_by(at_once).map(part).collect();
    Tensor::<3>::cat(parts, 1).reshape([rows * tokens, heads * width])
}

/// 0 where a query (row) sees a key (column) of its own run of at most `length` tokens, −∞ elsewhere; `None` if all see all.
fn bias(causal: bool, length: usize, hidden: Option<&[bool]>, device: &Device) -> Option<Tensor<2>> {
    let open = || Tensor::<2>::zeros([length, length], device);
    let causal = (causal && length > 1).then(|| {
        let above = Tensor::<2, Bool>::tril_mask([length, length], 0, device);
        open().mask_fill(above, f32::NEG_INFINITY)
    });
    let Some(hidden) = hidden else {
        return causal;
    };
    // A hidden token still sees itself: its own output is never used, and a row of −∞ alone would be undefined.
    let own = Tensor::<2>::eye(length, device).bool();
    let hidden = hiding_bias(hidden, device).unsqueeze::<2>().expand([length, length]).mask_fill(own, 0.0);
    Some(causal.unwrap_or_else(open) + hidden)
}

/// A row of zeros with −∞ where `hidden`.
fn hiding_bias(hidden: &[bool], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = hidden.iter().map(|&hidden| if hidden { f32::NEG_INFINITY } else { 0.0 }).collect();
    Tensor::from_floats(values.as_slice(), device)
}

fn index_tensor(indices: &[usize], device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), device)
}

/// Keys and values that all rows see, `[key heads, keys, width]`, and −∞ where a key is hidden, `[keys]`.
pub(crate) struct ContextKeys {
    pub(crate) key: Tensor<3>,
    pub(crate) value: Tensor<3>,
    pub(crate) bias: Option<Tensor<1>>,
}

/// Attention of each row's queries to the context that all rows share and to the row's own keys, normalized together.
///
/// The heads that share a key head become query rows, so keys are never repeated; all rows' queries meet the context's keys
/// in one product. In half precision the products are rounded, scores and weights before the values; the scaling, the
/// softmax and its totals are of f32.
///
/// # Shapes
/// - `query`: `[rows, tokens, heads, width]`
/// - `key`, `value`: `[key heads, rows, keys, width]`
/// - `bias`: `[tokens, keys]`, added to the scores of the row's own keys
/// - returns `[rows · tokens, heads · width]`, in the dtype of the query
pub(crate) fn attend(
    query: Tensor<4>,
    context: Option<ContextKeys>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<&Tensor<2>>,
) -> Tensor<2> {
    let dtype = query.dtype();
    let [rows, tokens, heads, width] = query.dims();
    let [key_heads, _, keys, _] = key.dims();
    let share = heads / key_heads;
    let lines = share * tokens;
    let scale = 1.0 / (width as f64).sqrt();
    // [key heads, rows, share · tokens, width]
    let query = query.reshape([rows, tokens, key_heads, share, width]);
    let query = query.permute([2, 0, 3, 1, 4]).reshape([key_heads, rows, lines, width]);

    let mut own = at_least_f32(query.clone().matmul(key.transpose())) * scale;
    if let Some(bias) = bias {
        let bias = in_dtype(bias.clone(), own.dtype());
        let open = own.reshape([key_heads * rows, share, tokens, keys]) + bias.unsqueeze();
        own = open.reshape([key_heads, rows, lines, keys]);
    }
    let own_top = own.clone().detach().max_dim(3);
    let back = |x: Tensor<4>| in_dtype(x, dtype);
    let Some(context) = context else {
        let weight = (own - own_top).exp();
        let total = weight.clone().sum_dim(3);
        let output = back(at_least_f32(back(weight).matmul(value)) / total);
        return merge_heads(output, [rows, tokens, heads, width], key_heads);
    };

    let context_keys = context.key.dims()[1];
    let flat = query.reshape([key_heads, rows * lines, width]);
    let mut shared = at_least_f32(flat.matmul(context.key.transpose())) * scale;
    if let Some(bias) = context.bias {
        let bias = in_dtype(bias, shared.dtype());
        shared = shared + bias.unsqueeze();
    }
    let shared = shared.reshape([key_heads, rows, lines, context_keys]);
    // The shift by the largest score cancels in the quotient, so no gradient need flow through it.
    let top = own_top.max_pair(shared.clone().detach().max_dim(3));
    let own_weight = (own - top.clone()).exp();
    let shared_weight = (shared - top).exp();
    let total = own_weight.clone().sum_dim(3) + shared_weight.clone().sum_dim(3);
    let from_context = back(shared_weight).reshape([key_heads, rows * lines, context_keys]).matmul(context.value);
    let from_own = back(own_weight).matmul(value);
    let sum = at_least_f32(from_own) + at_least_f32(from_context).reshape([key_heads, rows, lines, width]);
    merge_heads(back(sum / total), [rows, tokens, heads, width], key_heads)
}

/// # Shapes
/// - `x`: `[key heads, rows, share · tokens, width]`
/// - returns `[rows · tokens, heads · width]`
fn merge_heads(x: Tensor<4>, [rows, tokens, heads, width]: [usize; 4], key_heads: usize) -> Tensor<2> {
    x.reshape([key_heads, rows, heads / key_heads, tokens, width])
        .permute([1, 3, 0, 2, 4])
        .reshape([rows * tokens, heads * width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn queries_can_be_taken_in_parts() {
        let device = Device::flex();
        device.seed(3);
        let drawn = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &device);
        let (query, key, value) = (drawn([2, 7, 4, 6]), drawn([2, 2, 7, 6]), drawn([2, 2, 7, 6]));
        let whole = attend(query.clone(), None, key.clone(), value.clone(), None).into_data();
        // One query of each row at a time, three, and all.
        for scores in [1, 3 * 2 * 4 * 7, usize::MAX] {
            let parts = among_all(query.clone(), &key, &value, scores).into_data();
            // Products of another number of rows may add in another order: some units in the last place of values below 1.
            parts.assert_approx_eq::<f32>(&whole, burn::tensor::Tolerance::absolute(1e-6));
        }
    }
}
