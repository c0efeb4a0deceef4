//! Layers in half precision, as far from single precision as those of transformers are and no farther.
//!
//! Recorded is by how much its bf16 arithmetic (eager attention) misses its f32 arithmetic with the same weights on the same
//! batch (`half.py`). The errors are sums of hundreds of roundings, in another order here: hence 15 %.

use burn::tensor::{DType, Device, FloatDType};
use vlm_model::{Precision, PromptTokens, QwenVl, TokenBatch, TokenGroup};

use crate::fixtures::{checkpoint, host, relative_difference};
use crate::gradients::{Likelihood, notes};

fn trained() -> QwenVl {
    vlm_model::load(&checkpoint("tiny-tied-f32-saved"), &Device::default().autodiff()).expect("loads")
}

/// Vision tower, shared prompts, responses and vocabulary; forward and backward.
#[test]
fn rounding_costs_no_more_than_in_transformers() {
    let whole = trained();
    if !whole.device().supports_dtype(FloatDType::BF16) {
        return;
    }
    let half = whole.in_precision(Precision::BFloat16);
    let (whole, half) = (Likelihood::of(&whole), Likelihood::of(&half));
    let theirs = &notes("half")["eager"];
    let number = |name: &str| theirs[name].as_f64().expect("a number");

    let logits = relative_difference(&half.logits, &whole.logits);
    let gaps: Vec<f64> = half.log_probs.iter().zip(&whole.log_probs).map(|(a, b)| (a - b).abs()).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let joined = |of: &Likelihood| of.gradients.values().flatten().copied().collect::<Vec<f64>>();
    let gradient = relative_difference(&joined(&half), &joined(&whole));
    for (name, ours) in [("logits", logits), ("log_probs_mean", mean), ("gradient", gradient)] {
        let theirs = number(name);
        eprintln!("{name}: {ours:.2e}, in transformers {theirs:.2e}");
        assert!(ours <= 1.15 * theirs, "{name}: {ours:e}, in transformers {theirs:e}");
        assert!(ours >= 0.1 * theirs, "{name}: nothing was rounded");
    }
    assert!((half.loss - whole.loss).abs() <= mean, "the errors of tokens cancel: {} and {}", half.loss, whole.loss);
    let of_parameters = theirs["gradients"].as_object().expect("by name");
    assert_eq!(of_parameters.len(), half.gradients.len(), "every parameter has a gradient");
    let worst = of_parameters.values().filter_map(serde_json::Value::as_f64).fold(0.0, f64::max);
    for (name, gradient) in &half.gradients {
        let ours = relative_difference(gradient, &whole.gradients[name]);
        assert!(ours <= 1.15 * worst, "gradient of {name}: {ours:e}, in transformers {worst:e} at most");
    }
}

/// A rounded model is the same model: its parameters' identities, what of it is trained, and its vectors' bits.
#[test]
fn a_rounded_model_has_the_same_parameters() {
    let whole = trained();
    let half = whole.in_precision(Precision::BFloat16);
    let (weight, rounded) = (&whole.model.embed_tokens.weight, &half.model.embed_tokens.weight);
    assert_eq!(weight.id, rounded.id);
    assert_eq!((weight.val().dtype(), rounded.val().dtype()), (DType::F32, DType::BF16));
    assert!(rounded.val().is_require_grad() && rounded.val().is_autodiff());
    assert!(!half.visual.patch_embed.proj.weight.val().dtype().eq(&DType::F32), "matrices of any rank");
    let scales = |model: &QwenVl| model.model.norm.weight.val().into_data();
    scales(&half).assert_eq(&scales(&whole), true);
    let plain = burn::module::Module::valid(&whole).in_precision(Precision::BFloat16);
    assert!(!plain.model.embed_tokens.weight.val().is_autodiff());
}

/// The gradients of a token's many places add up, though each is small beside their sum.
#[test]
fn a_token_that_is_everywhere_learns_from_everywhere() {
    let whole = trained();
    if !whole.device().supports_dtype(FloatDType::BF16) {
        return;
    }
    let gradient = |model: &QwenVl| -> Vec<f64> {
        let prompt = PromptTokens::new(vec![7; 2000], &[], &model.config).expect("a valid prompt");
        let group = TokenGroup { prompt: Some(prompt), responses: Vec::new() };
        let hidden = model.hidden(&TokenBatch::new(vec![group], None).expect("no images"), None);
        let gradients = hidden.cast(DType::F32).sum().backward();
        let table = model.model.embed_tokens.weight.val().grad(&gradients).expect("a gradient");
        host(&table.narrow(0, 7, 1))
    };
    let difference = relative_difference(&gradient(&whole.in_precision(Precision::BFloat16)), &gradient(&whole));
    eprintln!("a token's gradient: {difference:.2e}");
    assert!(difference < 3e-2, "{difference:e}");
}
