//! Views that a response can be compared with, by name.

use clap::ValueEnum;
use dependency::{
    Blur, BrightnessContrast, BuiltInPerturbation, CropShift, DiffusionNoise, GaussianNoise, PatchBlackout, Rescale,
    SolidFill, View,
};

/// Views by name; those of the VPPO paper with its strengths.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ContrastName {
    /// Image tokens hidden, positions kept
    Blind,
    /// Half of the 14-pixel squares black
    Blackout,
    /// Every pixel 128
    Grey,
    /// Gaussian noise of standard deviation 189
    Noise,
    /// Gaussian blur of radius 6
    Blur,
    /// Diffusion noise of step 500, as in NoisyRollout
    Diffusion,
    /// Gaussian noise of standard deviation 16
    MildNoise,
    /// Gaussian blur of radius 1.5
    MildBlur,
    /// Brightness and contrast changed by up to a tenth
    Jitter,
    /// Shrunk by a tenth and enlarged again
    Rescale,
    /// Shifted by up to a twentieth of each side
    Shift,
}

impl ContrastName {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The view.
    pub(super) fn view(self) -> View {
        let perturbation = match self {
            Self::Blind => return View::Blind,
            Self::Blackout => BuiltInPerturbation::PatchBlackout(PatchBlackout::default()),
            Self::Grey => BuiltInPerturbation::SolidFill(SolidFill::default()),
            Self::Noise => BuiltInPerturbation::GaussianNoise(GaussianNoise::default()),
            Self::Blur => BuiltInPerturbation::Blur(Blur::default()),
            Self::Diffusion => BuiltInPerturbation::DiffusionNoise(DiffusionNoise::default()),
            Self::MildNoise => BuiltInPerturbation::GaussianNoise(GaussianNoise::mild()),
            Self::MildBlur => BuiltInPerturbation::Blur(Blur::mild()),
            Self::Jitter => BuiltInPerturbation::BrightnessContrast(BrightnessContrast::default()),
            Self::Rescale => BuiltInPerturbation::Rescale(Rescale::default()),
            Self::Shift => BuiltInPerturbation::CropShift(CropShift::default()),
        };
        View::from(perturbation)
    }
}
