//! Recorded tensors and the prompts they belong to.

use std::collections::HashMap;
use std::path::PathBuf;

use burn::tensor::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use vlm_model::image_input::{ImagePatches, PatchGrid};
use vlm_model::{ModelConfig, PromptTokens, QwenVl};

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}

pub(crate) fn checkpoint(name: &str) -> PathBuf {
    folder().join("checkpoints").join(name)
}

pub(crate) fn model(name: &str) -> QwenVl {
    vlm_model::load(&checkpoint(name), &Device::default()).expect("the fixture checkpoint loads")
}

/// A file of recorded tensors.
pub(crate) struct Recorded(HashMap<String, (Vec<usize>, Vec<f64>)>);

impl Recorded {
    pub(crate) fn open(name: &str) -> Self {
        let bytes = std::fs::read(folder().join("model").join(format!("{name}.safetensors"))).expect("fixture file");
        let file = SafeTensors::deserialize(&bytes).expect("fixture format");
        let tensors = file.iter().map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => data.as_chunks().0.iter().map(|&raw| f64::from(f32::from_le_bytes(raw))).collect(),
                Dtype::I64 => data.as_chunks().0.iter().map(|&raw| i64::from_le_bytes(raw) as f64).collect(),
                Dtype::I32 => data.as_chunks().0.iter().map(|&raw| f64::from(i32::from_le_bytes(raw))).collect(),
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

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn shape(&self, name: &str) -> &[usize] {
        &self.entry(name).0
    }

    pub(crate) fn values(&self, name: &str) -> &[f64] {
        &self.entry(name).1
    }

    pub(crate) fn indices(&self, name: &str) -> Vec<usize> {
        self.values(name).iter().map(|&value| value as usize).collect()
    }

    /// One row of a tensor seen as `[rows, …]`.
    pub(crate) fn row(&self, name: &str, row: usize) -> &[f64] {
        let (shape, values) = self.entry(name);
        let width = values.len() / shape[0];
        &values[row * width..(row + 1) * width]
    }

    pub(crate) fn grids(&self, name: &str) -> Vec<PatchGrid> {
        self.indices(name).chunks(3).map(|g| PatchGrid { t: g[0], h: g[1], w: g[2] }).collect()
    }

    /// The images of a case, from its `pixel_values` and grids.
    pub(crate) fn images(&self, pixels: &str, grids: &str) -> Vec<ImagePatches> {
        let mut values = self.values(pixels).iter().map(|&value| value as f32);
        let split = |grid: PatchGrid| ImagePatches {
            pixels: values.by_ref().take(grid.t * grid.h * grid.w * 1176).collect(),
            grid,
        };
        self.grids(grids).into_iter().map(split).collect()
    }
}

/// The named test images: A, B, C and W.
pub(crate) fn images() -> HashMap<&'static str, ImagePatches> {
    let recorded = Recorded::open("vision");
    let mut all = recorded.images("A+C+B/pixel_values", "A+C+B/grid_thw");
    let wide = recorded.images("W/pixel_values", "W/grid_thw").remove(0);
    HashMap::from([("B", all.remove(2)), ("C", all.remove(1)), ("A", all.remove(0)), ("W", wide)])
}

/// The prompts of a recorded case: unpadded ids and the names of each prompt's images.
pub(crate) fn prompts(recorded: &Recorded, case: &str) -> Vec<(Vec<u32>, Vec<&'static str>)> {
    let images: &[&[&str]] = match case {
        "text" => &[&[]],
        "one_image" => &[&["A"]],
        "two_images" => &[&["B", "C"]],
        "batch_left_pad" => &[&["A"], &[], &["B", "C"]],
        "batch_text_left_pad" => &[&[], &[]],
        other => panic!("unknown case {other}"),
    };
    let unpadded = |row: usize| {
        let ids = recorded.row(&format!("{case}/input_ids"), row);
        let mask = recorded.row(&format!("{case}/attention_mask"), row);
        ids.iter().zip(mask).filter(|&(_, &seen)| seen > 0.0).map(|(&id, _)| id as u32).collect()
    };
    images.iter().enumerate().map(|(row, names)| (unpadded(row), names.to_vec())).collect()
}

/// Lays out a prompt with the named images.
pub(crate) fn prompt(
    ids: Vec<u32>,
    names: &[&str],
    images: &HashMap<&'static str, ImagePatches>,
    config: &ModelConfig,
) -> (PromptTokens, Vec<ImagePatches>) {
    let images: Vec<ImagePatches> = names.iter().map(|name| images[name].clone()).collect();
    let grids: Vec<PatchGrid> = images.iter().map(|image| image.grid).collect();
    (PromptTokens::new(ids, &grids, config).expect("the recorded prompt is valid"), images)
}

pub(crate) fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().convert_dtype(DType::F64).try_to_vec().expect("f64 after conversion")
}

/// Largest absolute difference.
pub(crate) fn difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "compared tensors have the same size");
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Norm of the difference over the norm of the reference.
pub(crate) fn relative_difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "compared tensors have the same size");
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let error = square(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    (error / square(&mut theirs.iter().copied())).sqrt()
}

#[track_caller]
pub(crate) fn assert_close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    let difference = difference(ours, theirs);
    eprintln!("{what}: largest difference {difference:.2e} (allowed {tolerance:.0e})");
    assert!(difference <= tolerance, "{what} differs by {difference:.3e}, allowed {tolerance:.0e}");
}
