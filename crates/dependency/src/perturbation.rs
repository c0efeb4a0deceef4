//! How an image is spoilt, so that one can see what the prediction owed to it.

mod blur;
mod brightness_contrast;
mod crop_shift;
mod diffusion_noise;
mod gaussian_noise;
mod noise_annealing;
mod patch_blackout;
mod rescale;
mod solid_fill;

use image::RgbImage;
use rand::Rng;
use serde::{Deserialize, Serialize};

pub use blur::Blur;
pub use brightness_contrast::BrightnessContrast;
pub use crop_shift::CropShift;
pub use diffusion_noise::{DiffusionNoise, DiffusionStep};
pub use gaussian_noise::GaussianNoise;
pub use noise_annealing::{NoiseAnnealing, NoiseDecay};
pub use patch_blackout::PatchBlackout;
pub use rescale::Rescale;
pub use solid_fill::SolidFill;

/// Makes a changed copy of an image.
pub trait Perturbation {
    /// The changed copy, of the same size. The same image and generator state give the same copy.
    fn apply(&self, image: &RgbImage, rng: &mut dyn Rng) -> RgbImage;
}

/// The built-in perturbations, as they are named in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BuiltInPerturbation {
    /// Black cells at random.
    PatchBlackout(PatchBlackout),
    /// One grey value everywhere.
    SolidFill(SolidFill),
    /// Independent normal noise on every value.
    GaussianNoise(GaussianNoise),
    /// A Gaussian blur.
    Blur(Blur),
    /// A random change of brightness and contrast.
    BrightnessContrast(BrightnessContrast),
    /// A change of size and back.
    Rescale(Rescale),
    /// A random shift.
    CropShift(CropShift),
    /// The noise of a diffusion process.
    DiffusionNoise(DiffusionNoise),
}

impl Perturbation for BuiltInPerturbation {
    fn apply(&self, image: &RgbImage, rng: &mut dyn Rng) -> RgbImage {
        match self {
            Self::PatchBlackout(perturbation) => perturbation.apply(image, rng),
            Self::SolidFill(perturbation) => perturbation.apply(image, rng),
            Self::GaussianNoise(perturbation) => perturbation.apply(image, rng),
            Self::Blur(perturbation) => perturbation.apply(image, rng),
            Self::BrightnessContrast(perturbation) => perturbation.apply(image, rng),
            Self::Rescale(perturbation) => perturbation.apply(image, rng),
            Self::CropShift(perturbation) => perturbation.apply(image, rng),
            Self::DiffusionNoise(perturbation) => perturbation.apply(image, rng),
        }
    }
}
