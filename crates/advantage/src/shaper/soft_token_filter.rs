//! Token filtering without a hard edge.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use super::bisection::bisect;
use super::log_dependency::unknown;
use crate::{Credit, CreditError, CreditShaper, Evidence, Fraction};

/// Keeps the spread of dependencies above 0 (nats).
const EPSILON: f64 = 1e-8;

/// Odds beyond `exp(60)` move no weight by as much as f32 resolves, and stay finite.
const LARGEST_LOG_ODDS: f64 = 60.0;

/// Opens the gate of every token by a sigmoid of its dependency, so that the gates of a response average `keep`.
///
/// The gate is `sigmoid(z - c)`, where `z` is the dependency less the mean of its response, in units of the response's
/// (population) standard deviation, and `c` makes the average come out, found by bisection. Multiplies [`Credit::gate`] and
/// leaves advantages as they are. If all dependencies are equal (a single token, or none at all) all gates are `keep`. A
/// dependency that is not finite makes all gates of its response not a number. Responses without an image keep their gates.
///
/// # Source
/// VPPO, arXiv:2510.09285, appendix I, which finds it a little worse than [`TokenFilter`](crate::TokenFilter).
///
/// # Departures
/// The paper does not say how the sigmoid is calibrated; bisection for its offset is ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftTokenFilter {
    /// Average gate of a response's tokens.
    pub keep: Fraction,
}

impl Default for SoftTokenFilter {
    fn default() -> Self {
        Self { keep: const { Fraction::literal(0.4) } }
    }
}

impl CreditShaper for SoftTokenFilter {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        let imageless = evidence.visual_tokens().bool_not();
        let gate = self.gates(evidence)?.mask_fill(imageless, 1.0);
        Ok(Credit { advantage: credit.advantage, gate: credit.gate * gate })
    }
}

impl SoftTokenFilter {
    /// The gate of every token, averaging `keep` over each response: `[responses, tokens]`, 0 on padding.
    ///
    /// A response of equal scores has gates `sigmoid(log_odds) = keep`. In any other the offset from these odds lies between
    /// its lowest and its highest score, at most `sqrt(tokens)` from 0, so that f32 carries a gate to about 1e-6.
    fn gates(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        let padding = evidence.response().clone().bool_not();
        let lengths = evidence.lengths().clamp_min(1.0);
        let dependency = evidence.dependency("soft-token-filter")?;
        let score = standardized(dependency, &padding, lengths.clone());
        let keep = self.keep.value();
        let log_odds = (keep / (1.0 - keep)).ln().clamp(-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS);
        let gate = |offset: Tensor<2>| sigmoid(score.clone() - offset + log_odds).mask_fill(padding.clone(), 0.0);
        // Padding scores 0, the mean, and so widens no interval.
        let offset = bisect(score.clone().min_dim(1), score.clone().max_dim(1), |offset| {
            (gate(offset).sum_dim(1) / lengths.clone()).greater_scalar(keep)
        });
        // Not every device carries not-a-number through extremes.
        Ok(gate(offset).mask_fill(unknown(dependency, evidence.response()), f32::NAN))
    }
}

/// The values less their mean, in units of their standard deviation, both over a response: `[responses, tokens]`, 0 on padding.
///
/// Measured from the lowest value in units of the range, so that neither the mean of equal values rounds away from them nor a
/// square overflows.
fn standardized(values: &Tensor<2>, padding: &Tensor<2, Bool>, lengths: Tensor<2>) -> Tensor<2> {
    let lowest = values.clone().mask_fill(padding.clone(), f32::MAX).min_dim(1);
    let highest = values.clone().mask_fill(padding.clone(), f32::MIN).max_dim(1);
    let range = (highest - lowest.clone()).clamp_min(EPSILON);
    let height = ((values.clone() - lowest) / range.clone()).mask_fill(padding.clone(), 0.0);
    let mean = height.clone().sum_dim(1) / lengths.clone();
    let centred = (height - mean).mask_fill(padding.clone(), 0.0);
    let deviation = (centred.clone().square().sum_dim(1) / lengths).sqrt();
    centred / (deviation + range.recip() * EPSILON)
}
