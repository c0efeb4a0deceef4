//! Products with a weight that lies as checkpoints keep it, output by input.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::host::{Host, TASK, at_least_f32, in_dtype, in_order, is_host, tensor, values};
use crate::live_rows::LiveRows;
use crate::matrix::{Matrix, Terms, product};

/// Up to so many rows, reading the weight once for all of them beats a blocked product, which would copy it first.
const FEW: usize = 16;
/// Rows of the weight that one task multiplies.
const OUTPUTS: usize = 32;

/// What a product with a weight is added to.
#[derive(Clone, Debug, Default)]
pub struct Addends {
    /// Added to each row, `[out]`.
    pub bias: Option<Tensor<1>>,
    /// Added row by row, `[rows, out]`.
    pub onto: Option<Tensor<2>>,
}

/// `x Wᵀ`, and what it is added to.
///
/// The weight's gradient has the weight's own order in memory, so that adding to it and stepping along it are single
/// passes. On the CPU rows whose gradient is zero, if they are more than an eighth, are left out of the backward pass.
///
/// # Shapes
/// - `x`: `[rows, in]`
/// - `weight`: `[out, in]`, in the dtype of `x`; addends may be of another
/// - returns `[rows, out]`, in the dtype of `x`
///
/// # Panics
/// If the shapes do not fit.
#[must_use]
pub fn linear(x: Tensor<2>, weight: Tensor<2>, addends: Addends) -> Tensor<2> {
    let ([rows, input], [output, inputs]) = (x.dims(), weight.dims());
    assert_eq!(input, inputs, "inputs of the rows and of the weight");
    let Addends { bias, onto } = addends;
    assert!(bias.as_ref().is_none_or(|bias| bias.dims() == [output]), "an addend for each of {output} outputs");
    assert!(onto.as_ref().is_none_or(|onto| onto.dims() == [rows, output]), "addends of the shape {rows} × {output}");
    if is_host(&x) && is_host(&weight) && bias.as_ref().is_none_or(is_host) && onto.as_ref().is_none_or(is_host) {
        // One of no length adds nothing.
        let device = x.device();
        let bias = bias.unwrap_or_else(|| Tensor::zeros([0], &device)).into_dispatch();
        let onto = onto.unwrap_or_else(|| Tensor::zeros([0, 0], &device)).into_dispatch();
        let output = <Dispatch as Linear>::linear(x.into_dispatch(), weight.into_dispatch(), bias, onto);
        return Tensor::from_dispatch(output);
    }
    let dtype = x.dtype();
    let product = x.matmul(weight.transpose());
    if bias.is_none() && onto.is_none() {
        return product;
    }
    // In half precision the sum is rounded once, and a bias's gradient is summed in f32.
    let mut sum = at_least_f32(product);
    if let Some(bias) = bias {
        sum = sum + at_least_f32(bias).unsqueeze();
    }
    if let Some(onto) = onto {
        sum = at_least_f32(onto) + sum;
    }
    in_dtype(sum, dtype)
}

#[backend_extension(Autodiff, Flex)]
trait Linear: Backend {
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl Linear for Flex {
    fn linear(x: Host, weight: Host, bias: Host, onto: Host) -> Host {
        let [rows, outputs] = [x.layout().shape()[0], weight.layout().shape()[0]];
        let [bias, onto] = [bias, onto].map(in_order);
        let terms = Terms { row: present(&bias), rows: present(&onto) };
        if (1..=FEW).contains(&rows) && weight.as_slice::<f32>().is_some() {
            return few_rows(x, &weight, terms);
        }
        let (x, weight) = (in_order(x), in_order(weight));
        tensor(product(matrix(&x), matrix(&weight).transposed(), terms), [rows, outputs])
    }
}

/// The values of an addend that is there.
fn present(addend: &Host) -> Option<&[f32]> {
    Some(values(addend)).filter(|values| !values.is_empty())
}

fn matrix(x: &Host) -> Matrix<'_> {
    let shape = x.layout().shape();
    Matrix::new(values(x), shape[0], shape[1], shape[1])
}

fn plain_product(a: Matrix<'_>, b: Matrix<'_>) -> Host {
    tensor(product(a, b, Terms::default()), [a.rows(), b.columns()])
}

/// Values that are multiplied in one go: a multiple of every machine's vector width.
const PART: usize = 16;

