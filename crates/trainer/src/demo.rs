//! The embedded default: a small model that learns to look, from nothing, on a CPU.
//!
//! Writes a problem set of drawn shapes, builds a small Qwen2.5-VL with every mechanism of the large ones, warms it up on
//! worked responses until it answers some problems, and then trains it by reinforcement like any other checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module as _;
use burn::tensor::Device;
use dataset::{read_json_lines, shapes};
use serde::Deserialize;
use vlm_model::processor::Processor;
use vlm_model::{ExportOptions, ModelConfig, QwenVl, SeededInit, SpecialTokens, TextConfig, VisionConfig, export};

use crate::TrainError;
use crate::collect::Source;
use crate::config::{TrainConfig, override_all};
use crate::device::device_for;
use crate::recipe::Recipe;
use crate::run::{RunFolder, holds_run};
use crate::step::trainable;
use crate::warm_up::{WarmUp, WarmUpProgress};

/// The settings, as they stand in `configs/demo.toml`.
const SETTINGS: &str = include_str!("../../../configs/demo.toml");

/// Files of the small checkpoint that are not weights: a vocabulary of the problems' words with Qwen2.5's pre-tokenizer and
/// special tokens, its chat template and its image settings (made by `assets/make_tokenizer.py`).
const PROCESSOR_FILES: [(&str, &[u8]); 6] = [
    ("tokenizer.json", include_bytes!("../assets/tokenizer/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../assets/tokenizer/tokenizer_config.json")),
    ("vocab.json", include_bytes!("../assets/tokenizer/vocab.json")),
    ("merges.txt", include_bytes!("../assets/tokenizer/merges.txt")),
    ("preprocessor_config.json", include_bytes!("../assets/tokenizer/preprocessor_config.json")),
    ("chat_template.json", include_bytes!("../assets/tokenizer/chat_template.json")),
];

/// Folder of the small checkpoint after its warm-up.
const WARM_MODEL: &str = "warm-model";

/// Marks a folder whose preparation was begun and whose run has not started: what else is in it is ours and may be made anew.
const UNFINISHED: &str = ".preparing";

/// Rows of the small embedding: the tokenizer's 437 tokens, rounded up.
const VOCABULARY: usize = 448;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seed: u64,
    shapes: shapes::ShapesConfig,
    model: ModelSettings,
    warm_up: WarmUp,
    train: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelSettings {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    mrope_section: [usize; 3],
    vision_hidden_size: usize,
    vision_intermediate_size: usize,
    vision_depth: usize,
    vision_heads: usize,
    window_size: usize,
    full_attention_blocks: Vec<usize>,
}

/// What a demonstration tells while it prepares.
#[derive(Clone, Debug)]
pub enum Progress {
    /// The problems are written.
    Problems {
        /// Training problems.
        train: usize,
        /// Held-out problems.
        held_out: usize,
    },
    /// The model is built.
    Model {
        /// Its parameters.
        parameters: usize,
        /// Most warm-up steps to come.
        warm_up_steps: usize,
    },
    /// A warm-up step is done.
    WarmUp(WarmUpProgress),
}

/// Prepares everything in `output` and returns the configuration of the reinforcement run that follows. An override
/// `model=DIR` takes that checkpoint as it is instead of building and warming up a small one.
///
/// # Errors
/// If the folder already holds a run or cannot be written, or an override is malformed.
pub fn prepare(output: &Path, overrides: &[String], mut show: impl FnMut(Progress)) -> Result<TrainConfig, TrainError> {
    let (settings, mut config) = resolved(output, overrides)?;
    let unfinished = output.join(UNFINISHED);
    if holds_run(output) || (output.exists() && !unfinished.exists() && !is_empty(output)?) {
        return Err(TrainError::RunExists { folder: output.to_owned() });
    }
    // Mistakes are found before anything is written.
    Recipe::find(&config.recipe)?;
    device_for(&config.device, config.precision)?;
    let given = config.model != output.join(WARM_MODEL);
    if given {
        ModelConfig::from_folder(&config.model)?;
    }

    let _folder = RunFolder::lock(output)?;
    fs::write(&unfinished, "").map_err(TrainError::file("write", &unfinished))?;
    let problems = fresh(output, "problems")?;
    let shapes = shapes::ShapesConfig { seed: config.seed, ..settings.shapes.clone() };
    let files = shapes::write(&shapes, &problems)?;
    config.data.train = files.train.as_path().into();
    config.data.held_out = Some(files.held_out.into());
    show(Progress::Problems { train: shapes.train, held_out: shapes.held_out });

    if !given {
        build_and_warm(&settings, &config, &files.train, &fresh(output, WARM_MODEL)?, show)?;
    }
    Ok(config)
}

