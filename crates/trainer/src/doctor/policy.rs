//! A small Qwen2.5-VL: forward, backward, decoding, and a change of its weights.

use std::collections::BTreeMap;

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use dataset::{At, ImageSource, Place, Problem};
use image::{ImageFormat, Rgb, RgbImage};
use rollout::{Completion, Finish};
use vlm_model::Precision::{BFloat16, Float32};
use vlm_model::processor::Processor;
use vlm_model::{Precision, QwenVl};

use super::check::{Check, Extent, Output};
use super::compare::Tolerance;
use super::inputs::{indices, uniform};
use crate::collect::Group;
use crate::config::{DataConfig, UpdateConfig};
use crate::demo::untrained;
use crate::gradients::Gradients;
use crate::loss::LossOutput;
use crate::micro_batch::Piece;
use crate::prepare::prepare;
use crate::step::{trainable, updater};
use crate::update::Pass;
use crate::vocabulary::Vocabulary;
use crate::{TrainError, score};

/// Lengths of the responses to the one prompt.
const RESPONSES: [usize; 3] = [9, 1, 14];

const PREDICTIONS: Tolerance = Tolerance {
    absolute: 1e-4,
    relative: 1e-4,
    of_largest: 0.0,
    reason: "the model's parity tests allow 1e-4 against transformers; a software GPU used 4e-5 of it",
};
const GRADIENTS: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 0.0,
    of_largest: 2e-4,
    reason: "sums of many small products, as a share of the largest of the part",
};
const WEIGHTS: Tolerance = Tolerance {
    absolute: 1e-6,
    relative: 1e-6,
    of_largest: 0.0,
    reason: "element by element; a thousandth of the learning rate of 1e-3",
};

const ROUNDED: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 0.0,
    of_largest: 0.1,
    reason: "dozens of roundings to eight bits, and the largest of a hundred thousand errors",
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new("model, forward", Extent::Quick, PREDICTIONS, Box::new(|device| forward(device, Float32))),
        Check::new("model, backward", Extent::Quick, GRADIENTS, Box::new(|device| backward(device, Float32))),
        Check::new("model, forward in bf16", Extent::Quick, ROUNDED, Box::new(|device| rounded(device, forward))),
        Check::new("model, backward in bf16", Extent::Quick, ROUNDED, Box::new(|device| rounded(device, backward))),
        Check::new("optimizer", Extent::Quick, WEIGHTS, Box::new(optimize)),
    ]
}