/// The product of a few rows, each row of the weight read once.
fn few_rows(x: Host, weight: &Host, terms: Terms<'_>) -> Host {
    let x = in_order(x);
    let (rows, input) = (x.layout().shape()[0], x.layout().shape()[1]);
    let outputs = weight.layout().shape()[0];
    let tiles = Tile::cut(values(&x), rows, input);
    // Transposed, so that a task writes one run of memory.
    let mut by_output = vec![0.0; rows * outputs];
    let tasks = by_output.par_chunks_mut(OUTPUTS * rows).zip(values(weight).par_chunks(OUTPUTS * input));
    tasks.for_each(|(output, weight)| Arch::new().dispatch(Products { tiles: &tiles, weight, rows, input, output }));
    let mut values = vec![0.0; rows * outputs];
    values.par_chunks_mut(outputs).with_min_len(TASK.div_ceil(outputs)).enumerate().for_each(|(row, values)| {
        for (value, output) in values.iter_mut().zip(by_output.chunks_exact(rows)) {
            *value = output[row];
        }
        if let Some(bias) = terms.row {
            values.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
        if let Some(onto) = terms.rows {
            values.iter_mut().zip(&onto[row * outputs..]).for_each(|(value, onto)| *value += onto);
        }
    });
    tensor(values, [rows, outputs])
}

/// Some rows of `x` side by side: `[parts, rows, PART]`, zero past the end. Rows that lie a power of two apart would push each
/// other out of the cache.
struct Tile {
    first: usize,
    rows: usize,
    values: Vec<f32>,
}

impl Tile {
    /// Tiles of eight rows, and the rest in tiles of four, two and one.
    fn cut(x: &[f32], rows: usize, input: usize) -> Vec<Self> {
        let mut first = 0;
        let mut tiles = Vec::new();
        while first < rows {
            let size = [8, 4, 2, 1].into_iter().find(|size| first + size <= rows).unwrap_or(1);
            tiles.push(Self::new(&x[first * input..(first + size) * input], first, size, input));
            first += size;
        }
        tiles
    }

    fn new(x: &[f32], first: usize, rows: usize, input: usize) -> Self {
        let mut values = vec![0.0; input.div_ceil(PART) * rows * PART];
        for (row, x) in x.chunks_exact(input).enumerate() {
            for (part, x) in values.chunks_exact_mut(rows * PART).zip(x.chunks(PART)) {
                part[row * PART..][..x.len()].copy_from_slice(x);
            }
        }
        Self { first, rows, values }
    }
}

/// Products of some rows of the weight with all rows of `x`, `[weight rows, rows]`.
struct Products<'a> {
    tiles: &'a [Tile],
    weight: &'a [f32],
    rows: usize,
    input: usize,
    output: &'a mut [f32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (output, weight) in self.output.chunks_exact_mut(self.rows).zip(self.weight.chunks_exact(self.input)) {
            for tile in self.tiles {
                let output = &mut output[tile.first..tile.first + tile.rows];
                match tile.rows {
                    8 => output.copy_from_slice(&products::<S, 8>(simd, weight, &tile.values)),
                    4 => output.copy_from_slice(&products::<S, 4>(simd, weight, &tile.values)),
                    2 => output.copy_from_slice(&products::<S, 2>(simd, weight, &tile.values)),
                    _ => output.copy_from_slice(&products::<S, 1>(simd, weight, &tile.values)),
                }
            }
        }
    }
}

/// Products of one row of the weight with the rows of a tile. Each is summed in the same order, whatever the tile.
#[inline(always)]
fn products<S: Simd, const R: usize>(simd: S, weight: &[f32], tile: &[f32]) -> [f32; R] {
    let mut sums = [simd.splat_f32s(0.0); R];
    let whole = weight.len() / PART;
    for part in 0..whole {
        add_part(simd, &mut sums, &weight[part * PART..][..PART], &tile[part * R * PART..][..R * PART]);
    }
    if whole * PART < weight.len() {
        let mut last = [0.0; PART];
        last[..weight.len() - whole * PART].copy_from_slice(&weight[whole * PART..]);
        add_part(simd, &mut sums, &last, &tile[whole * R * PART..][..R * PART]);
    }
    let mut products = [0.0; R];
    for (product, sum) in products.iter_mut().zip(sums) {
        *product = simd.reduce_sum_f32s(sum);
    }
    products
}

#[inline(always)]
fn add_part<S: Simd, const R: usize>(simd: S, sums: &mut [S::f32s; R], weight: &[f32], tile: &[f32]) {
    let (weight, tile) = (S::as_simd_f32s(weight).0, S::as_simd_f32s(tile).0);
    let steps = PART / S::F32_LANES;
    // No closures in here: what is not inlined works without vector instructions.
    for step in 0..steps {
        for row in 0..R {
            sums[row] = simd.mul_add_f32s(weight[step], tile[row * steps + step], sums[row]);
        }
    }
}

/// Sums of the columns of `[rows, columns]`, in an order that the shape alone decides.
fn column_sums(x: &Host) -> Host {
    /// Rows that are summed by themselves first.
    const ROWS: usize = 64;
    let columns = x.layout().shape()[1];
    let sum = |rows: &[f32]| {
        let mut sums = vec![0.0; columns];
        for row in rows.chunks_exact(columns.max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        sums
    };
    let parts: Vec<f32> = values(x).par_chunks((ROWS * columns).max(1)).flat_map_iter(sum).collect();
    tensor(sum(&parts), [columns])
}

impl<C: CheckpointStrategy> Linear for Autodiff<Flex, C> {
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Step;
        impl Backward<Flex, 4> for Step {
            type State = (Option<Host>, Option<Host>);
            fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [of_x, of_weight, of_bias, of_onto] = ops.parents;
                let upstream = in_order(gradients.consume::<Flex>(&ops.node));
                let (x, weight) = ops.state;
                let rows = LiveRows::of(&upstream);
                let live = rows.gather(&upstream);
                if let (Some(node), Some(weight)) = (of_x, weight) {
                    let weight = in_order(weight);
                    gradients.register::<Flex>(node.id, rows.spread(plain_product(matrix(&live), matrix(&weight))));
                }
                if let (Some(node), Some(x)) = (of_weight, x) {
                    let x = rows.gather(&in_order(x));
                    gradients.register::<Flex>(node.id, plain_product(matrix(&live).transposed(), matrix(&x)));
                }
                if let Some(node) = of_bias {
                    gradients.register::<Flex>(node.id, column_sums(&upstream));
                }
                if let Some(node) = of_onto {
                    gradients.register::<Flex>(node.id, upstream);
                }
            }
        }
        let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
        let ((bias, of_bias), (onto, of_onto)) = (bias.into_parts(), onto.into_parts());
        let output = Flex::linear(x.clone(), weight.clone(), bias, onto);
        match Step.prepare::<C>([of_x, of_weight, of_bias, of_onto]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((Some(x), Some(weight)), output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }
}
