//! Token-level gradient filtering (TGF): only the most image-dependent tokens speak.

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

use super::top_tokens::top_tokens;
use crate::{Credit, CreditError, CreditShaper, Evidence, Fraction};

const KIND: &str = "token-filter";

/// Keeps the `keep` share of each response's tokens that rank highest by dependency, by entropy, or by either.
///
/// Multiplies [`Credit::gate`] by 1 or 0 and leaves advantages as they are. Of a response of `n` tokens exactly
/// `ceil(keep * n)` are kept by each signal. Of equally ranked tokens the earlier one is kept; a number that is not one ranks
/// with negative infinity, below every number. Responses without an image keep all their tokens, except by entropy alone,
/// which does not depend on an image.
///
/// # Source
/// VPPO, arXiv:2510.09285, the token mask of equation 6; released code `verl/workers/actor/dp_actor.py`, which also has the
/// entropy-guided mask and the union of both.
///
/// # Departures
/// The released code sorts unstably, so that ties fall at random, and counts in f32, which for some shares keeps one token
/// more. It also filters responses without an image, all of whose tokens are equally (not at all) dependent. Its entropy is
/// that of the policy being updated; ours that of the policy that sampled, which is the same at the first optimizer step of
/// a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenFilter {
    /// Share of tokens kept per response, rounded up. The paper's best value is 0.4.
    pub keep: Fraction,
    /// What the tokens are ranked by.
    pub by: Signal,
}

/// What ranks the tokens of a response; written `"dependency"`, `"entropy"` or `"either"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// How much a token depends on the image.
    #[default]
    Dependency,
    /// How undecided the policy was when it sampled the token.
    Entropy,
    /// Both, each on its own: a token speaks if one of them keeps it.
    Either,
}

impl Default for TokenFilter {
    fn default() -> Self {
        Self { keep: const { Fraction::literal(0.4) }, by: Signal::Dependency }
    }
}

impl CreditShaper for TokenFilter {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        let response = evidence.response();
        let by_dependency = || {
            let kept = top_tokens(evidence.dependency(KIND)?, response, self.keep);
            Ok(kept.bool_or(evidence.visual_tokens().bool_not()))
        };
        let by_entropy = || Ok(top_tokens(evidence.entropy(KIND)?, response, self.keep));
        let heard = match self.by {
            Signal::Dependency => by_dependency()?,
            Signal::Entropy => by_entropy()?,
            Signal::Either => by_dependency()?.bool_or(by_entropy()?),
        };
        Ok(Credit { advantage: credit.advantage, gate: credit.gate * heard.cast(FloatDType::F32) })
    }
}
