//! Arithmetic whose answer the host knows.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::check::{Check, Extent, Output};
use super::compare::Tolerance;
use super::inputs::{indices, uniform};

const SELECTION: Tolerance = Tolerance::exact("values are moved, not computed");
const NO_NUMBER: Tolerance = Tolerance::exact("whether a value is a number is not a matter of rounding");
const ELEMENTARY: Tolerance = Tolerance {
    absolute: 1e-37,
    relative: 5e-5,
    of_largest: 0.0,
    reason: "GPUs compute exp and log to some units in the last place, more of them where exp is large",
};
const SERIES: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 1e-5,
    of_largest: 0.0,
    reason: "a logarithm of 1 and a little has the digits of that little",
};
const PRODUCTS: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 0.0,
    of_largest: 1e-5,
    reason: "sums of products in f32, in any order; factors cut to ten bits (TF32, BF16) would be off by 1e-3",
};
const SUMS: Tolerance =
    Tolerance { absolute: 1e-5, relative: 5e-5, of_largest: 0.0, reason: "sums in f32, in any order" };

/// The checks, cheapest first.
pub(super) fn checks() -> Vec<Check> {
    let check = |name: &str, tolerance, run: fn(&Device) -> Vec<Output>| {
        Check::new(name, Extent::Quick, tolerance, Box::new(move |device| Ok(run(device))))
    };
    vec![
        check("integers", SELECTION, integers),
        check("sort", SELECTION, sorted),
        check("gather and scatter", SUMS, gathered),
        check("exp and log", ELEMENTARY, elementary),
        check("log-softmax", SUMS, softmax),
        check("sums", SUMS, sums),
        check("matrix product", PRODUCTS, product),
        check("not-a-number", NO_NUMBER, no_number),
        check("not-a-number among extremes", NO_NUMBER, extremes)
            .allowed_for("unknown values are marked before extremes are taken"),
        check("log1p near 0", SERIES, small_logarithms).allowed_for("a series stands in its place near 0"),
    ]
}

fn row(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn matrix(values: &[f32], [rows, columns]: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
}

fn integer_row(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| i64::from(value)).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// As numbers that can be compared: 1 where true.
fn flags<const D: usize>(flags: Tensor<D, Bool>) -> Tensor<D> {
    flags.float()
}

/// Token numbers beyond what an f32 can count.
fn integers(device: &Device) -> Vec<Output> {
    let numbers = [0_u32, 1, 151_935, 16_777_217, 16_777_219, 2_000_000_001];
    let shifted = integer_row(&numbers, device).add_scalar(2).sub_scalar(16_777_216).into_data();
    let expected: Vec<i64> = numbers.iter().map(|&number| i64::from(number) + 2 - 16_777_216).collect();
    // The difference from the answer, since f32 cannot hold the answer itself.
    let off: Vec<f32> =
        shifted.iter::<i64>().zip(&expected).map(|(found, &expected)| (found - expected) as f32).collect();
    vec![Output { name: "integers".to_owned(), values: off, known: Some(vec![0.0; numbers.len()]) }]
}

/// Orders and extremes, of numbers that all differ.
fn sorted(device: &Device) -> Vec<Output> {
    let values = uniform(1, 4 * 1000, -50.0, 50.0);
    let tensor = matrix(&values, [4, 1000], device);
    let (mut descending, mut order) = (Vec::new(), Vec::new());
    for row in values.chunks(1000) {
        let mut places: Vec<usize> = (0..row.len()).collect();
        places.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        descending.extend(places.iter().map(|&place| row[place]));
        order.extend(places);
    }
    let top = |list: &[f32]| list.chunks(1000).flat_map(|row| row[..40].to_vec()).collect::<Vec<f32>>();
    let places: Vec<f32> = order.iter().map(|&place| place as f32).collect();
    let (found, found_order) = tensor.clone().sort_descending_with_indices(1);
    let ascending: Vec<f32> =
        descending.chunks(1000).flat_map(|row| row.iter().rev().copied().collect::<Vec<_>>()).collect();
    vec![
        Output::known("sort, falling", found, descending.clone()),
        Output::known("sort, places", found_order.float(), places.clone()),
        Output::known("sort, rising", tensor.clone().sort(1), ascending),
        Output::known("top 40", tensor.clone().topk(40, 1), top(&descending)),
        Output::known("place of the largest", tensor.argmax(1).float(), places.iter().step_by(1000).copied().collect()),
    ]
}

/// Rows by number, and sums into rows by number, some of them several times: the token embedding and its gradient.
fn gathered(device: &Device) -> Vec<Output> {
    let (rows, width) = (37, 24);
    let table = uniform(2, rows * width, -1.0, 1.0);
    let places = indices(3, 200, rows as u32);
    let chosen: Vec<f32> = places.iter().flat_map(|&row| table[row as usize * width..][..width].to_vec()).collect();
    let added = uniform(4, places.len() * width, -1.0, 1.0);
    let mut sums: Vec<f64> = table.iter().copied().map(f64::from).collect();
    for (at, &row) in places.iter().enumerate() {
        for column in 0..width {
            sums[row as usize * width + column] += f64::from(added[at * width + column]);
        }
    }
    let tensor = matrix(&table, [rows, width], device);
    let places_there = integer_row(&places, device);
    let added = matrix(&added, [places.len(), width], device);
    vec![
        Output::known("rows by number", tensor.clone().select(0, places_there.clone()), chosen),
        Output::known(
            "sums by number",
            tensor.select_assign(0, places_there, added, IndexingUpdateOp::Add),
            sums.into_iter().map(|sum| sum as f32).collect(),
        ),
    ]
}

fn elementary(device: &Device) -> Vec<Output> {
    let values = [uniform(5, 1000, -80.0, 80.0), vec![0.0, -1e9, f32::NEG_INFINITY]].concat();
    let exp = values.iter().map(|&value| f64::from(value).exp() as f32).collect();
    let positive: Vec<f32> = uniform(6, 1000, -80.0, 80.0).iter().map(|value| value.exp()).collect();
    // Away from 1, where the logarithm is 0.
    let positive: Vec<f32> = positive.into_iter().filter(|value| !(0.5..2.0).contains(value)).collect();
    let log = positive.iter().map(|&value| f64::from(value).ln() as f32).collect();
    let root = positive.iter().map(|&value| f64::from(value).sqrt() as f32).collect();
    vec![
        Output::known("exp", row(&values, device).exp(), exp),
        Output::known("log", row(&positive, device).log(), log),
        Output::known("square root", row(&positive, device).sqrt(), root),
    ]
}

/// With tokens that are excluded, one way or the other.
fn softmax(device: &Device) -> Vec<Output> {
    let (rows, vocabulary) = (8, 1000);
    let mut logits = uniform(7, rows * vocabulary, -12.0, 12.0);
    for row in 0..rows {
        logits[row * vocabulary + row] = -1e9;
    }
    let mut known = Vec::new();
    for row in logits.chunks(vocabulary) {
        let total: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        known.extend(row.iter().map(|&logit| (f64::from(logit) - total.ln()) as f32));
    }
    vec![Output::known("log-softmax", log_softmax(matrix(&logits, [rows, vocabulary], device), 1), known)]
}

fn sums(device: &Device) -> Vec<Output> {
    let values = uniform(8, 6 * 20_000, 0.0, 1.0);
    let wide: Vec<f64> = values.iter().copied().map(f64::from).collect();
    let of_rows: Vec<f32> = wide.chunks(20_000).map(|row| row.iter().sum::<f64>() as f32).collect();
    let total = wide.iter().sum::<f64>() as f32;
    let running: Vec<f32> = wide[..512]
        .iter()
        .scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum as f32)
        })
        .collect();
    let tensor = matrix(&values, [6, 20_000], device);
    vec![
        Output::known("sum of rows", tensor.clone().sum_dim(1), of_rows),
        Output::known("sum of all", tensor.sum(), vec![total]),
        Output::known("running sum", row(&values[..512], device).cumsum(0), running),
    ]
}

