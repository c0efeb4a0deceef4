use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::{DType, FloatDType, Tensor};
use vlm_model::{QwenVl, TokenBatch, TokenGroup};

use crate::fixtures::{Recorded, images, model, prompt, prompts};

/// Rounds every parameter to bf16.
struct ToHalf;

impl ModuleMapper for ToHalf {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(FloatDType::BF16))
    }
}

/// Logits of a prompt with an image and a response to it.
fn logits(model: &QwenVl) -> Vec<f64> {
    let recorded = Recorded::open("forward_tied");
    let (ids, names) = prompts(&recorded, "one_image").remove(0);
    let (prompt, images) = prompt(ids, &names, &images(), &model.config);
    let features = model.image_features(&images.iter().collect::<Vec<_>>());
    let group = TokenGroup { prompt: Some(prompt), responses: vec![vec![5, 6, 7], vec![8]] };
    let batch = TokenBatch::new(vec![group], features).expect("a feature for every placeholder");
    let logits = model.logits(model.hidden(&batch, None));
    assert_eq!(logits.dtype(), DType::F32, "logits are reduced in f32");
    logits.into_data().iter::<f64>().collect()
}

/// Parameters and activations in bf16, sums in f32: vision tower, shared prompt, responses and vocabulary. A number of this kind
/// has eight bits, and the errors of some thirty roundings on the way add up as random ones do.
#[test]
fn half_precision_is_close() {
    let whole = model("tiny-tied-f32-saved");
    let half = whole.clone().map(&mut ToHalf);
    let (expected, found) = (logits(&whole), logits(&half));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut expected.iter().zip(&found).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied());
    eprintln!("half precision: relative difference of logits {difference:.2e}");
    assert!(difference < 3e-2, "{difference:e}");
    assert!(difference > 1e-4, "nothing was rounded: {difference:e}");
}
