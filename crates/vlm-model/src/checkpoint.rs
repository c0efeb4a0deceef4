//! Reading a checkpoint folder: safetensors in one file or in shards with an index, memory-mapped.
//!
//! On the CPU parameters stored in f32 are the mapped file itself until something writes to them; nothing is copied, and
//! several processes that read one checkpoint share its memory.
//!
//! Two namings are accepted: the Hub's (`visual.*`, `model.*`, `lm_head.*`) and the one newer transformers keeps in memory
//! (`model.visual.*`, `model.language_model.*`). Every tensor the model needs must be there with its shape, and nothing may
//! be left over: a renamed key is an error, never a random weight.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use burn::tensor::{AllocationProperty, Bytes as TensorBytes, DType, Device, TensorData};
use bytes::Bytes;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::config::ModelConfig;
use crate::limits::{MAX_WEIGHTS_HEADER_BYTES, read_json};
use crate::model::QwenVl;
use crate::weights::{Init, WeightSource};
use crate::{ModelError, WEIGHTS_FILE, WEIGHTS_INDEX_FILE};

/// An open checkpoint folder.
#[derive(Debug)]
pub struct Checkpoint {
    files: Vec<(PathBuf, Bytes)>,
    /// By Hub name.
    tensors: BTreeMap<String, StoredTensor>,
}

#[derive(Debug)]
struct StoredTensor {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Bytes within the file.
    start: usize,
    end: usize,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Builds the model of a checkpoint folder on `device`, in f32.
///
/// On the CPU its files must stay as they are while the model lives, since it may read its parameters there; to replace a
/// checkpoint, rename a new file into its place.
///
/// # Errors
/// Names the file or tensor that is missing, damaged, unexpected or of another shape.
pub fn load(folder: &Path, device: &Device) -> Result<QwenVl, ModelError> {
    let config = ModelConfig::from_folder(folder)?;
    let mut checkpoint = Checkpoint::open(folder)?;
    let model = QwenVl::build(&config, &mut checkpoint, device)?;
    checkpoint.finish(&config)?;
    Ok(model)
}

impl Checkpoint {
    /// Maps the weight files of a folder.
    ///
    /// # Errors
    /// If the folder holds no weights, a file is truncated, the index names a file outside the folder or disagrees with the
    /// files, or a tensor occurs twice.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let index_path = folder.join(WEIGHTS_INDEX_FILE);
        let single = folder.join(WEIGHTS_FILE);
        if index_path.exists() {
            let index: Index = read_json(&index_path)?;
            if let Some((tensor, name)) = index.weight_map.iter().find(|(_, name)| !is_plain_file_name(name)) {
                let (tensor, name) = (tensor.clone(), name.clone());
                return Err(ModelError::FileOutsideFolder { index: index_path, tensor, name });
            }
            let names: BTreeSet<&String> = index.weight_map.values().collect();
            let checkpoint = Self::map(names.iter().map(|name| folder.join(name)).collect())?;
            for (tensor, file) in &index.weight_map {
                let stored = checkpoint.tensors.get(&hub_name(tensor));
                if stored.is_none_or(|stored| !checkpoint.files[stored.file].0.ends_with(file)) {
                    return Err(ModelError::MissingTensor { name: tensor.clone(), place: file.clone() });
                }
            }
            return Ok(checkpoint);
        }
        if !single.exists() {
            return Err(ModelError::NoWeights { folder: folder.to_owned() });
        }
        Self::map(vec![single])
    }

