//! How the credit of a response is shared among its tokens and weighed against that of other responses.

mod bisection;
mod by_length;
mod log_dependency;
mod top_tokens;
mod water_filling;

mod perception_gate;
mod perceptual_reshaping;
mod soft_token_filter;
mod token_filter;
mod trajectory_shaping;

use serde::{Deserialize, Serialize};

pub use perception_gate::{PerceptionGate, Threshold};
pub use perceptual_reshaping::{PerceptualReshaping, ReshapingRule, Schedule};
pub use soft_token_filter::SoftTokenFilter;
pub use token_filter::{Signal, TokenFilter};
pub use trajectory_shaping::{Ceiling, TrajectoryShaping};

use crate::{Credit, CreditError, Evidence};

/// Rewrites the credit of a batch in the light of its evidence.
///
/// A list of shapers is applied in order. To bring your own, implement this trait.
pub trait CreditShaper {
    /// The rewritten credit, with the shapes of the given one.
    ///
    /// # Errors
    /// If the evidence lacks what the shaper reads.
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError>;
}

/// The built-in shapers, as they are named in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shaper {
    /// Weighs responses by their mean dependency (TAS).
    TrajectoryShaping(TrajectoryShaping),
    /// Lets only the most dependent, or least decided, tokens speak (TGF).
    TokenFilter(TokenFilter),
    /// Lets every token speak by how dependent it is.
    SoftTokenFilter(SoftTokenFilter),
    /// Moves advantage from the least to the most dependent tokens (PGPO).
    PerceptionGate(PerceptionGate),
    /// Raises the advantage of the most dependent tokens (PAR, a reconstruction).
    PerceptualReshaping(PerceptualReshaping),
}

impl Shaper {
    /// Whether it reads the dependency of tokens.
    #[must_use]
    pub fn reads_dependency(&self) -> bool {
        !matches!(self, Self::TokenFilter(TokenFilter { by: Signal::Entropy, .. }))
    }

    /// Whether it reads the entropy of tokens.
    #[must_use]
    pub fn reads_entropy(&self) -> bool {
        matches!(self, Self::TokenFilter(TokenFilter { by: Signal::Entropy | Signal::Either, .. }))
    }

    /// Whether it takes the logarithm of 1 and the dependency, which then must be above -1.
    #[must_use]
    pub fn takes_logarithm(&self) -> bool {
        matches!(self, Self::PerceptionGate(_) | Self::PerceptualReshaping(_))
    }
}

impl CreditShaper for Shaper {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        match self {
            Self::TrajectoryShaping(shaper) => shaper.shape(evidence, credit),
            Self::TokenFilter(shaper) => shaper.shape(evidence, credit),
            Self::SoftTokenFilter(shaper) => shaper.shape(evidence, credit),
            Self::PerceptionGate(shaper) => shaper.shape(evidence, credit),
            Self::PerceptualReshaping(shaper) => shaper.shape(evidence, credit),
        }
    }
}
