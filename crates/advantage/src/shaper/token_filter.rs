//! Token-level gradient filtering (TGF): only the most image-dependent tokens speak.

use burn::tensor::{Bool, FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::groups::indices;
use crate::{Credit, CreditError, CreditShaper, Evidence, Fraction};

/// Keeps the `keep` share of each response's tokens with the highest dependency.
///
/// Multiplies [`Credit::gate`] by 1 or 0 and leaves advantages as they are. Of a response of `n` tokens exactly
/// `ceil(keep * n)` are kept. Of equally dependent tokens the earlier one is kept; a dependency that is not a number ranks with
/// negative infinity, below every number. Responses without an image keep all their tokens.
///
/// # Source
/// VPPO, arXiv:2510.09285, the token mask of equation 6; released code `verl/workers/actor/dp_actor.py`.
///
/// # Departures
/// The released code sorts unstably, so that ties fall at random, and counts in f32, which for some shares keeps one token
/// more. It also filters responses without an image, all of whose tokens are equally (not at all) dependent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenFilter {
    /// Share of tokens kept per response, rounded up. The paper's best value is 0.4.
    pub keep: Fraction,
}

impl Default for TokenFilter {
    fn default() -> Self {
        Self { keep: const { Fraction::literal(0.4) } }
    }
}

impl CreditShaper for TokenFilter {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        let imageless = evidence.visual_tokens().bool_not();
        let heard = self.kept(evidence)?.bool_or(imageless);
        Ok(Credit { advantage: credit.advantage, gate: credit.gate * heard.cast(FloatDType::F32) })
    }
}

impl TokenFilter {
    /// True on the tokens kept of every response: `[responses, tokens]`.
    ///
    /// The last score to be kept is found by sorting, which devices without a sorting kernel do on the host.
    fn kept(&self, evidence: &Evidence) -> Result<Tensor<2, Bool>, CreditError> {
        let response = evidence.response();
        let scores = evidence.dependency("token-filter")?.clone();
        let last = scores.clone().is_nan().bool_or(response.clone().bool_not());
        let scores = scores.mask_fill(last, f32::NEG_INFINITY);

        let count = self.counts(response);
        let rank_of_last = count.clone().sub_scalar(1).clamp_min(0);
        let threshold = scores.clone().sort_descending(1).gather(1, rank_of_last).expand(response.dims());
        let above = scores.clone().greater(threshold.clone());
        let level = scores.equal(threshold).bool_and(response.clone());
        let room = (count - above.clone().int().sum_dim(1)).expand(response.dims());
        let first_ones = level.clone().int().cumsum(1).lower_equal(room);
        Ok(above.bool_or(level.bool_and(first_ones)))
    }

    /// Number of tokens to keep of every response: `[responses, 1]`.
    ///
    /// The product is rounded in f64 on the host, for every length that the mask allows, and looked up on the device.
    fn counts(&self, response: &Tensor<2, Bool>) -> Tensor<2, Int> {
        let [responses, tokens] = response.dims();
        let table = (0..=tokens).map(|length| self.count(length)).collect();
        let lengths = response.clone().int().sum_dim(1).reshape([responses]);
        indices(table, &response.device()).select(0, lengths).unsqueeze_dim(1)
    }

    /// `ceil(keep * length)`, unmoved by the rounding error of `keep`.
    fn count(&self, length: usize) -> usize {
        (self.keep.value() * length as f64 - 1e-9).ceil().max(0.0) as usize
    }
}
