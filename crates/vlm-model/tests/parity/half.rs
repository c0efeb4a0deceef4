//! Layers in half precision, as far from single precision as those of transformers are and no farther.
//!
//! Recorded is by how much its bf16 arithmetic misses its f32 arithmetic with the same weights on the same batch (`half.py`),
//! with eager attention and with sdpa. The errors of these two differ by up to 12 % for all tokens or parameters together, and
//! by up to 36 % for single parameters; so may ours from the larger of them.

use burn::module::Module as _;
use burn::tensor::{DType, Device, FloatDType};
use serde_json::Value;
use vlm_model::image_input::{ImagePatches, PatchGrid};
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
    let theirs = notes("half");
    // The larger of what both of its attentions miss.
    let recorded = |of: &dyn Fn(&Value) -> &Value| {
        ["eager", "sdpa"]
            .map(|attention| of(&theirs[attention]).as_f64().expect("a number"))
            .into_iter()
            .fold(0.0, f64::max)
    };

    let logits = relative_difference(&half.logits, &whole.logits);
    let gaps: Vec<f64> = half.log_probs.iter().zip(&whole.log_probs).map(|(a, b)| (a - b).abs()).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let joined = |of: &Likelihood| of.gradients.values().flatten().copied().collect::<Vec<f64>>();
    let gradient = relative_difference(&joined(&half), &joined(&whole));
    for (name, ours) in [("logits", logits), ("log_probs_mean", mean), ("gradient", gradient)] {
        let theirs = recorded(&|of| &of[name]);
        eprintln!("{name}: {ours:.2e}, in transformers {theirs:.2e}");
        assert!(ours <= 1.15 * theirs, "{name}: {ours:e}, in transformers {theirs:e}");
        assert!(ours >= 0.1 * theirs, "{name}: nothing was rounded");
    }
    // Errors of tokens that have nothing to do with each other.
    let of_loss = 3.0 * mean / (gaps.len() as f64).sqrt();
    assert!((half.loss - whole.loss).abs() <= of_loss, "{} and {}: more than {of_loss:e}", half.loss, whole.loss);
    assert_eq!(theirs["eager"]["gradients"].as_object().expect("by name").len(), half.gradients.len());
    for (name, gradient) in &half.gradients {
        let ours = relative_difference(gradient, &whole.gradients[name]);
        let theirs = recorded(&|of| &of["gradients"][name]);
        assert!(ours <= 1.4 * theirs, "gradient of {name}: {ours:e}, in transformers {theirs:e}");
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
    assert_eq!(half.visual.patch_embed.proj.weight.val().dtype(), DType::BF16, "matrices of any rank");
    let scales = |model: &QwenVl| model.model.norm.weight.val().into_data();
    scales(&half).assert_eq(&scales(&whole), true);
    let plain = whole.valid().in_precision(Precision::BFloat16);
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
    // A place's own error is that of the law above; those of two thousand places cancel rather than add up.
    assert!(difference < 3e-2, "{difference:e}");
}

/// Features of images are the same numbers whether a gradient is wanted or not: sampling, scoring and the update see one tower.
#[test]
fn a_rounded_tower_is_one_function() {
    let half = trained().in_precision(Precision::BFloat16);
    let image = ImagePatches {
        pixels: (0..32 * 32 * 1176).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect(),
        grid: PatchGrid { t: 1, h: 32, w: 32 },
    };
    let features = |model: &QwenVl| host(&model.image_features(&[&image]).expect("an image"));
    let difference = relative_difference(&features(&half), &features(&half.valid()));
    // The same operations on the same numbers; a rounding elsewhere would show as 1e-3 or more.
    assert!(difference <= 1e-6, "{difference:e}");
}
