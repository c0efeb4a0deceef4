//! Whether a policy is worth a checkpoint.

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::Tensor;
use vlm_model::QwenVl;

/// Whether every weight is a finite number. A policy with one that is not predicts nothing, and no step makes it better.
pub(super) fn are_finite(policy: &QwenVl) -> bool {
    struct Finite {
        parts: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Finite {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.parts.push(param.val().is_finite().bool_not().float().sum());
        }
    }
    let mut finite = Finite { parts: Vec::new() };
    policy.visit(&mut finite);
    finite.parts.is_empty() || Tensor::cat(finite.parts, 0).into_data().iter::<f64>().all(|wrong| wrong == 0.0)
}
