//! Algorithms as data: a recipe names components, and the difference between two recipes is the difference between two
//! papers.
//!
//! | recipe | paper | over its base |
//! |---|---|---|
//! | [`grpo`] | DeepSeekMath, arXiv:2402.03300 | group-normalized rewards, symmetric clip |
//! | [`dr_grpo`] | arXiv:2503.20783 | `grpo`: no division by deviation or length |
//! | [`dapo`] | arXiv:2503.14476 | `grpo`: token mean, clip-higher, groups of mixed outcome only |
//! | [`rloo`] | arXiv:2402.14740 | `grpo`: the mean of the other responses as baseline |
//! | [`reinforce_pp`] | REINFORCE++, arXiv:2501.03262 | `grpo`: rewards to come, less a reference KL, whitened over the batch; token mean |
//! | [`gspo`] | arXiv:2507.18071 | `grpo`: one ratio for a whole response |
//! | [`cispo`] | arXiv:2506.13585 | `dapo`: the bounded ratio as a constant weight |
//! | [`vppo`] | arXiv:2510.09285, as released but for one blackout a prompt | `dapo`: dependency by patch blackout, trajectory shaping, token filter, entropy penalty |
//! | [`vppo_paper`] | arXiv:2510.09285, as printed | `vppo`: full KL, fixed range of factors, sequence mean, no dual clip, no entropy penalty |
//! | [`pgpo`] | arXiv:2604.01840 | `dapo`: dependency by the blind view, perception gate |
//! | [`pgpo_dev`] | a development snapshot of the same, at second hand | `pgpo`: quantile threshold, floor, no conserved mass |
//! | [`prpo`] | arXiv:2606.08708, a *reconstruction* | `dapo`: robust visual dependency, perceptual reshaping |
//! | [`papo`] | arXiv:2507.06448 (PAPO-D) | `dapo`: implicit perception loss, double entropy |

mod difference;
mod group_relative;
mod papo;
mod pgpo;
mod prpo;
mod ratio;
mod reinforce;
mod vppo;

use std::fmt;
use std::path::Path;

use advantage::{AdvantageEstimator, CreditShaper, Estimator, Shaper};
use dependency::{DependencyMetric, Metric};
use reward::Verdict;
use serde::{Deserialize, Serialize};

pub use difference::Difference;
pub(crate) use difference::differences;
pub use group_relative::{dapo, dr_grpo, grpo};
pub use papo::papo;
pub use pgpo::{pgpo, pgpo_dev};
pub use prpo::prpo;
pub use ratio::{cispo, gspo};
pub use reinforce::{reinforce_pp, rloo};
pub use vppo::{vppo, vppo_paper};

use crate::TrainError;
use crate::loss::{BuiltInLoss, Objective, PolicyLoss, ReferenceKl};

/// An algorithm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is called.
    pub name: String,
    /// What one must know before quoting its results; [`Recipe`]'s `Display` has it behind the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// Rewards to advantages.
    pub estimator: Estimator,
    /// How much each token depends on the image; `None` measures nothing and costs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<Metric>,
    /// What reshapes the credit, in order.
    #[serde(default)]
    pub shapers: Vec<Shaper>,
    /// The policy-gradient term.
    pub loss: BuiltInLoss,
    /// What is minimised besides it, and how tokens are averaged.
    pub objective: Objective,
    /// Groups that are trained on; `None` takes all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_band: Option<AccuracyBand>,
    /// Takes a share of the divergence from a reference policy off each token's reward; `None` takes nothing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_kl: Option<ReferenceKl>,
    /// Leaves responses that were cut off at the length limit out of the loss.
    #[serde(default)]
    pub overlong_filter: bool,
}

/// Admits a group if the share of its right responses lies strictly between the bounds.
///
/// # Source
/// DAPO, arXiv:2503.14476, section 3.2; bounds of the released VPPO configuration (`filter_low`, `filter_high`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyBand {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl AccuracyBand {
    /// Whether a group with these verdicts is trained on.
    #[must_use]
    pub fn admits(&self, verdicts: &[Verdict]) -> bool {
        let right: f64 = verdicts.iter().map(|verdict| f64::from(verdict.accuracy)).sum();
        let share = right / verdicts.len().max(1) as f64;
        self.low < share && share < self.high
    }
}

/// A built-in recipe and what one should know before choosing it.
#[derive(Clone, Debug, PartialEq)]
pub struct BuiltIn {
    /// The recipe.
    pub recipe: Recipe,
    /// Where it was published.
    pub paper: &'static str,
    /// What it does over the recipe it is built on, in one line.
    pub summary: &'static str,
}

/// All built-in recipes with their papers.
#[must_use]
pub fn catalogue() -> Vec<BuiltIn> {
    let entry = |recipe, paper, summary| BuiltIn { recipe, paper, summary };
    vec![
        entry(grpo(), "arXiv:2402.03300", "group-normalized rewards, symmetric clip"),
        entry(dr_grpo(), "arXiv:2503.20783", "grpo without division by deviation and length"),
        entry(dapo(), "arXiv:2503.14476", "grpo with token mean, clip-higher, groups of mixed outcome only"),
        entry(rloo(), "arXiv:2402.14740", "grpo with the mean of the other responses as baseline"),
        entry(reinforce_pp(), "arXiv:2501.03262", "rewards to come less a reference KL, whitened over the batch"),
        entry(gspo(), "arXiv:2507.18071", "grpo with one ratio for a whole response"),
        entry(cispo(), "arXiv:2506.13585", "dapo with the bounded ratio as a constant weight"),
        entry(
            vppo(),
            "arXiv:2510.09285",
            "dapo with trajectory shaping, token filter and entropy penalty; as released, but for one blackout a prompt",
        ),
        entry(vppo_paper(), "arXiv:2510.09285", "vppo as its paper prints it"),
        entry(pgpo(), "arXiv:2604.01840", "dapo with a gate that moves advantage to tokens that need the image"),
        entry(pgpo_dev(), "arXiv:2604.01840", "pgpo as a development snapshot has it, at second hand"),
        entry(
            prpo(),
            "arXiv:2606.08708",
            "dapo with louder credit for tokens that need the image and bear small changes",
        ),
        entry(
            papo(),
            "arXiv:2507.06448",
            "dapo with a loss that drives the policy away from what it says of a black image",
        ),
    ]
}

