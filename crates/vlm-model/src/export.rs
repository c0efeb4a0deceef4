//! Writing a checkpoint folder in the Hub's layout, which transformers loads unchanged.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, View};
use serde_json::json;

use crate::model::QwenVl;
use crate::precision::Precision;
use crate::{ModelError, WEIGHTS_FILE, WEIGHTS_INDEX_FILE};

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// Number format on disk.
    pub precision: Precision,
    /// Weights beyond this many bytes go to a further shard.
    pub shard_bytes: usize,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { precision: Precision::Float32, shard_bytes: 4 << 30 }
    }
}

/// Writes weights, index, `config.json` and `generation_config.json` into an existing folder.
///
/// The generation settings come from `source`, the folder the model was loaded from, so that a trained checkpoint stops
/// where the original did; without one they name the end-of-turn and end-of-text tokens.
///
/// # Errors
/// If a file cannot be written.
pub fn export(model: &QwenVl, source: Option<&Path>, folder: &Path, options: ExportOptions) -> Result<(), ModelError> {
    let shards = plan(model, options);
    let mut weight_map = BTreeMap::new();
    let mut total_size = 0;
    for (index, names) in shards.iter().enumerate() {
        let file = match shards.len() {
            1 => WEIGHTS_FILE.to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        let tensors = collect(model, names, options.precision);
        total_size += tensors.iter().map(|(_, tensor)| tensor.data.bytes().len()).sum::<usize>();
        weight_map.extend(tensors.iter().map(|(name, _)| (name.clone(), file.clone())));
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let path = folder.join(&file);
        safetensors::serialize_to_file(tensors, Some(metadata), &path)
            .map_err(|source| ModelError::WriteWeights { path, source })?;
    }
    if shards.len() > 1 {
        let index = json!({ "metadata": { "total_size": total_size }, "weight_map": weight_map });
        write_json(&folder.join(WEIGHTS_INDEX_FILE), &index)?;
    }
    write_json(&folder.join("config.json"), &model.config.hub_json(options.precision.name()))?;
    write_generation_config(model, source, folder)
}

fn write_generation_config(model: &QwenVl, source: Option<&Path>, folder: &Path) -> Result<(), ModelError> {
    let target = folder.join("generation_config.json");
    if let Some(original) = source.map(|source| source.join("generation_config.json")).filter(|path| path.exists()) {
        std::fs::copy(&original, &target).map_err(|source| ModelError::CopyFile {
            from: original,
            to: target,
            source,
        })?;
        return Ok(());
    }
    let tokens = &model.config.tokens;
    let settings = json!({
        "bos_token_id": tokens.bos,
        "eos_token_id": [tokens.eos, tokens.bos],
        "pad_token_id": tokens.bos,
    });
    write_json(&target, &settings)
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), ModelError> {
    let text = format!("{value:#}\n");
    std::fs::write(path, text).map_err(|source| ModelError::WriteFile { path: path.to_owned(), source })
}

/// Splits the parameters, in module order, into shards of at most the given size (or of one tensor).
fn plan(model: &QwenVl, options: ExportOptions) -> Vec<Vec<String>> {
    let width = options.precision.burn().size();
    let mut shards = vec![Vec::new()];
    let mut filled = 0;
    visit(model, |name, elements, _| {
        let bytes = elements * width;
        if filled > 0 && filled + bytes > options.shard_bytes {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        shards.last_mut().expect("there is always a shard").push(name.to_owned());
    });
    shards
}

fn collect(model: &QwenVl, names: &[String], precision: Precision) -> Vec<(String, Stored)> {
    let mut tensors = Vec::with_capacity(names.len());
    visit(model, |name, _, data| {
        if names.iter().any(|wanted| wanted == name) {
            let data = data().convert_dtype(precision.burn());
            let shape = data.shape().to_vec();
            tensors.push((name.to_owned(), Stored { data, shape, dtype: precision.on_disk() }));
        }
    });
    tensors
}

/// Shows every parameter's Hub name, number of elements and, on demand, values.
pub(crate) fn visit(model: &QwenVl, show: impl FnMut(&str, usize, &dyn Fn() -> TensorData)) {
    struct Walk<F> {
        path: Vec<String>,
        show: F,
    }
    impl<F: FnMut(&str, usize, &dyn Fn() -> TensorData)> ModuleVisitor for Walk<F> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let elements = tensor.dims().iter().product();
            (self.show)(&self.path.join("."), elements, &|| tensor.to_data());
        }
    }
    model.visit(&mut Walk { path: Vec::new(), show });
}

/// A tensor on its way to disk.
struct Stored {
    data: TensorData,
    shape: Vec<usize>,
    dtype: Dtype,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.data.as_bytes())
    }
    fn data_len(&self) -> usize {
        self.data.as_bytes().len()
    }
}
