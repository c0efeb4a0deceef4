//! A step's gradient: summed over micro-batches, measured, clipped by its global norm.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use kernels::at_least_f32;
use vlm_model::{GradientSink, QwenVl};

/// A growing sum of gradients, in f32 whatever they come in.
#[derive(Default)]
pub struct Gradients {
    sum: GradientsParams,
}

/// A finished gradient.
pub struct ClippedGradient {
    /// The gradient, scaled so that its norm is at most the limit.
    pub gradient: GradientsParams,
    /// Global L2 norm before clipping; not finite if any element is not.
    pub norm: f64,
}

impl GradientSink for Gradients {
    fn add<M: Module>(&mut self, module: &M, share: GradientsParams) {
        Self::add(self, module, share);
    }
}

impl Gradients {
    /// Adds a share of the gradient of a model's parameters, or of a part's, in the place of the sum.
    pub fn add<M: Module>(&mut self, module: &M, share: GradientsParams) {
        module.visit(&mut Accumulate { sum: &mut self.sum, share });
    }

    /// Scales the sum so that the norm over all parameters together is at most `max_norm`.
    ///
    /// burn's own clipping by norm treats every parameter alone; the papers (and `torch.nn.utils.clip_grad_norm_`, whose
    /// 1e-6 in the denominator is kept) clip the norm of the whole gradient.
    #[must_use]
    pub fn clip(mut self, model: &QwenVl, max_norm: f64) -> ClippedGradient {
        let norm = global_norm(model, &self.sum);
        let scale = max_norm / (norm + 1e-6);
        if norm.is_finite() && scale < 1.0 {
            model.visit(&mut Scale { gradient: &mut self.sum, scale });
        }
        ClippedGradient { gradient: self.sum, norm }
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
                self.parts.push(kernels::square_sums(gradient));
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

struct Accumulate<'a> {
    sum: &'a mut GradientsParams,
    share: GradientsParams,
}

impl ModuleVisitor for Accumulate<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(share) = self.share.remove::<D>(param.id) {
            let sum = match self.sum.remove::<D>(param.id) {
                Some(sum) => kernels::accumulate(sum, share),
                None => at_least_f32(share),
            };
            self.sum.register(param.id, sum);
        }
    }
}

struct Scale<'a> {
    gradient: &'a mut GradientsParams,
    scale: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradient.remove::<D>(param.id) {
            self.gradient.register(param.id, kernels::scale(gradient, self.scale));
        }
    }
}