/// All built-in recipes.
#[must_use]
pub fn built_in() -> Vec<Recipe> {
    catalogue().into_iter().map(|entry| entry.recipe).collect()
}

impl fmt::Display for Recipe {
    /// The name and, in parentheses, what one must know about it. Whatever shows a recipe's name to a person shows this.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match &self.caveat {
            Some(caveat) => write!(formatter, "{} ({caveat})", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

impl Recipe {
    /// A built-in recipe by name, or a recipe file by path.
    ///
    /// # Errors
    /// If there is neither, or the file does not hold a recipe.
    pub fn find(name: &str) -> Result<Self, TrainError> {
        let built_in = built_in();
        if let Some(recipe) = built_in.iter().find(|recipe| recipe.name == name) {
            return Ok(recipe.clone());
        }
        let path = Path::new(name);
        if path.exists() {
            return Self::read(path);
        }
        let known = built_in.iter().map(Self::to_string).collect::<Vec<_>>().join(", ");
        Err(TrainError::UnknownRecipe { name: name.to_owned(), known })
    }

    /// Reads a recipe from a JSON file, or a TOML file if its name ends so.
    ///
    /// # Errors
    /// If the file cannot be read or does not hold a recipe.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = crate::limits::read_text(path)?;
        let place = path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "toml") {
            return toml::from_str(&text).map_err(|error| TrainError::Config { place, reason: error.to_string() });
        }
        serde_json::from_str(&text).map_err(|source| TrainError::Json { place, source })
    }

    /// The recipe as JSON.
    ///
    /// # Errors
    /// If a number in it is not finite.
    pub fn to_json(&self) -> Result<String, TrainError> {
        serde_json::to_string_pretty(self)
            .map_err(|source| TrainError::Json { place: format!("recipe {self}"), source })
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// If a number in it is too large for TOML.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string(self)
            .map_err(|error| TrainError::Config { place: format!("recipe {self}"), reason: error.to_string() })
    }

    /// Makes the recipe's data into components.
    #[must_use]
    pub fn build(self) -> Algorithm {
        Algorithm {
            estimator: Box::new(self.estimator),
            shapers: self.shapers.iter().map(|&shaper| Box::new(shaper) as Box<dyn CreditShaper>).collect(),
            metric: self.dependency.clone().map(|metric| Box::new(metric) as Box<dyn DependencyMetric>),
            loss: Box::new(self.loss),
            objective: self.objective.clone(),
            accuracy_band: self.accuracy_band,
            recipe: self,
        }
    }
}

/// A recipe's components, as the step uses them. A component of one's own can be put in the place of any of them.
pub struct Algorithm {
    /// Rewards to advantages.
    pub estimator: Box<dyn AdvantageEstimator>,
    /// What reshapes the credit, in order.
    pub shapers: Vec<Box<dyn CreditShaper>>,
    /// How much each token depends on the image.
    pub metric: Option<Box<dyn DependencyMetric>>,
    /// The policy-gradient term.
    pub loss: Box<dyn PolicyLoss>,
    /// What is minimised besides it, and how tokens are averaged.
    pub objective: Objective,
    /// Groups that are trained on.
    pub accuracy_band: Option<AccuracyBand>,
    /// The recipe these were made from.
    pub recipe: Recipe,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_survive_json_and_toml() {
        for recipe in built_in() {
            let json = recipe.to_json().expect("finite numbers");
            assert_eq!(serde_json::from_str::<Recipe>(&json).expect("reads back"), recipe);
            let text = recipe.to_toml().expect("numbers of TOML");
            assert_eq!(toml::from_str::<Recipe>(&text).expect("reads back"), recipe);
        }
    }

    #[test]
    fn unknown_keys_and_bad_numbers_are_refused() {
        let json = vppo().to_json().expect("finite numbers");
        for (from, to) in
            [("\"keep\": 0.4", "\"keep\": 1.4"), ("\"low\": 0.2", "\"low\": 1.0"), ("\"keep\"", "\"kept\"")]
        {
            assert!(json.contains(from), "{from}");
            assert!(serde_json::from_str::<Recipe>(&json.replacen(from, to, 1)).is_err(), "{to} was accepted");
        }
        let message = Recipe::find("vpo").expect_err("no such recipe").to_string();
        assert!(message.contains("grpo, dr-grpo, dapo"), "{message}");
        assert!(message.contains("prpo (reconstruction: the paper's formulas are unpublished), papo"), "{message}");
    }

    #[test]
    fn the_accuracy_band_is_open() {
        let band = AccuracyBand { low: 0.25, high: 0.75 };
        let verdicts = |right: usize| {
            let verdict = |i: usize| Verdict { accuracy: if i < right { 1.0 } else { 0.0 }, ..Verdict::default() };
            (0..4).map(verdict).collect::<Vec<_>>()
        };
        let admitted: Vec<bool> = (0..=4).map(|right| band.admits(&verdicts(right))).collect();
        assert_eq!(admitted, [false, false, true, false, false]);
    }
}
