//! How spread out a distribution is, and how far apart two of them are.

use std::f64::consts::LN_2;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use rayon::prelude::*;

use super::row::{self, Row};
use super::{dims, rows_of_task};
use crate::host::{Host, in_order, is_plain, tensor, values, vectorized};

/// Shannon entropy of each row's distribution, in nats. Outcomes of probability 0 add nothing.
///
/// # Shapes
/// - `logits`: `[rows, outcomes]`, f32
/// - returns `[rows]`, in `0..=ln(outcomes)` up to rounding
#[must_use]
pub fn entropy(logits: Tensor<2>) -> Tensor<1> {
    if is_plain(&logits) {
        return Tensor::from_dispatch(<Dispatch as Divergence>::entropy(logits.into_dispatch()));
    }
    let log_probs = log_softmax(logits, 1);
    expectation(log_probs.clone(), log_probs.neg())
}

/// `KL(p ‖ q)` of each row's distributions, in nats.
///
/// Outcomes of probability 0 under `p` add nothing. Infinite where `q` gives probability 0 to an outcome that `p` finds
/// possible.
///
/// # Shapes
/// - `p`, `q`: `[rows, outcomes]`, logits, f32
/// - returns `[rows]`, at least 0
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn forward_kl(p: Tensor<2>, q: Tensor<2>) -> Tensor<1> {
    assert_eq!(p.dims(), q.dims(), "logits of two distributions");
    if is_plain(&p) && is_plain(&q) {
        return Tensor::from_dispatch(<Dispatch as Divergence>::forward_kl(p.into_dispatch(), q.into_dispatch()));
    }
    let p = log_softmax(p, 1);
    let difference = p.clone() - log_softmax(q, 1);
    not_below_zero(expectation(p, difference))
}

/// Mean divergence of each row's two distributions from their mixture, in nats.
///
/// With `m = (p + q) / 2`, `ln(p / m)` is `ln(2) + log_sigmoid(ln p − ln q)`: no probability is ever divided or taken the
/// logarithm of, so nothing underflows.
///
/// # Shapes
/// - `p`, `q`: `[rows, outcomes]`, logits, f32
/// - returns `[rows]`, in `0..=ln(2)` up to rounding
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn jensen_shannon(p: Tensor<2>, q: Tensor<2>) -> Tensor<1> {
    assert_eq!(p.dims(), q.dims(), "logits of two distributions");
    if is_plain(&p) && is_plain(&q) {
        return Tensor::from_dispatch(<Dispatch as Divergence>::jensen_shannon(p.into_dispatch(), q.into_dispatch()));
    }
    let (p, q) = (log_softmax(p, 1), log_softmax(q, 1));
    let difference = p.clone() - q.clone();
    let from_p = expectation(p, log_sigmoid(difference.clone()) + LN_2);
    let from_q = expectation(q, log_sigmoid(difference.neg()) + LN_2);
    not_below_zero((from_p + from_q) * 0.5)
}

/// Expectation of `values` under the distributions of `log_probs`, outcomes of probability 0 left out.
pub(super) fn expectation(log_probs: Tensor<2>, values: Tensor<2>) -> Tensor<1> {
    let probs = log_probs.exp();
    let impossible = probs.clone().equal_scalar(0.0);
    (probs * values).mask_fill(impossible, 0.0).sum_dim(1).squeeze_dim(1)
}

/// Takes to 0 what rounding left below it; not-a-number stays.
fn not_below_zero(divergence: Tensor<1>) -> Tensor<1> {
    let below = divergence.clone().lower_scalar(0.0);
    divergence.mask_fill(below, 0.0)
}

#[backend_extension(Flex)]
trait Divergence: Backend {
    fn entropy(logits: FloatTensor<Self>) -> FloatTensor<Self>;

    fn forward_kl(p: FloatTensor<Self>, q: FloatTensor<Self>) -> FloatTensor<Self>;

    fn jensen_shannon(p: FloatTensor<Self>, q: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Divergence for Flex {
    fn entropy(logits: Host) -> Host {
        let logits = in_order(logits);
        let (rows, count) = dims(&logits);
        let task = rows_of_task(count);
        let mut output = vec![0.0; rows];
        let inputs = values(&logits).par_chunks(task * count.max(1));
        output.par_chunks_mut(task).zip(inputs).for_each(|(output, logits)| {
            vectorized(
                #[inline(always)]
                || {
                    for (output, row) in output.iter_mut().zip(logits.chunks_exact(count)) {
                        *output = Row::of(row).entropy;
                    }
                },
            );
        });
        tensor(output, [rows])
    }

    fn forward_kl(p: Host, q: Host) -> Host {
        row_by_row(
            p,
            q,
            #[inline(always)]
            |p, q| row::forward_kl(p, &Row::of(p), q, &Row::of(q)),
        )
    }

    fn jensen_shannon(p: Host, q: Host) -> Host {
        row_by_row(
            p,
            q,
            #[inline(always)]
            |p, q| row::jensen_shannon(p, &Row::of(p), q, &Row::of(q)),
        )
    }
}

/// What `f` makes of each pair of rows.
#[inline(always)]
fn row_by_row(p: Host, q: Host, f: impl Fn(&[f32], &[f32]) -> f32 + Sync) -> Host {
    let (p, q) = (in_order(p), in_order(q));
    let (rows, count) = dims(&p);
    let task = rows_of_task(count);
    let mut output = vec![0.0; rows];
    let inputs = values(&p).par_chunks(task * count.max(1)).zip(values(&q).par_chunks(task * count.max(1)));
    output.par_chunks_mut(task).zip(inputs).for_each(|(output, (p, q))| {
        vectorized(
            #[inline(always)]
            || {
                let rows = p.chunks_exact(count).zip(q.chunks_exact(count));
                for (output, (p, q)) in output.iter_mut().zip(rows) {
                    *output = f(p, q);
                }
            },
        );
    });
    tensor(output, [rows])
}
