use std::fs;
use std::path::Path;

use burn::tensor::Device;
use vlm_model::{Checkpoint, ExportOptions, ModelConfig, ModelError, Precision, QwenVl, SeededInit, export};

use crate::fixtures::{checkpoint, host};

const SHARDED: &str = "tiny-untied-f32-hub-sharded";

fn copy_of(name: &str) -> tempfile::TempDir {
    let target = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(checkpoint(name)).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), target.path().join(entry.file_name())).expect("a copy");
    }
    target
}

fn load_error(folder: &Path) -> ModelError {
    vlm_model::load(folder, &Device::default()).expect_err("the folder is damaged")
}

/// Both namings, both configuration spellings, shards, f32 and bf16 hold the same weights (bf16 rounded).
#[test]
fn namings_shards_and_formats_hold_the_same_weights() {
    let device = Device::default();
    let sharded = vlm_model::load(&checkpoint(SHARDED), &device).expect("loads");
    let nested = vlm_model::load(&checkpoint("tiny-untied-bf16-newkeys"), &device).expect("loads");
    assert_eq!(sharded.config, nested.config);
    let pairs = [
        (sharded.output_weight(), nested.output_weight()),
        (sharded.visual.blocks[1].mlp.up_proj.weight.val(), nested.visual.blocks[1].mlp.up_proj.weight.val()),
        (sharded.model.layers[2].self_attn.k_proj.weight.val(), nested.model.layers[2].self_attn.k_proj.weight.val()),
    ];
    for (exact, rounded) in pairs {
        for (exact, rounded) in host(&exact).into_iter().zip(host(&rounded)) {
            // Eight significant bits: half a unit in the last place is 2⁻⁹ of the value at most.
            assert!((exact - rounded).abs() <= exact.abs() / 256.0 + 1e-30, "{exact} was rounded to {rounded}");
        }
    }
}

/// A header that is not padded puts every tensor where no number may lie.
#[test]
fn tensors_may_lie_anywhere() {
    let device = Device::default();
    let folder = copy_of(SHARDED);
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let mut bytes = fs::read(&path).expect("a shard");
            let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
            bytes.splice(..8, (header + 1).to_le_bytes());
            bytes.insert(8 + header as usize, b' ');
            fs::write(&path, bytes).expect("written");
        }
    }
    let padded = vlm_model::load(&checkpoint(SHARDED), &device).expect("loads");
    let moved = vlm_model::load(folder.path(), &device).expect("loads");
    assert_eq!(host(&padded.output_weight()), host(&moved.output_weight()));
    let scale = |model: &QwenVl| model.model.norm.weight.val().into_data().try_to_vec::<f32>().expect("numbers");
    assert_eq!(scale(&padded), scale(&moved));
}

#[test]
fn a_missing_tensor_is_named() {
    let folder = copy_of(SHARDED);
    let index = folder.path().join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).expect("the index");
    fs::write(&index, text.replace("visual.merger.ln_q.weight", "visual.merger.renamed.weight")).expect("written");
    let message = load_error(folder.path()).to_string();
    assert!(message.contains("visual.merger.renamed.weight"), "{message}");

    let mut config = ModelConfig::from_folder(&checkpoint(SHARDED)).expect("a configuration");
    config.vision.depth += 1;
    let mut source = Checkpoint::open(&checkpoint(SHARDED)).expect("opens");
    let error = QwenVl::build(&config, &mut source, &Device::default()).expect_err("one block too many");
    assert!(
        matches!(&error, ModelError::MissingTensor { name, .. } if name.starts_with("visual.blocks.4.")),
        "{error}"
    );
}