/// The untrained model of the demonstration on a device, with a prompt that has an image, and responses to it.
fn model(device: &Device) -> Result<(QwenVl, Vec<Group>), TrainError> {
    let folder = tempfile::tempdir().map_err(TrainError::file("create a folder in", std::env::temp_dir()))?;
    let model = untrained(folder.path(), 17, device)?;
    let processor = Processor::from_folder(folder.path())?;
    // A picture whose lines tell up from down and left from right.
    let picture =
        RgbImage::from_fn(140, 84, |x, y| Rgb([(x * 255 / 139) as u8, (y * 255 / 83) as u8, (x * y % 251) as u8]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(vlm_model::ModelError::from)?;
    let problem = Problem {
        problem: "<image>How many red circles are there?".to_owned(),
        system: None,
        images: vec![ImageSource::Bytes(bytes.into_inner())],
        answer: "2".to_owned(),
        teacher: None,
        category: None,
        place: Place { file: "doctor".into(), at: At::Row(0) },
    };
    let task = prepare(&problem, &processor, &model.config, &DataConfig::default())?;
    let completions = RESPONSES.iter().enumerate().map(|(index, &length)| Completion {
        // Below the tokens with a meaning of their own.
        tokens: indices(50 + index as u64, length, 300),
        log_probs: Vec::new(),
        finish: Finish::Length,
    });
    let completions: Vec<Completion> = completions.collect();
    let group =
        Group { task, features: None, completions, texts: Vec::new(), verdicts: Vec::new(), asked: 0, ungraded: 0 };
    Ok((model, vec![group]))
}

fn whole() -> Vec<Piece> {
    vec![Piece { group: 0, responses: 0..RESPONSES.len() }]
}

/// What layers compute in half precision on a device that has it, held against what they compute there in single precision.
fn rounded(
    device: &Device,
    compute: fn(&Device, Precision) -> Result<Vec<Output>, TrainError>,
) -> Result<Vec<Output>, TrainError> {
    if !device.supports_dtype(DType::BF16) {
        return Ok(Vec::new());
    }
    let rounded = |(half, whole): (Output, Output)| Output {
        name: format!("{} in bf16", half.name),
        values: half.values,
        known: Some(whole.values),
    };
    Ok(compute(device, BFloat16)?.into_iter().zip(compute(device, Float32)?).map(rounded).collect())
}

fn forward(device: &Device, precision: Precision) -> Result<Vec<Output>, TrainError> {
    let (model, groups) = model(device)?;
    let model = model.in_precision(precision);
    let batch = score::pass(&groups, &whole(), Some(&model))?;
    let features = batch.image_features.clone();
    let sampled = score::sampled_tokens(&batch, &model);
    let states = score::predicting_states(&model, &batch);
    let logits = model.logits(states.clone());
    // Chunks that do not divide the tokens.
    let scores = Vocabulary::plain(7).score(&model, &states, &sampled);
    let mut outputs: Vec<Output> = features.map(|features| Output::new("image tokens", features)).into_iter().collect();
    outputs.push(Output::new("logits", logits));
    outputs.push(Output::new("log-probabilities", scores.log_probs));
    outputs.push(Output::new("entropies", scores.entropy));
    Ok(outputs)
}

fn backward(device: &Device, precision: Precision) -> Result<Vec<Output>, TrainError> {
    let (model, groups) = model(&device.clone().autodiff())?;
    let policy = trainable(model, &UpdateConfig::default()).in_precision(precision);
    let pieces = whole();
    let vocabulary = Vocabulary::plain(7);
    let pass = Pass {
        policy: &policy,
        vocabulary: &vocabulary,
        groups: &groups,
        pieces: &pieces,
        trains_vision: true,
        entropy: true,
        reference: None,
        recompute: false,
    };
    let mut gradients = Gradients::default();
    pass.backward(&mut gradients, |current, rows| {
        let weights = uniform(60, rows.tokens(), -1.0, 1.0);
        let weights = TensorData::new(weights, [rows.tokens()]);
        let weights = Tensor::<1>::from_data(weights, &current.log_probs.device());
        let entropy = current.entropy.unwrap_or_else(|| current.log_probs.zeros_like());
        let total = (current.log_probs * weights).sum() - entropy.sum() * 0.1;
        Ok(LossOutput { parts: total.clone().detach(), total })
    })?;
    // Nothing is clipped: the norm is an output of its own.
    let found = gradients.clip(&policy, f64::MAX);
    let mut outputs = vec![Output { name: "gradient norm".to_owned(), values: vec![found.norm as f32], known: None }];
    outputs.extend(Parts::of(&policy, Some(&found.gradient), "gradient of the"));
    Ok(outputs)
}

/// Two steps of AdamW on gradients that are no smaller than rounding: what a gradient near 0 does to a weight is
/// anybody's guess.
fn optimize(device: &Device) -> Result<Vec<Output>, TrainError> {
    let (model, _) = model(&device.clone().autodiff())?;
    let config = UpdateConfig::default();
    let mut policy = trainable(model, &config);
    let mut optimizer = updater(&config, Float32).optimizer;
    for step in 0..2 {
        let mut made = MadeGradient { seed: 1000 * (1 + step), gradient: GradientsParams::new() };
        policy.visit(&mut made);
        policy = optimizer.step(1e-3, policy, made.gradient);
    }
    Ok(Parts::of(&policy.valid(), None, "optimized"))
}

/// A gradient made up for every parameter, each element between 0.1 and 1.1 in magnitude.
struct MadeGradient {
    seed: u64,
    gradient: GradientsParams,
}

impl ModuleVisitor for MadeGradient {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.seed += 1;
        let weight = param.val();
        let shape = weight.dims();
        let values = uniform(self.seed, shape.iter().product(), -1.0, 1.0);
        let values: Vec<f32> = values.into_iter().map(|value| value + value.signum() * 0.1).collect();
        let gradient = Tensor::<D>::from_data(TensorData::new(values, shape), &weight.device().inner());
        self.gradient.register(param.id, gradient);
    }
}

/// A model's weights, or a gradient of them, part by part.
struct Parts<'a> {
    gradient: Option<&'a GradientsParams>,
    path: Vec<String>,
    values: BTreeMap<&'static str, Vec<f32>>,
}

impl<'a> Parts<'a> {
    fn of(model: &QwenVl, gradient: Option<&'a GradientsParams>, what: &str) -> Vec<Output> {
        let mut parts = Self { gradient, path: Vec::new(), values: BTreeMap::new() };
        model.visit(&mut parts);
        let output = |(part, values)| Output { name: format!("{what} {part}"), values, known: None };
        parts.values.into_iter().map(output).collect()
    }

    /// The part that the parameter at hand belongs to.
    fn part(&self) -> &'static str {
        let is_in = |name: &str| self.path.iter().any(|module| module == name);
        match (is_in("visual"), is_in("attn") || is_in("self_attn"), is_in("mlp")) {
            (true, ..) if is_in("patch_embed") => "patch embedding",
            (true, ..) if is_in("merger") => "merger",
            (true, true, _) => "vision attention",
            (true, _, true) => "vision feed-forward",
            (true, ..) => "vision norms",
            (false, true, _) => "attention",
            (false, _, true) => "feed-forward",
            (false, ..) if is_in("embed_tokens") => "token embedding",
            (false, ..) => "norms",
        }
    }
}

impl ModuleVisitor for Parts<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = match self.gradient {
            Some(gradient) => gradient.get::<D>(param.id),
            None => Some(param.val()),
        };
        // A parameter without a gradient lacks its values, and the list is too short.
        let values = values.map(|values| values.into_data().iter::<f32>().collect::<Vec<f32>>());
        self.values.entry(self.part()).or_default().extend(values.unwrap_or_default());
    }
}
