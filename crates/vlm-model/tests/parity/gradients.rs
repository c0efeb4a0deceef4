use std::collections::BTreeMap;

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use vlm_model::{PromptTokens, QwenVl, TokenBatch, TokenGroup};

use crate::fixtures::{Recorded, checkpoint, folder, host, relative_difference};

/// The recorded reinforcement-learning batch as two groups of four responses, and its responses without padding.
pub(crate) fn rl_groups(recorded: &Recorded, model: &QwenVl) -> (TokenBatch, Vec<Vec<u32>>) {
    let prompt_length = 97;
    let response = |row: usize| -> Vec<u32> {
        let ids = recorded.row("response_ids", row).iter();
        ids.zip(recorded.row("response_mask", row)).filter(|&(_, &seen)| seen > 0.0).map(|(&id, _)| id as u32).collect()
    };
    let responses: Vec<Vec<u32>> = (0..8).map(response).collect();
    let grids = recorded.grids("image_grid_thw");
    let (mut groups, mut images) = (Vec::new(), Vec::new());
    for row in [0, 4] {
        let ids = recorded.row("input_ids", row)[..prompt_length].iter();
        let mask = recorded.row("attention_mask", row).iter();
        let ids = ids.zip(mask).filter(|&(_, &seen)| seen > 0.0).map(|(&id, _)| id as u32).collect();
        let prompt = PromptTokens::new(ids, &grids[row..=row], &model.config).expect("valid prompt");
        groups.push(TokenGroup { prompt: Some(prompt), responses: responses[row..row + 4].to_vec() });
        images.push(vlm_model::image_input::ImagePatches {
            pixels: recorded.values(&format!("pixel_values_row{row}")).iter().map(|&x| x as f32).collect(),
            grid: grids[row],
        });
    }
    let features = model.image_features(&images.iter().collect::<Vec<_>>());
    (TokenBatch::new(groups, features).expect("a feature for every placeholder"), responses)
}

/// Gradients by Hub name.
struct ByName<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f64>>,
}

impl ModuleVisitor for ByName<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.found.insert(self.path.join("."), host(&gradient));
        }
    }
}

/// The recorded batch under a model, and the gradient of the mean negative log-likelihood of its responses.
pub(crate) struct Likelihood {
    pub(crate) loss: f64,
    /// Where response tokens are predicted, `[tokens, vocab]`.
    pub(crate) logits: Vec<f64>,
    /// Of the response tokens.
    pub(crate) log_probs: Vec<f64>,
    /// By Hub name.
    pub(crate) gradients: BTreeMap<String, Vec<f64>>,
}

impl Likelihood {
    /// Through the shared prompt, the language model, the merger and the vision tower of a model with autodiff.
    pub(crate) fn of(model: &QwenVl) -> Self {
        let (batch, responses) = rl_groups(&Recorded::open("rl_batch"), model);
        let places: Vec<i64> = batch.predicting_places().into_iter().flatten().flatten().map(|p| p as i64).collect();
        let sampled: Vec<i64> = responses.iter().flatten().map(|&id| i64::from(id)).collect();
        let count = places.len();
        let index = |values: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &model.device());
        let logits = model.logits(model.hidden(&batch, None).select(0, index(places)));
        let log_probs = log_softmax(logits.clone(), 1).gather(1, index(sampled).unsqueeze_dim(1));
        let loss = log_probs.clone().mean().neg();
        let value = loss.clone().into_scalar::<f32>().into();
        let gradients = GradientsParams::from_grads(loss.backward(), model);
        let mut visitor = ByName { gradients: &gradients, path: Vec::new(), found: BTreeMap::new() };
        model.visit(&mut visitor);
        Self { loss: value, logits: host(&logits), log_probs: host(&log_probs), gradients: visitor.found }
    }
}

#[test]
fn gradients_of_the_likelihood_agree() {
    let device = Device::default().autodiff();
    let model = vlm_model::load(&checkpoint("tiny-tied-f32-saved"), &device).expect("loads");
    let Likelihood { loss, gradients, .. } = Likelihood::of(&model);
    let meta = notes("grads_nll");
    let expected = meta["loss"].as_f64().expect("a number");
    assert!((loss - expected).abs() < 1e-5, "loss {loss}, recorded {expected}");

    let recorded = Recorded::open("grads_nll");
    for name in recorded.names() {
        let error = relative_difference(&gradients[name], recorded.values(name));
        eprintln!("gradient of {name}: relative difference {error:.2e}");
        assert!(error <= 1e-4, "gradient of {name} differs by {error:.2e} (relative)");
    }
    let norms = meta["grad_norm"].as_object().expect("norms by name");
    assert_eq!(norms.len(), gradients.len(), "every parameter has a gradient");
    for (name, norm) in norms {
        let ours = gradients[name].iter().map(|x| x * x).sum::<f64>().sqrt();
        let theirs = norm.as_f64().expect("a number");
        assert!((ours - theirs).abs() <= 1e-4 * theirs, "norm of the gradient of {name}: {ours}, recorded {theirs}");
    }
}

/// What was recorded beside tensors.
pub(crate) fn notes(name: &str) -> serde_json::Value {
    let text = std::fs::read(folder().join(format!("model/{name}.json"))).expect("fixture file");
    serde_json::from_slice(&text).expect("fixture format")
}
