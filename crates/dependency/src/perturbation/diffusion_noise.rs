//! The noise of a diffusion process.

use image::RgbImage;
use rand::Rng;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Perturbation;
use crate::DependencyError;

/// Steps of the diffusion process.
const STEPS: u16 = 1000;

/// Fades the image into normal noise, as a diffusion process does in a number of steps.
///
/// On values in `0..=1` the image `x` becomes `signal x + noise ε`, with the [`coefficients`](Self::coefficients) of the step and
/// independent standard normal `ε` for every channel of every pixel, clipped to `0..=1` and rounded to the nearest of 256
/// levels. Step 0 already adds a little noise (1.2 of 255 levels).
///
/// # Source
/// NoisyRollout, arXiv:2504.13055, with the noise schedule of VCD, arXiv:2311.16922.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiffusionNoise {
    /// How far the process has gone; the default, 500, is where NoisyRollout starts on Geometry3K.
    pub step: DiffusionStep,
}

/// A step of the diffusion process, in `0..=999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct DiffusionStep(u16);

impl DiffusionNoise {
    /// What the image and what the noise is multiplied by: `(signal, noise)`, whose squares sum to 1.
    ///
    /// The variance `β` that step `i` of 1000 adds rises from `1e-5` to `5e-3` along a sigmoid over `-6..=6`; `signal²` is the
    /// product of `1 - β` over all steps up to this one, itself included.
    #[must_use]
    pub fn coefficients(&self) -> (f64, f64) {
        let added = |step: u16| {
            let place = -6.0 + 12.0 * f64::from(step) / f64::from(STEPS - 1);
            (0.5e-2 - 1e-5) / (1.0 + (-place).exp()) + 1e-5
        };
        let kept: f64 = (0..=self.step.value()).map(|step| 1.0 - added(step)).product();
        (kept.sqrt(), (1.0 - kept).sqrt())
    }
}

impl Perturbation for DiffusionNoise {
    fn apply(&self, image: &RgbImage, rng: &mut dyn Rng) -> RgbImage {
        let (signal, noise) = self.coefficients();
        let mut image = image.clone();
        for value in image.iter_mut() {
            let drawn: f64 = StandardNormal.sample(rng);
            // The conversion clips.
            *value = (signal * f64::from(*value) + 255.0 * noise * drawn).round() as u8;
        }
        image
    }
}

impl DiffusionStep {
    /// Takes `step` if the process has it.
    ///
    /// # Errors
    /// [`DependencyError::OutOfRange`] if it lies beyond the last, 999.
    pub const fn new(step: u16) -> Result<Self, DependencyError> {
        if step < STEPS {
            Ok(Self(step))
        } else {
            Err(DependencyError::OutOfRange { value: step as f64, range: "0..=999" })
        }
    }

    /// This step times a share of at most 1, cut to an integer; below 0 there is none.
    pub(super) fn scaled(self, share: f64) -> Self {
        // The conversion cuts, and takes what is negative to 0.
        Self((f64::from(self.0) * share) as u16)
    }

    /// The number itself.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl Default for DiffusionStep {
    /// The middle of the process, 500.
    fn default() -> Self {
        Self(STEPS / 2)
    }
}

impl TryFrom<u16> for DiffusionStep {
    type Error = DependencyError;

    fn try_from(step: u16) -> Result<Self, DependencyError> {
        Self::new(step)
    }
}

impl From<DiffusionStep> for u16 {
    fn from(step: DiffusionStep) -> Self {
        step.0
    }
}
