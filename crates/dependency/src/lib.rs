//! How much a prediction changes when the visual evidence changes.
//!
//! Knows: pairs of next-token predictions, one from the clean image and one from changed evidence. A [`Contrast`] names the
//! changed evidence (a [`View`], perhaps through a [`Perturbation`]) and how predictions are compared (a [`Divergence`]); a
//! [`DependencyMetric`] turns the divergences of its contrasts into one score per token.
//!
//! Must not know: the model that predicts, prompts, rewards, advantages, files, or which device computes. Divergences are
//! tensor arithmetic on the device of the caller's tensors; perturbations act on pixels and draw from the caller's generator.
//!
//! | paper | equation | component | recipe | departure |
//! |---|---|---|---|---|
//! | VPPO, [arXiv:2510.09285](https://arxiv.org/abs/2510.09285) | equation 3 | [`VisualDependency`], [`ForwardKl`] | `vppo-paper` | the released code computes [`SampledK3`] |
//! | VPPO | appendix B, released code | [`SampledK3`] | `vppo`, `pgpo`, `pgpo-dev`, `papo`, `prpo` | keeps its digits near 0 |
//! | VPPO | released code | [`SampledK1`], [`SampledK2`], [`SampledAbsolute`] | | may be capped |
//! | VPPO | table 12 | [`JensenShannon`], [`ProbabilityDrop`] | | |
//! | VPPO | table 11 | [`PatchBlackout`] | `vppo`, `vppo-paper`, `papo` | draws from a seeded generator |
//! | VPPO | table 11 | [`GaussianNoise`], [`Blur`], [`SolidFill`] | | the blur is exact, not Pillow's boxes |
//! | PGPO, [arXiv:2604.01840](https://arxiv.org/abs/2604.01840) | equation 1, appendix A.1 | [`View::Blind`] | `pgpo`, `pgpo-dev`, `prpo` | |
//! | PRPO, [arXiv:2606.08708](https://arxiv.org/abs/2606.08708) | not published | [`RobustVisualDependency`], [`DependencyBound`] | `prpo` | *reconstructions* from the abstract |
//! | PRPO | not published | [`BrightnessContrast`], [`Rescale`], [`CropShift`], [`GaussianNoise::mild`], [`Blur::mild`] | `prpo` | our choice of mild perturbations |
//! | NoisyRollout, [arXiv:2504.13055](https://arxiv.org/abs/2504.13055) | released code | [`DiffusionNoise`], [`NoiseAnnealing`] | | |
//!
//! ```
//! # fn main() -> Result<(), dependency::DependencyError> {
//! use burn::tensor::{Bool, Device, Int, Tensor};
//! use dependency::{
//!     BuiltInDivergence, Contrast, DependencyMetric, Divergence, SampledK3, Unknown, View, VisualDependency,
//! };
//!
//! // Two tokens over a vocabulary of three; only the first prediction changes without the image.
//! let device = Device::flex();
//! let clean = Tensor::<2>::from_data([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &device);
//! let blind = Tensor::<2>::from_data([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &device);
//! let sampled = Tensor::<1, Int>::from_data([0, 1], &device);
//!
//! let divergence = BuiltInDivergence::SampledK3(SampledK3::default());
//! let per_token = divergence.per_token(clean, blind, sampled);
//!
//! let contrast = Contrast::new("blind", View::Blind, divergence);
//! let metric = VisualDependency { contrast, unknown: Unknown::Keep };
//! let response = Tensor::<2, Bool>::from_data([[true, true]], &device);
//! let score = metric.score(&[per_token.unsqueeze()], &response)?;
//! let score: Vec<f32> = score.into_data().iter().collect();
//! assert!(score[0] > 0.3 && score[1] == 0.0);
//! # Ok(())
//! # }
//! ```

mod contrast;
mod divergence;
mod metric;
mod perturbation;

mod error;
mod number;

pub use contrast::{Contrast, Draws, PerturbedImage, Surface, View};
pub use divergence::{
    BuiltInDivergence, Divergence, EntropyOf, ForwardKl, JensenShannon, ProbabilityDrop, SampledAbsolute,
    SampledDivergence, SampledK1, SampledK2, SampledK3, Side, entropy, forward_kl, in_chunks, jensen_shannon,
};
pub use error::DependencyError;
pub use metric::{
    Combination, DependencyBound, DependencyMetric, Metric, Reduce, RobustVisualDependency, Unknown, VisualDependency,
};
pub use number::{Fraction, NonNegative, Positive};
pub use perturbation::{
    Blur, BrightnessContrast, BuiltInPerturbation, CropShift, DiffusionNoise, DiffusionStep, GaussianNoise,
    NoiseAnnealing, NoiseDecay, PatchBlackout, Perturbation, Rescale, SolidFill,
};
