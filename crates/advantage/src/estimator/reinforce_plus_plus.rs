//! REINFORCE++: every token answers for what was earned from it on, compared with the whole batch.

use burn::tensor::{Bool, Int, Tensor, s};
use serde::{Deserialize, Serialize};

use super::whitening::whitened;
use crate::{AdvantageEstimator, CreditError, Evidence, Fraction};

/// The discounted reward still to come at each token, whitened over all response tokens of the batch.
///
/// The reward of a response is earned on its last token; [`Evidence::token_rewards`], such as a penalty for leaving a
/// reference policy, on their own. Whitening takes the mean of the batch away and divides by its sample deviation
/// (`sqrt(variance + 1e-8)`). Groups play no part. A batch whose tokens all have the same reward to come gets next to nothing:
/// at most `reward * 1e-4 / tokens`.
///
/// A padded column between two response tokens ends what is still to come: tokens before it do not see what is earned behind
/// it. A reward that is not finite makes the advantages of the whole batch not finite, since all are compared.
///
/// # Source
/// REINFORCE++, arXiv:2501.03262; discount, epsilon and the reset at padding as in the released VPPO code
/// (`verl/trainer/core_algos.py`, arXiv:2510.09285).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReinforcePlusPlus {
    /// What a reward loses in worth per token it lies ahead (gamma): 1 nothing, 0 all.
    pub discount: Fraction,
}

impl Default for ReinforcePlusPlus {
    fn default() -> Self {
        Self { discount: const { Fraction::literal(1.0) } }
    }
}

impl AdvantageEstimator for ReinforcePlusPlus {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        Ok(whitened(self.returns(evidence), evidence))
    }
}

impl ReinforcePlusPlus {
    /// The discounted reward still to come at each token, its own included.
    ///
    /// A reward that is not finite spoils the tokens up to it, of its own response only.
    ///
    /// # Shapes
    /// - returns `[responses, tokens]`, f32, 0 on padding
    pub fn returns(&self, evidence: &Evidence) -> Tensor<2> {
        let response = evidence.response();
        let [_, tokens] = response.dims();
        let mut returns = token_rewards(evidence);
        // After each round a token has seen `step` tokens, as far as no padding comes between: twice as many as before.
        let mut unbroken = response.clone();
        let mut discount = self.discount.value();
        let mut step = 1;
        while step < tokens {
            let reached = unbroken.clone().slice(s![.., ..tokens - step]);
            let ahead = returns.clone().slice(s![.., step..]).mask_fill(reached.clone().bool_not(), 0.0);
            let seen = returns.clone().slice(s![.., ..tokens - step]) + ahead * discount;
            returns = returns.slice_assign(s![.., ..tokens - step], seen);
            let reached = reached.bool_and(unbroken.clone().slice(s![.., step..]));
            unbroken = unbroken.slice_assign(s![.., ..tokens - step], reached);
            discount *= discount;
            step *= 2;
        }
        returns
    }
}

/// What each token earned, the reward of its response included on the last one: `[responses, tokens]`, 0 on padding.
fn token_rewards(evidence: &Evidence) -> Tensor<2> {
    let elsewhere = last_tokens(evidence.response()).bool_not();
    let outcome = evidence.rewards().clone().unsqueeze_dim::<2>(1).expand(elsewhere.dims()).mask_fill(elsewhere, 0.0);
    match evidence.token_rewards() {
        Some(rewards) => rewards + outcome,
        None => outcome,
    }
}

/// True on the last response token of each row: `[responses, tokens]`.
fn last_tokens(response: &Tensor<2, Bool>) -> Tensor<2, Bool> {
    let shape = response.dims();
    let column = Tensor::<1, Int>::arange(0..shape[1] as i64, &response.device()).unsqueeze::<2>().expand(shape);
    let last = column.clone().mask_fill(response.clone().bool_not(), -1).max_dim(1);
    column.equal(last.expand(shape))
}
