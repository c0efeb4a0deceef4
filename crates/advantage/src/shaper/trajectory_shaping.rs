//! Trajectory-level advantage shaping (TAS): responses that look at the image count more.

use std::num::NonZeroUsize;

use burn::tensor::ops::PadMode;
use burn::tensor::{Bool, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::{AtLeastOne, Credit, CreditError, CreditShaper, Evidence, Fraction};

/// Dependencies closer together than this are taken as equal (nats).
const SMALLEST_RANGE: f64 = 1e-6;

/// Keeps the mean of a run of the least dependent responses above 0.
const EPSILON: f64 = 1e-8;

/// Multiplies the advantage of each response by a factor between `floor` and `ceiling`.
///
/// The factor is linear in the response's mean dependency: the least dependent response of the batch gets the floor, the most
/// dependent one the ceiling. It multiplies blame as well as praise. Writes [`Credit::advantage`] only.
///
/// Responses without an image, without tokens, or whose mean dependency is not finite take no part: their factor is 1. If the
/// mean dependencies of the others lie within 1e-6 of each other, all factors are 1.
///
/// # Source
/// VPPO, arXiv:2510.09285, equation 5; the ceiling that makes the factors average 1 is in the released code
/// (`verl/workers/actor/dp_actor.py`) and in table 9 ("dynamic").
///
/// # Departures
/// The released code takes the extremes over one device's mini-batch and the mean over each micro-batch, so that its
/// gradient depends on the micro-batch size. Here both are taken over the whole batch, unless [`Ceiling::MeanOnePer`] asks for
/// the released behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrajectoryShaping {
    /// Factor of the least dependent response.
    pub floor: Fraction,
    /// Factor of the most dependent response.
    pub ceiling: Ceiling,
}

/// How the upper end of the factors is chosen; written `"mean-one"`, `{ mean-one-per = 16 }` or `{ fixed = 1.1 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ceiling {
    /// The factor of the most dependent response, as given.
    Fixed(AtLeastOne),
    /// So that the factors of the batch average 1.
    MeanOne,
    /// So that the factors of every run of this many responses average 1, as in the released code, where a run is a
    /// micro-batch. Runs are counted from the first response of the batch; the last may be shorter. A run that has none but the
    /// batch's least dependent responses keeps the floor. With runs of one, all other responses get 1.
    MeanOnePer(NonZeroUsize),
}

impl Default for TrajectoryShaping {
    fn default() -> Self {
        Self { floor: const { Fraction::literal(0.9) }, ceiling: Ceiling::MeanOne }
    }
}

impl CreditShaper for TrajectoryShaping {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        let factor = self.factors(evidence)?;
        Ok(Credit { advantage: credit.advantage * factor, gate: credit.gate })
    }
}

impl TrajectoryShaping {
    /// The factor of every response: `[responses, 1]`.
    fn factors(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let (score, valid) = mean_dependency(evidence)?;
        let outside = valid.clone().bool_not();
        let dims = score.dims();
        let lowest = score.clone().mask_fill(outside.clone(), f32::MAX).min_dim(0);
        let highest = score.clone().mask_fill(outside.clone(), f32::MIN).max_dim(0);
        let range = highest - lowest.clone();
        // False for less than two valid responses as well.
        let told_apart = range.clone().greater_scalar(SMALLEST_RANGE).expand(dims);

        let height = ((score - lowest) / range).mask_fill(outside.clone(), 0.0);
        let floor = self.floor.value();
        let mean_one = |run| (mean_of_run(&height, &valid, run) + EPSILON).recip() * (1.0 - floor);
        let span = match self.ceiling {
            Ceiling::Fixed(value) => height.full_like(value.value() - floor),
            Ceiling::MeanOne => mean_one(dims[0]),
            Ceiling::MeanOnePer(run) => mean_one(run.get()),
        };
        let factor = height * span + floor;
        Ok(factor.mask_fill(told_apart.bool_and(valid).bool_not(), 1.0))
    }
}

/// Mean dependency of each response over its tokens, and whether the response takes part: both `[responses, 1]`.
fn mean_dependency(evidence: &Evidence) -> Result<(Tensor<2>, Tensor<2, Bool>), CreditError> {
    let padding = evidence.response().clone().bool_not();
    let dependency = evidence.dependency("trajectory-shaping")?.clone().mask_fill(padding, 0.0);
    let lengths = evidence.lengths();
    let score = dependency.sum_dim(1) / lengths.clone().clamp_min(1.0);
    let valid = evidence
        .visual()
        .clone()
        .unsqueeze_dim::<2>(1)
        .bool_and(lengths.greater_scalar(0.0))
        .bool_and(score.clone().is_finite());
    Ok((score, valid))
}

/// Mean height of the responses that take part in each response's run of `run` consecutive ones: `[responses, 1]`, not a number
/// in a run of none.
fn mean_of_run(height: &Tensor<2>, valid: &Tensor<2, Bool>, run: usize) -> Tensor<2> {
    let [responses, _] = height.dims();
    let run = run.min(responses);
    let runs = responses.div_ceil(run);
    let total = |values: Tensor<2>| {
        let filled_up = values.pad([(0, runs * run - responses), (0, 0)], PadMode::Constant(0.0));
        filled_up.reshape([runs, run]).sum_dim(1)
    };
    let mean = total(height.clone()) / total(valid.clone().cast(FloatDType::F32));
    mean.expand([runs, run]).reshape([runs * run, 1]).slice([0..responses, 0..1])
}
