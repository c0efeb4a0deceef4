//! The recorded batch as the trainer's own values, and how results are compared with recordings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use advantage::Credit;
use burn::module::{Module as _, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use reward::{Truth, Verdict};
use rollout::{Completion, Finish};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use trainer::{Algorithm, Group, Lesson, Ragged, Scored, Task, TokenScores, UpdateConfig, Updater, Vocabulary};
use vlm_model::image_input::{ImagePatches, PatchGrid};
use vlm_model::{Precision, PromptTokens, QwenVl};

/// Tokens of a prompt with its left padding.
const PROMPT_WIDTH: usize = 97;
/// The rows at which the two groups of four begin.
pub(crate) const GROUPS: [usize; 2] = [0, 4];

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}

/// What was noted beside recorded tensors.
pub(crate) fn notes(name: &str) -> Value {
    let bytes = std::fs::read(folder().join("model").join(format!("{name}.json"))).expect("fixture file");
    serde_json::from_slice(&bytes).expect("fixture format")
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A file of recorded tensors.
pub(crate) struct Recorded(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Recorded {
    pub(crate) fn open(name: &str) -> Self {
        let bytes = std::fs::read(folder().join("model").join(format!("{name}.safetensors"))).expect("fixture file");
        let file = SafeTensors::deserialize(&bytes).expect("fixture format");
        let tensors = file.iter().map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => data.as_chunks().0.iter().map(|&raw| f64::from(f32::from_le_bytes(raw))).collect(),
                Dtype::I64 => data.as_chunks().0.iter().map(|&raw| i64::from_le_bytes(raw) as f64).collect(),
                Dtype::BOOL => data.iter().map(|&raw| f64::from(raw)).collect(),
                other => panic!("unexpected {other:?} in a fixture"),
            };
            (name.to_owned(), (view.shape().to_vec(), values))
        });
        Self(tensors.collect())
    }

    fn entry(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        self.0.get(name).unwrap_or_else(|| panic!("no recorded tensor `{name}`"))
    }

    pub(crate) fn values(&self, name: &str) -> &[f64] {
        &self.entry(name).1
    }

    /// One row of a tensor seen as `[rows, …]`.
    fn row(&self, name: &str, row: usize) -> &[f64] {
        let (shape, values) = self.entry(name);
        let width = values.len() / shape[0];
        &values[row * width..(row + 1) * width]
    }

    /// The recorded tensors under a prefix, without it.
    pub(crate) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [f64])> {
        self.0.iter().filter_map(move |(name, (_, values))| Some((name.strip_prefix(prefix)?, values.as_slice())))
    }
}

/// The recorded batch, and the policy it was computed with on a device with autodiff.
pub(crate) struct Batch {
    pub(crate) recorded: Recorded,
    pub(crate) policy: QwenVl,
    pub(crate) groups: Vec<Group>,
    pub(crate) rows: Ragged,
}

impl Batch {
    pub(crate) fn load() -> Self {
        let device = Device::default().autodiff();
        let checkpoint = folder().join("checkpoints/tiny-tied-f32-saved");
        let policy = vlm_model::load(&checkpoint, &device).expect("the fixture checkpoint loads");
        let recorded = Recorded::open("rl_batch");
        let groups: Vec<Group> = GROUPS.iter().map(|&first| group(&recorded, first, &policy)).collect();
        let lengths = groups.iter().flat_map(|group| group.completions.iter().map(|c| c.tokens.len())).collect();
        Self { recorded, policy, groups, rows: Ragged::new(lengths) }
    }

    /// The values of response tokens, packed, of a recorded `[8, 24]` tensor.
    pub(crate) fn packed(&self, values: &[f64]) -> Vec<f64> {
        let mask = self.recorded.values("response_mask");
        values.iter().zip(mask).filter(|&(_, &seen)| seen > 0.0).map(|(&value, _)| value).collect()
    }

    pub(crate) fn tensor(&self, values: &[f64]) -> Tensor<1> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &self.policy.device().inner())
    }

    /// The batch as the step hands it to the updater, with recorded log-probabilities of the policy that sampled.
    pub(crate) fn scored(&self, old: &str, dependency: Option<Tensor<1>>) -> Scored {
        let take = |name: &str| self.tensor(&self.packed(self.recorded.values(name)));
        Scored {
            groups: self.groups.clone(),
            rows: self.rows.clone(),
            clean: TokenScores { log_probs: take(old), entropy: take("entropy_t1.0") },
            as_sampled: false,
            contrasts: Vec::new(),
            dependency,
            reference: Some(take("ref_logprobs")),
        }
    }
}

