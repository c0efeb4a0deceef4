//! Correction for tokens that were sampled from another distribution than the one that is trained.

use advantage::{AtLeastOne, Fraction};
use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

/// Log-ratios are clamped to this before exponentiation.
const LOG_RATIO_LIMIT: f64 = 20.0;

/// Weights of the policy term by the ratio `ρ = π_old / π_sampled`: the recomputed probability of a token before the update
/// over the one it had when the engine drew it. A constant to the gradient.
///
/// An engine that computes in other kernels or in lower precision, or that cuts the distribution (top-p, top-k) and
/// renormalizes it, does not sample from the policy. With top-p 0.99 the ratio of a token is 0.99 to 1 for that reason alone.
///
/// # Source
/// Truncation: Yao et al., "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training" (2025). Masking: Liu, Li
/// et al., "When Speed Kills Stability: Demystifying RL Collapse from the Training-Inference Mismatch" (2025). Released
/// together as verl's rollout correction (`rollout_corr_helper.py`), whose clamp of the log-ratio to ±20 is kept.
///
/// # Departures
/// verl takes masked tokens out of the loss, denominators included. Here they count in the denominators as any token whose
/// gate is closed, and stay in the terms besides the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImportanceCorrection {
    /// `min(ρ, cap)`.
    Truncated(TruncatedImportance),
    /// 0 outside of an interval around 1.
    Masked(MaskedImportance),
}

/// `min(ρ, cap)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TruncatedImportance {
    /// The largest weight.
    pub cap: AtLeastOne,
    /// What the ratio is taken of.
    pub level: ImportanceLevel,
}

/// 0 where `ρ` is below `low` or above `high`; elsewhere `ρ`, or 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskedImportance {
    /// The smallest ratio that is kept.
    pub low: Fraction,
    /// The largest ratio that is kept.
    pub high: AtLeastOne,
    /// What the ratio is taken of.
    pub level: ImportanceLevel,
    /// Whether what is kept is weighted by its ratio; if not, its weight is 1.
    pub weighted: bool,
}

/// What a ratio is taken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportanceLevel {
    /// Each token.
    #[default]
    Token,
    /// The whole response: the product over its tokens, for each of them.
    Sequence,
    /// The whole response: the geometric mean over its tokens, for each of them.
    SequenceMean,
}

/// The weights of a correction.
///
/// # Shapes
/// Both `[responses, tokens]`.
pub(super) struct Importance {
    /// At least 0, without gradients.
    pub(super) weight: Tensor<2>,
    /// Where the ratio was truncated or masked.
    pub(super) limited: Tensor<2, Bool>,
}

impl Default for TruncatedImportance {
    /// verl's threshold.
    fn default() -> Self {
        Self { cap: const { AtLeastOne::literal(2.0) }, level: ImportanceLevel::Token }
    }
}

impl Default for MaskedImportance {
    /// verl's threshold and its inverse.
    fn default() -> Self {
        Self {
            low: const { Fraction::literal(0.5) },
            high: const { AtLeastOne::literal(2.0) },
            level: ImportanceLevel::Token,
            weighted: true,
        }
    }
}

impl ImportanceCorrection {
    /// Both kinds of log-probabilities are 0 in the padding.
    pub(super) fn weights(&self, old: Tensor<2>, sampling: Tensor<2>, response: &Tensor<2, Bool>) -> Importance {
        let log_ratio = (old - sampling).detach();
        match self {
            Self::Truncated(TruncatedImportance { cap, level }) => {
                let ratio = level.ratio(log_ratio, response);
                let limited = ratio.clone().greater_scalar(cap.value());
                Importance { weight: ratio.clamp_max(cap.value()), limited }
            }
            Self::Masked(MaskedImportance { low, high, level, weighted }) => {
                let ratio = level.ratio(log_ratio, response);
                let limited =
                    ratio.clone().lower_scalar(low.value()).bool_or(ratio.clone().greater_scalar(high.value()));
                let kept = if *weighted { ratio } else { ratio.ones_like() };
                Importance { weight: kept.mask_fill(limited.clone(), 0.0), limited }
            }
        }
    }
}

impl ImportanceLevel {
    fn ratio(self, log_ratio: Tensor<2>, response: &Tensor<2, Bool>) -> Tensor<2> {
        let shape = log_ratio.dims();
        let log_ratio = match self {
            Self::Token => log_ratio,
            Self::Sequence => log_ratio.sum_dim(1).expand(shape),
            Self::SequenceMean => {
                let lengths = response.clone().float().sum_dim(1).clamp_min(1.0);
                (log_ratio.sum_dim(1) / lengths).expand(shape)
            }
        };
        log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    }
}
