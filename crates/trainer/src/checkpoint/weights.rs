//! Whether a policy is worth a checkpoint.

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::Tensor;
use vlm_model::QwenVl;

/// Whether every weight is a finite number. A policy with one that is not predicts nothing, and no step makes it better.
///
/// One that is not makes the sum of its tensor so, which takes no memory; so do weights that add up to more than f32 holds, and
/// they are worth as little.
pub(super) fn are_finite(policy: &QwenVl) -> bool {
    struct Sums(Vec<Tensor<1>>);
    impl ModuleVisitor for Sums {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().detach().sum());
        }
    }
    let mut sums = Sums(Vec::new());
    policy.visit(&mut sums);
    sums.0.is_empty() || Tensor::cat(sums.0, 0).into_data().iter::<f64>().all(f64::is_finite)
}
