//! Recipes that change what the probability ratio weighs.

use advantage::{Fraction, NonNegative};

use super::{Recipe, dapo, grpo};
use crate::loss::{BuiltInLoss, Cispo, Gspo, Objective, Reduction};

/// GRPO with one ratio for a whole response, clipped within a few ten-thousandths of 1.
///
/// # Source
/// GSPO, arXiv:2507.18071, equations 5 to 7 and the bounds of its section 5.1.
///
/// # Departures
/// Responses without a token do not count in the mean over responses, as in verl.
#[must_use]
pub fn gspo() -> Recipe {
    let grpo = grpo();
    Recipe {
        name: "gspo".to_owned(),
        loss: BuiltInLoss::Gspo(Gspo::default()),
        objective: Objective { reduction: Reduction::NonEmptySequenceMean, ..grpo.objective },
        ..grpo
    }
}

/// DAPO with the ratio as a bounded constant weight, so that no token loses its gradient.
///
/// # Source
/// CISPO, arXiv:2506.13585, equations 4 and 5, whose runs also sample until enough groups are of mixed outcome.
///
/// # Departures
/// The paper has no lower bound, nor has this recipe (`low` 1), and keeps its upper bound to itself: a ratio of 5 (`high` 4) is that
/// of EasyR1's example. Its penalty for long responses is a setting of the run, `rollout.overlong_penalty`.
#[must_use]
pub fn cispo() -> Recipe {
    let (low, high) = const { (Fraction::literal(1.0), NonNegative::literal(4.0)) };
    Recipe { name: "cispo".to_owned(), loss: BuiltInLoss::Cispo(Cispo { low, high }), ..dapo() }
}