fn product(device: &Device) -> Vec<Output> {
    let (rows, inner, columns) = (61, 192, 83);
    let (left, right) = (uniform(9, rows * inner, -1.0, 1.0), uniform(10, inner * columns, -1.0, 1.0));
    let mut known = Vec::with_capacity(rows * columns);
    for row in left.chunks(inner) {
        for column in 0..columns {
            let terms = row.iter().enumerate().map(|(at, &l)| f64::from(l) * f64::from(right[at * columns + column]));
            known.push(terms.sum::<f64>() as f32);
        }
    }
    let found = matrix(&left, [rows, inner], device).matmul(matrix(&right, [inner, columns], device));
    vec![Output::known("matrix product", found, known)]
}

/// A gradient that is not finite has to be noticed, and what is unknown has to be found.
fn no_number(device: &Device) -> Vec<Output> {
    let values = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 3.0];
    let tensor = row(&values, device);
    let flagged = |holds: fn(f32) -> bool| values.iter().map(|&value| f32::from(u8::from(holds(value)))).collect();
    let mut long = uniform(11, 5000, -1.0, 1.0);
    long[4321] = f32::NAN;
    vec![
        Output::known("is not-a-number", flags(tensor.clone().is_nan()), flagged(f32::is_nan)),
        Output::known("equals itself", flags(tensor.clone().equal(tensor.clone())), flagged(|value| !value.is_nan())),
        Output::known("is above 0", flags(tensor.clone().greater_scalar(0.0)), flagged(|value| value > 0.0)),
        Output::known("sum with not-a-number", row(&long, device).square().sum(), vec![f32::NAN]),
        Output::known("0 times not-a-number", tensor * 0.0, values.iter().map(|&value| value * 0.0).collect()),
        Output::known(
            "filled in",
            row(&long, device).mask_fill(row(&long, device).is_nan(), 0.5),
            long.iter().map(|&value| if value.is_nan() { 0.5 } else { value }).collect(),
        ),
    ]
}

fn extremes(device: &Device) -> Vec<Output> {
    let values = [1.0, f32::NAN, 3.0, -2.0, 5.0, 4.0];
    let tensor = matrix(&values, [2, 3], device);
    vec![
        Output::known("largest beside not-a-number", tensor.clone().max_dim(1), vec![f32::NAN, 5.0]),
        Output::known("smallest beside not-a-number", tensor.clone().min_dim(1), vec![f32::NAN, -2.0]),
        Output::known("clamped", tensor.clamp(-1.0, 2.0), vec![1.0, f32::NAN, 2.0, -1.0, 2.0, 2.0]),
    ]
}

fn small_logarithms(device: &Device) -> Vec<Output> {
    let values: Vec<f32> = uniform(12, 500, -23.0, 1.0).iter().map(|value| value.exp()).collect();
    let known = values.iter().map(|&value| f64::from(value).ln_1p() as f32).collect();
    vec![Output::known("log1p near 0", row(&values, device).log1p(), known)]
}
