//! How the credit of a response is shared among its tokens and weighed against that of other responses.

mod perception_gate;
mod token_filter;
mod trajectory_shaping;

use serde::{Deserialize, Serialize};

pub use perception_gate::PerceptionGate;
pub use token_filter::TokenFilter;
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
    /// Lets only the most dependent tokens speak (TGF).
    TokenFilter(TokenFilter),
    /// Moves advantage from the least to the most dependent tokens (PGPO).
    PerceptionGate(PerceptionGate),
}

impl CreditShaper for Shaper {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        match self {
            Self::TrajectoryShaping(shaper) => shaper.shape(evidence, credit),
            Self::TokenFilter(shaper) => shaper.shape(evidence, credit),
            Self::PerceptionGate(shaper) => shaper.shape(evidence, credit),
        }
    }
}
