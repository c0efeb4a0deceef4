//! Rewards and dependency in, per-token credit out.
//!
//! Knows: one optimizer batch of responses, what each earned, which answer the same prompt, and how much each token depends on
//! the image ([`Evidence`]). An [`AdvantageEstimator`] turns rewards into advantages, a list of [`CreditShaper`]s rewrites
//! them, and [`assign`] does both.
//!
//! Must not know: models, images, tokenizers, files, where rewards or dependencies come from, what a loss does with the
//! credit, or which device computes it. Everything is tensor arithmetic on the device of the caller's tensors.
//!
//! One law holds for all: what stands on padding, not-a-number included, changes nothing.
//!
//! | paper | equation | component | recipe | departure |
//! |---|---|---|---|---|
//! | DeepSeekMath, [arXiv:2402.03300](https://arxiv.org/abs/2402.03300) | section 4.1.2, outcome supervision | [`Grpo`] | `grpo`, and all but the next three | |
//! | Understanding R1-Zero-Like Training, [arXiv:2503.20783](https://arxiv.org/abs/2503.20783) | section 3.2 | [`DrGrpo`] | `dr-grpo` | |
//! | Back to Basics (RLOO), [arXiv:2402.14740](https://arxiv.org/abs/2402.14740) | leave-one-out baseline | [`Rloo`] | `rloo` | |
//! | REINFORCE++, [arXiv:2501.03262](https://arxiv.org/abs/2501.03262) | reward to come, normalized over the batch | [`ReinforcePlusPlus`] | `reinforce-pp` | |
//! | REINFORCE++ | the variant with a baseline | [`ReinforcePlusPlusBaseline`] | | |
//! | Inference Time Objectives, [arXiv:2503.19595](https://arxiv.org/abs/2503.19595) | pass@k | [`PassAtK`] | | all but the best get 0 |
//! | VPPO, [arXiv:2510.09285](https://arxiv.org/abs/2510.09285) | equation 6, token-level gradient filtering | [`TokenFilter`] | `vppo`, `vppo-paper` | ties and rounding are defined; no image, no filter |
//! | VPPO | appendix I, soft filtering | [`SoftTokenFilter`] | | |
//! | VPPO | equation 5, trajectory-level advantage shaping | [`TrajectoryShaping`] | `vppo`, `vppo-paper` | extremes and mean over the batch |
//! | PGPO, [arXiv:2604.01840](https://arxiv.org/abs/2604.01840) | equations 4 to 8, perception gate | [`PerceptionGate`] | `pgpo`, `pgpo-dev` | equal dependencies weigh 1; a cap |
//! | PRPO, [arXiv:2606.08708](https://arxiv.org/abs/2606.08708) | perceptual advantage reshaping, unpublished | [`PerceptualReshaping`] | `prpo` | a *reconstruction* |
//!
//! Two responses to one prompt, one right and one wrong; of each, the more dependent half of the tokens speaks:
//!
//! ```
//! # fn main() -> Result<(), advantage::CreditError> {
//! use advantage::{CreditShaper, Evidence, Fraction, Groups, Grpo, TokenFilter, assign};
//! use burn::tensor::{Bool, Device, Tensor};
//!
//! let device = Device::flex();
//! let evidence = Evidence::new(
//!     Tensor::from_data([1.0, 0.0], &device),
//!     Groups::new(vec![2])?,
//!     Tensor::<2, Bool>::from_data([[true, true, true, true], [true, true, false, false]], &device),
//! )?
//! .with_dependency(Tensor::from_data([[0.1, 0.5, 0.0, 0.2], [0.3, 0.7, 9.0, f32::NAN]], &device))?;
//! let shapers: [Box<dyn CreditShaper>; 1] =
//!     [Box::new(TokenFilter { keep: Fraction::new(0.5)?, ..TokenFilter::default() })];
//! let credit = assign(&Grpo::default(), &shapers, &evidence)?;
//! assert_eq!(credit.gate.into_data().iter::<f32>().collect::<Vec<_>>(), [0., 1., 0., 1., 0., 1., 0., 0.]);
//! assert!(credit.advantage.slice([0..1, 0..1]).into_scalar::<f32>() > 0.7);
//! # Ok(())
//! # }
//! ```

mod evidence;

mod credit;
mod estimator;
mod groups;
mod shaper;

mod error;
mod number;

pub use credit::{Credit, assign};
pub use error::CreditError;
pub use estimator::{
    AdvantageEstimator, DrGrpo, Estimator, Grpo, PassAtK, ReinforcePlusPlus, ReinforcePlusPlusBaseline, Rloo,
};
pub use evidence::Evidence;
pub use groups::{Deviation, GroupOfOne, Groups};
pub use number::{AtLeastOne, Fraction, NonNegative, Positive};
pub use shaper::{
    Ceiling, CreditShaper, PerceptionGate, PerceptualReshaping, ReshapingRule, Schedule, Shaper, Signal,
    SoftTokenFilter, Threshold, TokenFilter, TrajectoryShaping,
};