/// The device that the demonstration will be on.
///
/// # Errors
/// If an override is malformed.
pub fn device_name(output: &Path, overrides: &[String]) -> Result<String, TrainError> {
    Ok(resolved(output, overrides)?.1.device)
}

/// The demonstration's settings, and the configuration of its run before there are problems and a model.
fn resolved(output: &Path, overrides: &[String]) -> Result<(Settings, TrainConfig), TrainError> {
    let (of_demo, of_run): (Vec<String>, Vec<String>) = overrides.iter().cloned().partition(|text| is_of_demo(text));
    let settings = settings(&of_demo)?;
    let config = train_config(output, settings.seed, settings.train.clone())?.with_overrides(&of_run)?;
    Ok((settings, config))
}

/// Says that the run which was prepared has started, so that nothing of it may be made anew.
///
/// # Errors
/// If the folder cannot be written.
pub fn prepared(output: &Path) -> Result<(), TrainError> {
    let unfinished = output.join(UNFINISHED);
    fs::remove_file(&unfinished).map_err(TrainError::file("remove", &unfinished))
}

/// Refuses overrides that a demonstration has behind it when it goes on.
///
/// # Errors
/// Names the first one.
pub fn check_resumed(overrides: &[String]) -> Result<(), TrainError> {
    let late = |text: &&String| is_of_demo(text);
    overrides.iter().find(late).map_or(Ok(()), |text| {
        Err(TrainError::Usage(format!(
            "the demonstration is prepared, and `{text}` comes too late; leave it out, or choose another --output"
        )))
    })
}

fn is_empty(folder: &Path) -> Result<bool, TrainError> {
    let mut entries = fs::read_dir(folder).map_err(TrainError::file("list", folder))?;
    // A lock alone is left where a run could not start.
    Ok(entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "run.lock")))
}

/// A folder of the demonstration's own, without what an interrupted preparation left in it.
fn fresh(output: &Path, name: &str) -> Result<PathBuf, TrainError> {
    let folder = output.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(TrainError::file("remove", &folder))?;
    }
    Ok(folder)
}

/// Builds the small model from its seed, warms it up on `problems` and writes it to `folder`.
fn build_and_warm(
    settings: &Settings,
    config: &TrainConfig,
    problems: &Path,
    folder: &Path,
    mut show: impl FnMut(Progress),
) -> Result<(), TrainError> {
    let device = device_for(&config.device, config.precision)?.autodiff();
    let processor = write_processor(folder)?;
    let shape = model_config(&settings.model, &processor)?;
    let model = QwenVl::build(&shape, &mut SeededInit { seed: config.seed }, &device)?;
    show(Progress::Model { parameters: model.num_params(), warm_up_steps: settings.warm_up.max_steps });

    let problems = read_json_lines(problems)?;
    let policy = trainable(model, &config.update);
    let frozen = policy.valid();
    let reward = config.reward.build()?;
    let source = Source { policy: &frozen, processor: &processor, reward: &reward, config, features: None };
    let (policy, _) = settings.warm_up.run(policy, &problems, &source, |progress| show(Progress::WarmUp(progress)))?;
    Ok(export(&policy.valid(), None, folder, ExportOptions::default())?)
}

