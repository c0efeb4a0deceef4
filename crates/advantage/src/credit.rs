//! How much each token is praised or blamed, and whether it is heard at all.

use burn::tensor::{FloatDType, Tensor};

use crate::evidence::check_shape;
use crate::{AdvantageEstimator, CreditError, CreditShaper, Evidence};

/// The credit of every token of a batch.
///
/// Two columns, because they mean different things to a loss: the advantage scales what a token is told, the gate decides
/// whether it takes part in the policy gradient, while the loss still divides by all response tokens.
#[derive(Clone, Debug)]
pub struct Credit {
    /// How loudly each token is praised (above 0) or blamed (below): `[responses, tokens]`, f32, 0 on padding.
    pub advantage: Tensor<2>,
    /// Who speaks, in `0..=1`: `[responses, tokens]`, f32, 0 on padding.
    pub gate: Tensor<2>,
}

/// Estimates the advantage, opens every gate and lets the shapers rewrite the credit in order.
///
/// Both columns of the result are 0 on padding, whatever a shaper leaves there.
///
/// # Errors
/// Those of the estimator and the shapers, and [`CreditError::Shape`] if one of them returns a tensor of another shape than
/// the response mask.
pub fn assign(
    estimator: &dyn AdvantageEstimator,
    shapers: &[Box<dyn CreditShaper>],
    evidence: &Evidence,
) -> Result<Credit, CreditError> {
    let response = evidence.response();
    let advantage = estimator.estimate(evidence)?;
    check_shape("the estimated advantage", &advantage.dims(), &response.dims())?;
    let mut credit = Credit { advantage, gate: response.clone().cast(FloatDType::F32) };
    for shaper in shapers {
        credit = shaper.shape(evidence, credit)?;
        check_shape("a shaped advantage", &credit.advantage.dims(), &response.dims())?;
        check_shape("a shaped gate", &credit.gate.dims(), &response.dims())?;
    }
    let padding = response.clone().bool_not();
    Ok(Credit {
        advantage: credit.advantage.mask_fill(padding.clone(), 0.0),
        gate: credit.gate.mask_fill(padding, 0.0),
    })
}