/// Four responses to one prompt.
fn group(recorded: &Recorded, first: usize, policy: &QwenVl) -> Group {
    let seen = |name: &str, mask: &[f64], row: usize| -> Vec<u32> {
        recorded.row(name, row).iter().zip(mask).filter(|&(_, &seen)| seen > 0.0).map(|(&id, _)| id as u32).collect()
    };
    let grid = recorded.row("image_grid_thw", first);
    let grid = PatchGrid { t: grid[0] as usize, h: grid[1] as usize, w: grid[2] as usize };
    let ids = seen("input_ids", &recorded.row("attention_mask", first)[..PROMPT_WIDTH], first);
    let pixels = recorded.values(&format!("pixel_values_row{first}"));
    let patches = ImagePatches { pixels: pixels.iter().map(|&x| x as f32).collect(), grid };
    let completion = |row: usize| Completion {
        tokens: seen("response_ids", recorded.row("response_mask", row), row),
        log_probs: Vec::new(),
        finish: Finish::Length,
    };
    let verdict = |row: usize| Verdict { overall: recorded.values("rewards")[row] as f32, ..Verdict::default() };
    let rows = first..first + 4;
    Group {
        task: Task {
            prompt: PromptTokens::new(ids, &[grid], &policy.config).expect("the recorded prompt is valid"),
            images: Vec::new(),
            patches: vec![patches.clone()],
            truth: Truth { answer: String::new() },
            problem: String::new(),
            place: None,
            index: None,
        },
        features: policy.valid().image_features(&[&patches]),
        completions: rows.clone().map(completion).collect(),
        texts: vec![String::new(); 4],
        verdicts: rows.map(verdict).collect(),
        asked: 0,
        ungraded: 0,
    }
}

/// A lesson whose objective reads nothing of a reference policy's distributions.
pub(crate) const fn lesson<'a>(
    batch: &'a Scored,
    credit: &'a Credit,
    algorithm: &'a Algorithm,
    vocabulary: &'a Vocabulary,
) -> Lesson<'a> {
    Lesson { batch, credit, algorithm, vocabulary, reference: None, max_new_tokens: 24 }
}

/// An updater that cuts the batch into passes of the given size.
pub(crate) fn updater(config: UpdateConfig, tokens_per_micro_batch: usize) -> Updater {
    trainer::updater(&UpdateConfig { tokens_per_micro_batch, ..config }, Precision::Float32)
}

/// Parameters, or their gradients, by Hub name.
pub(crate) struct ByName<'a> {
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f64>>,
}

impl<'a> ByName<'a> {
    pub(crate) fn parameters(model: &QwenVl) -> BTreeMap<String, Vec<f64>> {
        Self::visit(model, None)
    }

    pub(crate) fn gradients(model: &QwenVl, gradients: &'a GradientsParams) -> BTreeMap<String, Vec<f64>> {
        Self::visit(model, Some(gradients))
    }

    fn visit(model: &QwenVl, gradients: Option<&'a GradientsParams>) -> BTreeMap<String, Vec<f64>> {
        let mut visitor = ByName { gradients, path: Vec::new(), found: BTreeMap::new() };
        model.visit(&mut visitor);
        visitor.found
    }
}

impl ModuleVisitor for ByName<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val()),
        };
        if let Some(value) = value {
            self.found.insert(self.path.join("."), host(&value));
        }
    }
}

pub(crate) fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().convert_dtype(DType::F64).try_to_vec().expect("f64 after conversion")
}

pub(crate) fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Norm of the difference over the norm of the reference.
pub(crate) fn relative_difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "compared tensors have the same size");
    let difference: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(theirs)
}

/// Fails unless the largest absolute difference is within the tolerance, and says how large it is.
#[track_caller]
pub(crate) fn assert_close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}: compared values are as many");
    let difference = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    eprintln!("{what}: largest difference {difference:.2e} (allowed {tolerance:.0e})");
    assert!(difference <= tolerance, "{what} differs by {difference:.3e}, allowed {tolerance:.0e}");
    assert!(ours.iter().all(|value| value.is_finite()), "{what} is finite");
}

/// Compares each recorded gradient by relative L2 norm.
#[track_caller]
pub(crate) fn assert_gradients<'a>(
    what: &str,
    ours: &BTreeMap<String, Vec<f64>>,
    theirs: impl Iterator<Item = (&'a str, &'a [f64])>,
) {
    let (mut worst, mut count) = (0.0_f64, 0);
    for (name, expected) in theirs {
        let error = relative_difference(&ours[name], expected);
        assert!(error <= 1e-4, "{what}: gradient of {name} differs by {error:.2e} (relative)");
        (worst, count) = (worst.max(error), count + 1);
    }
    assert!(count > 0, "{what}: there are recorded gradients");
    eprintln!("{what}: largest relative difference of {count} gradients {worst:.2e} (allowed 1e-4)");
}