    fn map(paths: Vec<PathBuf>) -> Result<Self, ModelError> {
        let mut checkpoint = Self { files: Vec::new(), tensors: BTreeMap::new() };
        for path in paths {
            let read = |source| ModelError::ReadFile { path: path.clone(), source };
            // A pipe would be waited for.
            if !std::fs::metadata(&path).map_err(read)?.is_file() {
                return Err(read(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file")));
            }
            let file = File::open(&path).map_err(read)?;
            let map = Bytes::from_owner(map_file(&file).map_err(read)?);
            let bytes = map.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
            if bytes > MAX_WEIGHTS_HEADER_BYTES {
                return Err(ModelError::HeaderTooLarge { path, bytes, limit: MAX_WEIGHTS_HEADER_BYTES });
            }
            let damaged = |source| ModelError::DamagedWeights { path: path.clone(), source };
            let (header, metadata) = SafeTensors::read_metadata(&map).map_err(damaged)?;
            let data = header + size_of::<u64>();
            let mut stored: Vec<_> = metadata.tensors().into_iter().collect();
            stored.sort_by(|(left, _), (right, _)| left.cmp(right));
            for (name, info) in stored {
                let (start, end) = info.data_offsets;
                let tensor = StoredTensor {
                    file: checkpoint.files.len(),
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    start: data + start,
                    end: data + end,
                };
                let name = hub_name(&name);
                if checkpoint.tensors.insert(name.clone(), tensor).is_some() {
                    return Err(ModelError::DuplicateTensor { name, path });
                }
            }
            checkpoint.files.push((path, map));
        }
        Ok(checkpoint)
    }

    /// Requires, from the files' headers alone, that every tensor of a model is there with its shape, as a number that can be read,
    /// and that nothing is left over.
    ///
    /// # Errors
    /// As [`load`], as far as it concerns names, shapes and types.
    pub fn verify(mut self, config: &ModelConfig) -> Result<(), ModelError> {
        for (name, shape) in config.tensors() {
            self.take_stored(&name, &shape)?;
        }
        self.finish(config)
    }

    /// Takes a tensor out of the list of those that are stored, with the type of its numbers.
    fn take_stored(&mut self, name: &str, shape: &[usize]) -> Result<(StoredTensor, DType), ModelError> {
        let place = || {
            self.files
                .first()
                .and_then(|(path, _)| path.parent())
                .map_or_else(String::new, |folder| folder.display().to_string())
        };
        let Some(stored) = self.tensors.remove(name) else {
            return Err(ModelError::MissingTensor { name: name.to_owned(), place: place() });
        };
        if stored.shape != shape {
            let (name, expected) = (name.to_owned(), shape.to_vec());
            return Err(ModelError::TensorShape { name, expected, found: stored.shape });
        }
        let dtype = match stored.dtype {
            Dtype::F32 => DType::F32,
            Dtype::BF16 => DType::BF16,
            Dtype::F16 => DType::F16,
            other => {
                return Err(ModelError::TensorType { name: name.to_owned(), found: format!("{other:?}") });
            }
        };
        Ok((stored, dtype))
    }

    /// Requires that every tensor has been handed out. A stray `lm_head.weight` beside tied embeddings is let pass, since
    /// transformers writes one in some versions.
    ///
    /// # Errors
    /// Names the first tensor nobody asked for.
    pub fn finish(mut self, config: &ModelConfig) -> Result<(), ModelError> {
        if config.tie_word_embeddings {
            self.tensors.remove("lm_head.weight");
        }
        match self.tensors.pop_first() {
            Some((name, stored)) => {
                let path = self.files[stored.file].0.clone();
                Err(ModelError::UnexpectedTensor { name, path, others: self.tensors.len() })
            }
            None => Ok(()),
        }
    }
}

impl WeightSource for Checkpoint {
    fn take(&mut self, name: &str, shape: &[usize], _init: Init) -> Result<TensorData, ModelError> {
        let (stored, dtype) = self.take_stored(name, shape)?;
        let mapped = self.files[stored.file].1.slice(stored.start..stored.end);
        // Headers are padded so that tensors are aligned; one that is not cannot be read where it lies.
        let aligned = mapped.as_ptr().addr().is_multiple_of(size_of::<f32>());
        let bytes = match aligned {
            true => TensorBytes::from_shared(mapped, AllocationProperty::File),
            false => TensorBytes::from_bytes_vec(mapped.to_vec()),
        };
        Ok(TensorData::from_bytes(bytes, stored.shape, dtype).convert_dtype(DType::F32))
    }
}

/// The Hub's name of a tensor in either naming.
fn hub_name(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("model.visual.") {
        return format!("visual.{rest}");
    }
    match name.strip_prefix("model.language_model.") {
        Some(rest) => format!("model.{rest}"),
        None => name.to_owned(),
    }
}

fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    // The name is the same on every system: separators and drives of another one are refused too.
    let is_one = matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
    is_one && !name.contains(['/', '\\', ':', '\0'])
}

#[expect(
    unsafe_code,
    reason = "a mapping is only sound while nobody truncates the file; checkpoints are written once, aside, and renamed"
)]
fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the file is opened for reading and checkpoint files are never modified after they have been renamed into place.
    unsafe { Mmap::map(file) }
}
