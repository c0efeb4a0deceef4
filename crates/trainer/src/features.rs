//! What the vision tower makes of the images of tasks, kept while it cannot change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::tensor::{DType, Tensor, TensorData};
use sha2::{Digest as _, Sha256};
use vlm_model::QwenVl;
use vlm_model::image_input::ImagePatches;

use crate::config::TrainConfig;
use crate::prepare::Task;

/// Values that are hashed at once.
const CHUNK: usize = 1024;

/// Features of images that were looked at, for one vision tower that stays as it is.
///
/// An image is known by its patches, whichever problem it belongs to. Features lie in the host's memory, up to a limit; those
/// that were not asked for longest go first. They come back to the last bit.
#[derive(Debug)]
pub struct FeatureCache {
    /// Bytes of features.
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    features: BTreeMap<Digest, Entry>,
    /// The images by when they were last asked for.
    order: BTreeMap<u64, Digest>,
    /// Requests so far.
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    data: TensorData,
    dtype: DType,
    /// When it was last asked for.
    used: u64,
}

/// SHA-256 of an image's grid and patches.
type Digest = [u8; 32];

impl FeatureCache {
    /// An empty one that keeps at most so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// That of a run; `None` where the tower is trained or nothing is to be kept.
    #[must_use]
    pub fn of_run(config: &TrainConfig) -> Option<Self> {
        let bytes = config.rollout.feature_cache_mib.saturating_mul(1 << 20);
        (config.update.freeze_vision && bytes > 0).then(|| Self::new(bytes))
    }

    /// Bytes of the features that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Features of an image, from the tower unless they are known.
    fn features(&self, model: &QwenVl, image: &ImagePatches) -> Option<Tensor<2>> {
        let digest = digest(image);
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&digest);
        if let Some((data, dtype)) = known {
            return Some(Tensor::from_data(data, (&model.device(), dtype)));
        }
        let features = model.image_features(&[image])?;
        let entry = Entry { data: features.to_data(), dtype: features.dtype(), used: 0 };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, entry, self.limit);
        Some(features)
    }
}

impl Kept {
    fn get(&mut self, digest: &Digest) -> Option<(TensorData, DType)> {
        let entry = self.features.get_mut(digest)?;
        self.clock += 1;
        self.order.remove(&entry.used);
        self.order.insert(self.clock, *digest);
        entry.used = self.clock;
        Some((entry.data.clone(), entry.dtype))
    }

    /// Keeps an entry unless it is larger than the limit, and drops the oldest until all are within it.
    fn insert(&mut self, digest: Digest, entry: Entry, limit: usize) {
        let bytes = entry.data.bytes().len();
        if bytes > limit || self.features.contains_key(&digest) {
            return;
        }
        self.clock += 1;
        self.bytes += bytes;
        self.order.insert(self.clock, digest);
        self.features.insert(digest, Entry { used: self.clock, ..entry });
        while self.bytes > limit {
            let Some(oldest) = self.order.pop_first().and_then(|(_, digest)| self.features.remove(&digest)) else {
                break;
            };
            self.bytes -= oldest.data.bytes().len();
        }
    }
}

fn digest(image: &ImagePatches) -> Digest {
    let mut digest = Sha256::new();
    for side in [image.grid.t, image.grid.h, image.grid.w] {
        digest.update((side as u64).to_le_bytes());
    }
    let mut bytes = Vec::with_capacity(CHUNK * size_of::<f32>());
    for values in image.pixels.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        digest.update(&bytes);
    }
    digest.finalize().into()
}

/// Image features of each task, in the order of its images.
///
/// The tower looks at one image after another: its memory is that of the largest, and an image's features do not depend on
/// what else is in the batch.
#[must_use]
pub(crate) fn features_of(model: &QwenVl, tasks: &[Task], cache: Option<&FeatureCache>) -> Vec<Option<Tensor<2>>> {
    let of_image = |image: &ImagePatches| match cache {
        Some(cache) => cache.features(model, image),
        None => model.image_features(&[image]),
    };
    let of_task = |task: &Task| {
        let features: Vec<Tensor<2>> = task.patches.iter().filter_map(of_image).collect();
        (!features.is_empty()).then(|| Tensor::cat(features, 0))
    };
    tasks.iter().map(of_task).collect()
}

#[cfg(test)]
mod tests {
    use vlm_model::image_input::PatchGrid;

    use super::*;

    fn entry(bytes: u8) -> Entry {
        let data = TensorData::new(vec![f32::from(bytes); usize::from(bytes) / 4], [1, usize::from(bytes) / 4]);
        Entry { data, dtype: DType::F32, used: 0 }
    }

    /// What was not asked for longest goes first, and only as much as must.
    #[test]
    fn the_least_recently_used_goes() {
        let mut kept = Kept::default();
        let known = |kept: &Kept| (1..5).filter(|&name| kept.features.contains_key(&[name; 32])).collect::<Vec<u8>>();
        for name in 1..4 {
            kept.insert([name; 32], entry(40), 120);
        }
        assert_eq!((known(&kept), kept.bytes), (vec![1, 2, 3], 120));
        let (first, _) = kept.get(&[1; 32]).expect("kept");
        assert_eq!(first.iter::<f32>().collect::<Vec<_>>(), [40.0; 10]);
        kept.insert([4; 32], entry(40), 120);
        assert_eq!((known(&kept), kept.bytes), (vec![1, 3, 4], 120), "the first was asked for after the second");
        kept.insert([2; 32], entry(80), 120);
        assert_eq!((known(&kept), kept.bytes), (vec![2, 4], 120));
        kept.insert([3; 32], entry(124), 120);
        assert_eq!((known(&kept), kept.bytes), (vec![2, 4], 120), "what cannot fit drives nothing out");
        assert_eq!(kept.order.len(), kept.features.len());
    }

    /// Images are told apart by every value and by their shape.
    #[test]
    fn images_are_told_apart() {
        let image = |h, w, last: f32| {
            let mut pixels = vec![0.25; 4 * 1176];
            pixels[4 * 1176 - 1] = last;
            ImagePatches { pixels, grid: PatchGrid { t: 1, h, w } }
        };
        assert_eq!(digest(&image(2, 2, 0.5)), digest(&image(2, 2, 0.5)));
        assert_ne!(digest(&image(2, 2, 0.5)), digest(&image(2, 2, 0.500_000_06)));
        assert_ne!(digest(&image(1, 4, 0.5)), digest(&image(4, 1, 0.5)));
    }
}