/// Whether an override is for the problems, the model's shape or the warm-up; all others are for the run.
fn is_of_demo(text: &str) -> bool {
    ["shapes.", "model.", "warm_up."].iter().any(|section| text.starts_with(section))
}

fn settings(overrides: &[String]) -> Result<Settings, TrainError> {
    let wrong = |error: toml::de::Error| TrainError::Config {
        place: "configs/demo.toml".to_owned(),
        reason: error.to_string(),
    };
    let mut table: toml::Table = SETTINGS.parse().map_err(wrong)?;
    override_all(&mut table, overrides)?;
    table.try_into().map_err(wrong)
}

/// The run's configuration with the embedded settings.
fn train_config(output: &Path, seed: u64, mut train: toml::Table) -> Result<TrainConfig, TrainError> {
    let path = |path: PathBuf| toml::Value::String(path.display().to_string());
    let seed = i64::try_from(seed).unwrap_or(i64::MAX);
    train.insert("seed".to_owned(), seed.into());
    train.insert("model".to_owned(), path(output.join(WARM_MODEL)));
    train.insert("output".to_owned(), path(output.to_owned()));
    let data = toml::Table::from_iter([("train".to_owned(), path(output.join("problems/train.jsonl")))]);
    train.insert("data".to_owned(), data.into());
    train
        .try_into()
        .map_err(|error| TrainError::Config { place: "configs/demo.toml".to_owned(), reason: error.to_string() })
}

fn write_processor(folder: &Path) -> Result<Processor, TrainError> {
    fs::create_dir_all(folder).map_err(TrainError::file("create", folder))?;
    for (name, bytes) in PROCESSOR_FILES {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(TrainError::file("write", &path))?;
    }
    Ok(Processor::from_folder(folder)?)
}

fn model_config(settings: &ModelSettings, processor: &Processor) -> Result<ModelConfig, TrainError> {
    let id = |token: &str| {
        let missing = || TrainError::Usage(format!("the embedded tokenizer has no {token}"));
        processor.tokenizer.id_of(token).ok_or_else(missing)
    };
    let config = ModelConfig {
        text: TextConfig {
            vocab_size: VOCABULARY,
            hidden_size: settings.hidden_size,
            intermediate_size: settings.intermediate_size,
            num_hidden_layers: settings.num_hidden_layers,
            num_attention_heads: settings.num_attention_heads,
            num_key_value_heads: settings.num_key_value_heads,
            rms_norm_eps: 1e-6,
            rope_theta: 1_000_000.0,
            mrope_section: settings.mrope_section,
            max_position_embeddings: 128_000,
        },
        vision: VisionConfig {
            depth: settings.vision_depth,
            hidden_size: settings.vision_hidden_size,
            intermediate_size: settings.vision_intermediate_size,
            num_heads: settings.vision_heads,
            out_hidden_size: settings.hidden_size,
            patch_size: 14,
            spatial_merge_size: 2,
            temporal_patch_size: 2,
            window_size: settings.window_size,
            fullatt_block_indexes: settings.full_attention_blocks.clone(),
            in_chans: 3,
        },
        tokens: SpecialTokens {
            bos: id("<|endoftext|>")?,
            eos: id("<|im_end|>")?,
            vision_start: id("<|vision_start|>")?,
            vision_end: id("<|vision_end|>")?,
            vision_pad: id("<|vision_pad|>")?,
            image_pad: id("<|image_pad|>")?,
            video_pad: id("<|video_pad|>")?,
        },
        tie_word_embeddings: true,
    };
    config.validate()?;
    Ok(config)
}

/// A small untrained model of the demonstration's shape with its processor, for tests and benchmarks.
///
/// # Errors
/// If the folder cannot be written.
pub fn untrained(folder: &Path, seed: u64, device: &Device) -> Result<QwenVl, TrainError> {
    let settings = settings(&[])?;
    let processor = write_processor(folder)?;
    let model = QwenVl::build(&model_config(&settings.model, &processor)?, &mut SeededInit { seed }, device)?;
    export(&model, None, folder, ExportOptions::default())?;
    Ok(model)
}
