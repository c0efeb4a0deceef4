//! A reconstruction of PRPO.

use advantage::{PerceptualReshaping, Shaper};
use dependency::{
    BrightnessContrast, BuiltInDivergence, BuiltInPerturbation, Combination, Contrast, GaussianNoise, Metric, Reduce,
    RobustVisualDependency, SampledK3,
};

use super::pgpo::against_nothing;
use super::{Recipe, dapo};

/// What one must know before quoting results of this recipe.
const CAVEAT: &str = "reconstruction: the paper's formulas are unpublished";

/// PRPO, as far as its abstract goes: tokens that need the image and hold still under mild changes of it are praised and blamed
/// louder, all others as before, over DAPO.
///
/// The grounding of a token is its divergence from the blind view, its instability the mean divergence from two copies of the
/// image that keep the answer in sight: one with noise of standard deviation 16 of 255, one with brightness and contrast off by up to
/// 10 %. The score is the grounding times `exp(-instability)`; the most dependent token of a response gets three times its
/// advantage, those in the lower 40 % of the range their own.
///
/// # Source
/// A *reconstruction* from the abstract of PRPO, arXiv:2606.08708, which names a Robust Visual Dependency and a Perceptual Advantage
/// Reshaping and publishes no formulas.
///
/// # Departures
/// Unknown. Every formula, perturbation and number here is ours, the last after PGPO's.
///
/// # Panics
/// Never: the metric has two perturbations, and wants one.
#[must_use]
pub fn prpo() -> Recipe {
    let divergence = BuiltInDivergence::SampledK3(SampledK3::default());
    let noise = BuiltInPerturbation::GaussianNoise(GaussianNoise::mild());
    let light = BuiltInPerturbation::BrightnessContrast(BrightnessContrast::default());
    let perturbations =
        vec![Contrast::new("noise", noise, divergence), Contrast::new("brightness-contrast", light, divergence)];
    let metric =
        RobustVisualDependency::new(against_nothing(), perturbations, Combination::default(), Reduce::default());
    Recipe {
        name: "prpo".to_owned(),
        caveat: Some(CAVEAT.to_owned()),
        dependency: Some(Metric::RobustVisualDependency(metric.expect("there are perturbations"))),
        shapers: vec![Shaper::PerceptualReshaping(PerceptualReshaping::default())],
        ..dapo()
    }
}
