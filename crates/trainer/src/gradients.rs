//! A step's gradient: summed over micro-batches, measured, clipped by its global norm.

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{FloatDType, Tensor};
use vlm_model::QwenVl;

/// A growing sum of gradients.
#[derive(Default)]
pub struct Gradients {
    sum: GradientsAccumulator<QwenVl>,
}

/// A finished gradient.
pub struct ClippedGradient {
    /// The gradient, scaled so that its norm is at most the limit.
    pub gradient: GradientsParams,
    /// Global L2 norm before clipping; not finite if any element is not.
    pub norm: f64,
}

impl Gradients {
    /// Adds one micro-batch's share.
    pub fn add(&mut self, model: &QwenVl, share: GradientsParams) {
        self.sum.accumulate(model, share);
    }

    /// Scales the sum so that the norm over all parameters together is at most `max_norm`.
    ///
    /// burn's own clipping by norm treats every parameter alone; the papers (and `torch.nn.utils.clip_grad_norm_`, whose
    /// 1e-6 in the denominator is kept) clip the norm of the whole gradient.
    #[must_use]
    pub fn clip(mut self, model: &QwenVl, max_norm: f64) -> ClippedGradient {
        let gradient = self.sum.grads();
        let norm = global_norm(model, &gradient);
        let scale = max_norm / (norm + 1e-6);
        if !norm.is_finite() || scale >= 1.0 {
            return ClippedGradient { gradient, norm };
        }
        let mut scaling = Scale { from: gradient, to: GradientsParams::new(), scale };
        model.visit(&mut scaling);
        ClippedGradient { gradient: scaling.to, norm }
    }
}

/// L2 norm over all parameters.
fn global_norm(model: &QwenVl, gradient: &GradientsParams) -> f64 {
    struct SquaredNorm<'a> {
        gradient: &'a GradientsParams,
        parts: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for SquaredNorm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradient.get::<D>(param.id) {
                self.parts.push(gradient.cast(FloatDType::F32).square().sum());
            }
        }
    }
    let mut visitor = SquaredNorm { gradient, parts: Vec::new() };
    model.visit(&mut visitor);
    if visitor.parts.is_empty() {
        return 0.0;
    }
    let squares = Tensor::cat(visitor.parts, 0).into_data();
    squares.iter::<f64>().sum::<f64>().sqrt()
}

struct Scale {
    from: GradientsParams,
    to: GradientsParams,
    scale: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, gradient * self.scale);
        }
    }
}
