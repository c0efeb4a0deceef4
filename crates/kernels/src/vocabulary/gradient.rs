//! The gradient of what is read of a distribution, in closed form.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::activation::log_softmax;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::divergence::expectation;
use super::row::{Row, forward_kl};
use super::{Softmax, dims, for_each_task, outcomes};
use crate::host::{Host, exp, in_order, is_plain, values, vectorized};

/// The gradient of a loss with respect to what it reads of each row's distribution; `None` counts as 0.
///
/// # Shapes
/// All `[rows]`.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// With respect to the log-probability of the chosen outcome.
    pub log_probs: Tensor<1>,
    /// With respect to the entropy.
    pub entropy: Option<Tensor<1>>,
    /// With respect to the divergence from another distribution, whose logits are given, adjusted; `[rows, outcomes]`.
    pub divergence: Option<(Tensor<1>, Tensor<2>)>,
}

/// The same on the host.
struct Slopes {
    log_probs: Vec<f32>,
    entropy: Option<Vec<f32>>,
    divergence: Option<Vec<f32>>,
}

impl Softmax {
    /// The gradient with respect to the logits before temperature and exclusion.
    ///
    /// With `u`, `w` and `r` the upstream gradients, `p` the distribution, `H` its entropy, `q` the other one and `KL` the
    /// divergence from it, at temperature `T`:
    /// `[u (δ − p) − w p (ln p + H) + r p (ln p − ln q − KL)] / T`, where `δ` is 1 at the chosen outcome, and 0 at excluded
    /// outcomes.
    ///
    /// # Shapes
    /// - `logits`: `[rows, outcomes]`, f32, adjusted; its memory is written to if nobody else holds it
    /// - `chosen`: `[rows]`
    /// - returns `[rows, outcomes]`
    ///
    /// # Panics
    /// As for [`Self::predict`], and if the other distribution has another shape.
    #[must_use]
    pub fn gradient(&self, logits: Tensor<2>, chosen: Tensor<1, Int>, upstream: Upstream) -> Tensor<2> {
        let others = upstream.divergence.as_ref().map(|(_, others)| others);
        if let Some(others) = others {
            assert_eq!(others.dims(), logits.dims(), "logits of two distributions");
        }
        if !is_plain(&logits) || others.is_some_and(|others| !is_plain(others)) {
            return self.composed_gradient(logits, chosen, upstream);
        }
        let chosen = outcomes(chosen, &logits);
        let host = |values: Tensor<1>| values.into_data().iter::<f32>().collect::<Vec<f32>>();
        let (divergence, others) = upstream.divergence.unzip();
        let slopes = Slopes {
            log_probs: host(upstream.log_probs),
            entropy: upstream.entropy.map(host),
            divergence: divergence.map(host),
        };
        let logits = logits.into_dispatch();
        Tensor::from_dispatch(match others {
            Some(others) => {
                <Dispatch as Gradient>::gradient_between(logits, others.into_dispatch(), &chosen, &slopes, self)
            }
            None => <Dispatch as Gradient>::gradient(logits, &chosen, &slopes, self),
        })
    }

    fn composed_gradient(&self, logits: Tensor<2>, chosen: Tensor<1, Int>, upstream: Upstream) -> Tensor<2> {
        let column = |values: Tensor<1>| values.unsqueeze_dim::<2>(1);
        let log_probs = log_softmax(logits, 1);
        let mut slope = column(upstream.log_probs.clone()).neg().expand(log_probs.dims());
        if let Some(upstream) = upstream.entropy {
            let entropy = expectation(log_probs.clone(), log_probs.clone().neg());
            slope = slope - (log_probs.clone() + column(entropy)) * column(upstream);
        }
        if let Some((upstream, others)) = upstream.divergence {
            let difference = log_probs.clone() - log_softmax(others, 1);
            let divergence = expectation(log_probs.clone(), difference.clone());
            slope = slope + (difference - column(divergence)) * column(upstream);
        }
        let probs = log_probs.exp();
        let impossible = probs.clone().equal_scalar(0.0);
        let gradient = (probs * slope).mask_fill(impossible, 0.0);
        let chosen = chosen.unsqueeze_dim(1);
        let gradient = gradient.scatter(1, chosen, column(upstream.log_probs), IndexingUpdateOp::Add);
        let gradient = if self.temperature == 1.0 { gradient } else { gradient / self.temperature };
        self.excluded_as(gradient, 0.0)
    }

    /// The gradient of all rows in the place of their logits.
    fn written_over(&self, logits: Host, others: Option<&[f32]>, chosen: &[usize], slopes: &Slopes) -> Host {
        let (_, count) = dims(&logits);
        for_each_task(logits, |first, rows| {
            vectorized(
                #[inline(always)]
                || {
                    for (index, row) in (first..).zip(rows.chunks_exact_mut(count)) {
                        let others = others.map(|others| &others[index * count..(index + 1) * count]);
                        self.row_gradient(row, others, chosen[index], slopes.of(index));
                    }
                },
            );
        })
    }

    /// Writes the gradient of one row over its logits.
    #[inline(always)]
    fn row_gradient(&self, row: &mut [f32], others: Option<&[f32]>, chosen: usize, [u, w, r]: [f32; 3]) {
        let known = Row::of(row);
        let scale = 1.0 / self.temperature as f32;
        // An outcome of probability 0 has none, be its logarithm infinite.
        let slope = |log_prob: f32, slope: f32| {
            let share = exp(log_prob);
            if share == 0.0 { 0.0 } else { share * slope * scale }
        };
        match others {
            Some(others) => {
                let other = Row::of(others);
                let divergence = forward_kl(row, &known, others, &other);
                for (value, &another) in row.iter_mut().zip(others) {
                    let log_prob = known.log_prob(*value);
                    let difference = log_prob - other.log_prob(another);
                    *value = slope(log_prob, r * (difference - divergence) - w * (log_prob + known.entropy) - u);
                }
            }
            None => {
                for value in row.iter_mut() {
                    let log_prob = known.log_prob(*value);
                    *value = slope(log_prob, -w * (log_prob + known.entropy) - u);
                }
            }
        }
        row[chosen] += u * scale;
        self.excluded.iter().for_each(|&outcome| row[outcome] = 0.0);
    }
}

impl Slopes {
    /// Those of one row, those that are not there as 0.
    #[inline(always)]
    fn of(&self, row: usize) -> [f32; 3] {
        let of = |values: &Option<Vec<f32>>| values.as_ref().map_or(0.0, |values| values[row]);
        [self.log_probs[row], of(&self.entropy), of(&self.divergence)]
    }
}

#[backend_extension(Flex)]
trait Gradient: Backend {
    fn gradient(logits: FloatTensor<Self>, chosen: &[usize], slopes: &Slopes, softmax: &Softmax) -> FloatTensor<Self>;

    fn gradient_between(
        logits: FloatTensor<Self>,
        others: FloatTensor<Self>,
        chosen: &[usize],
        slopes: &Slopes,
        softmax: &Softmax,
    ) -> FloatTensor<Self>;
}

impl Gradient for Flex {
    fn gradient(logits: Host, chosen: &[usize], slopes: &Slopes, softmax: &Softmax) -> Host {
        softmax.written_over(logits, None, chosen, slopes)
    }

    fn gradient_between(logits: Host, others: Host, chosen: &[usize], slopes: &Slopes, softmax: &Softmax) -> Host {
        let others = in_order(others);
        softmax.written_over(logits, Some(values(&others)), chosen, slopes)
    }
}