#[test]
fn an_unexpected_tensor_is_named() {
    let mut config = ModelConfig::from_folder(&checkpoint(SHARDED)).expect("a configuration");
    config.text.num_hidden_layers -= 1;
    let mut source = Checkpoint::open(&checkpoint(SHARDED)).expect("opens");
    QwenVl::build(&config, &mut source, &Device::default()).expect("all it needs is there");
    let error = source.finish(&config).expect_err("a layer is left over");
    assert!(
        matches!(&error, ModelError::UnexpectedTensor { name, others: 11, .. } if name.starts_with("model.layers.3.")),
        "{error}"
    );
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let mut config = ModelConfig::from_folder(&checkpoint(SHARDED)).expect("a configuration");
    config.text.intermediate_size = 360;
    let mut source = Checkpoint::open(&checkpoint(SHARDED)).expect("opens");
    let error = QwenVl::build(&config, &mut source, &Device::default()).expect_err("the width differs");
    let message = error.to_string();
    assert!(
        message.contains("mlp.gate_proj.weight") && message.contains("[352, 128]") && message.contains("[360, 128]"),
        "{message}"
    );
}

#[test]
fn truncated_files_foreign_paths_and_empty_folders_are_refused() {
    let folder = copy_of(SHARDED);
    let shard = folder.path().join("model-00003-of-00005.safetensors");
    let bytes = fs::read(&shard).expect("a shard");
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&shard, &bytes[..length]).expect("written");
        let message = load_error(folder.path()).to_string();
        assert!(message.contains("model-00003-of-00005.safetensors"), "{length} bytes: {message}");
    }
    fs::write(&shard, &bytes).expect("written");
    let part = "model-00003-of-00005.safetensors";
    let up = format!("../{part}");
    let here = format!("./{part}");
    let behind = format!("{part}/");
    for name in
        [&up, &here, &behind, "/etc/passwd", "a/b.safetensors", "..", ".", "", "C:b", "C:\\b", "\\\\a\\b", "b\0"]
    {
        let index = folder.path().join("model.safetensors.index.json");
        let map = serde_json::json!({"weight_map": {"lm_head.weight": name, "model.norm.weight": part}});
        fs::write(&index, map.to_string()).expect("written");
        let error = load_error(folder.path());
        assert!(matches!(&error, ModelError::FileOutsideFolder { .. }), "{name}: {error}");
        assert!(error.to_string().contains("tensor `lm_head.weight`"), "{name}: {error}");
    }
    let empty = tempfile::tempdir().expect("a temporary folder");
    fs::copy(checkpoint(SHARDED).join("config.json"), empty.path().join("config.json")).expect("a copy");
    assert!(matches!(load_error(empty.path()), ModelError::NoWeights { .. }));
}

/// What is exported loads again to the same numbers, in one file and in shards.
#[test]
fn export_and_load_are_inverse() {
    let device = Device::default();
    for name in ["tiny-tied-f32-saved", SHARDED] {
        let original = vlm_model::load(&checkpoint(name), &device).expect("loads");
        for shard_bytes in [usize::MAX, 1 << 20] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let options = ExportOptions { precision: Precision::Float32, shard_bytes };
            export(&original, Some(&checkpoint(name)), folder.path(), options).expect("written");
            assert_eq!(folder.path().join("model.safetensors.index.json").exists(), shard_bytes < usize::MAX);
            let again = vlm_model::load(folder.path(), &device).expect("loads again");
            assert_eq!(original.config, again.config);
            assert_eq!(host(&original.output_weight()), host(&again.output_weight()));
            let (first, second) = (&original.visual.merger.mlp.2, &again.visual.merger.mlp.2);
            assert_eq!(host(&first.weight.val()), host(&second.weight.val()));
            let generation = fs::read(folder.path().join("generation_config.json")).expect("copied");
            assert_eq!(generation, fs::read(checkpoint(name).join("generation_config.json")).expect("there"));
        }
    }
}

/// A seeded model has every mechanism, and depends on the seed alone.
#[test]
fn seeded_models_are_reproducible() {
    let config = ModelConfig::from_folder(&checkpoint(SHARDED)).expect("a configuration");
    let device = Device::default();
    let build = |seed| QwenVl::build(&config, &mut SeededInit { seed }, &device).expect("builds");
    let (first, same, other) = (build(7), build(7), build(8));
    assert_eq!(host(&first.output_weight()), host(&same.output_weight()));
    assert_ne!(host(&first.output_weight()), host(&other.output_weight()));
    let (query, key) = (&first.model.layers[0].self_attn.q_proj.weight, &first.model.layers[1].self_attn.q_proj.weight);
    assert_ne!(host(&query.val()), host(&key.val()), "every tensor has its own stream");
}
