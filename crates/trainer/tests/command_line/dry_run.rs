use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use dataset::shapes::{self, ShapesConfig};

use crate::program::{Ended, device_name, sightline};

/// A folder with a small model, problems, and a configuration of a run.
struct Prepared {
    folder: tempfile::TempDir,
}

impl Prepared {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path();
        trainer::demo::untrained(&at.join("model"), 4, &Device::default()).expect("a writable folder");
        let config = ShapesConfig {
            train: 12,
            held_out: 2,
            sides: vec![56],
            min_shapes: 1,
            max_shapes: 2,
            ..ShapesConfig::default()
        };
        shapes::write(&config, &at.join("problems")).expect("a writable folder");
        let text = format!(
            "model = {:?}\noutput = {:?}\ndevice = {:?}\n[data]\ntrain = {:?}\nheld_out = {:?}\n\
             [rollout]\nprompts_per_step = 4\nresponses = 4\nsampling = {{ max_new_tokens = 16 }}\n\
             [update]\ntokens_per_micro_batch = 1024\n[schedule]\nsteps = 2\n",
            at.join("model"),
            at.join("run"),
            device_name(),
            at.join("problems/train.jsonl"),
            at.join("problems/held_out.jsonl"),
        );
        fs::write(at.join("run.toml"), text).expect("a writable folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dry_run(&self, more: &[&str]) -> Ended {
        let config = self.path("run.toml").display().to_string();
        sightline(&[&["train", "--config", &config, "--dry-run"], more].concat(), "")
    }

    /// Every file with its bytes.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    found.insert(path.clone(), Vec::new());
                    walk(&path, found);
                } else {
                    found.insert(path.clone(), fs::read(&path).expect("a file"));
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.folder.path(), &mut found);
        found
    }
}

/// The line of a check.
fn line<'a>(output: &'a str, check: &str) -> &'a str {
    let of = |line: &&str| line.split_whitespace().nth(1) == check.split_whitespace().next() && line.contains(check);
    output.lines().find(of).unwrap_or_else(|| panic!("no {check} in {output}"))
}

#[test]
fn a_sound_run_passes_and_nothing_is_written() {
    let prepared = Prepared::new();
    let before = prepared.contents();
    let output = prepared.dry_run(&[]).output();
    assert!(prepared.contents() == before, "not a file is written, changed or removed");
    assert!(line(&output, "recipe").contains("vppo"), "{output}");
    assert!(line(&output, "data").contains("12 problems; of 12 looked at, 12 can be used, with 12 images"), "{output}");
    assert!(line(&output, "held out").contains("2 problems"), "{output}");
    assert!(line(&output, "processor").contains("<|im_end|>"), "{output}");
    for check in ["model", "device", "output", "disk"] {
        assert!(line(&output, check).starts_with("ok"), "{output}");
    }
    for item in ["weights", "AdamW moments", "language activations", "vision activations", "keys and values"] {
        assert!(output.contains(item), "{item} expected in {output}");
    }
    assert!(!output.contains("reference weights"), "vppo has none: {output}");
    let with_reference = prepared.dry_run(&["--recipe", "reinforce-pp"]).output();
    assert!(with_reference.contains("reference weights"), "{with_reference}");
}

/// The estimate of what is known exactly is exact: weights, moments and checkpoints of a model of known size.
#[test]
fn exact_items_are_exact() {
    let prepared = Prepared::new();
    let weights = fs::read(prepared.path("model/model.safetensors")).expect("a file");
    let header = u64::from_le_bytes(weights[..8].try_into().expect("eight bytes"));
    let parameters = (weights.len() as u64 - 8 - header) / 4;
    let config = trainer::TrainConfig::read(&prepared.path("run.toml"), &[]).expect("a configuration");
    let memory = trainer::DryRun::of(&config, None).memory.expect("model and data are sound");
    let bytes = |memory: &trainer::Memory, name: &str| {
        memory.items.iter().find(|item| item.name == name).unwrap_or_else(|| panic!("no {name}")).bytes
    };
    assert_eq!(bytes(&memory, "weights"), 4 * parameters);
    assert_eq!(bytes(&memory, "AdamW moments"), 8 * parameters);
    assert_eq!(memory.checkpoint, 12 * parameters);
    // Half precision adds a rounded copy of the weights, and halves what is kept of keys and values.
    let half = config.with_overrides(&["precision=bf16".to_owned()]).expect("valid");
    let half = trainer::DryRun::of(&half, None).memory.expect("sound");
    for (name, expected) in [
        ("weights", 4 * parameters),
        ("rounded weights", 2 * parameters),
        ("AdamW moments", 8 * parameters),
        ("keys and values", bytes(&memory, "keys and values") / 2),
    ] {
        assert_eq!(bytes(&half, name), expected, "{name}");
    }
    assert_eq!(bytes(&memory, "rounded weights"), 0);
    // Half the tokens of a pass take half of its memory, and freezing spares gradients.
    let smaller = config.with_overrides(&["update.tokens_per_micro_batch=256".to_owned()]).expect("valid");
    let smaller = trainer::DryRun::of(&smaller, None).memory.expect("sound");
    assert!(bytes(&smaller, "language activations") < bytes(&memory, "language activations"));
    // Several passes need a place for their sum.
    assert!(bytes(&smaller, "gradient") >= 4 * parameters);
    assert!(bytes(&memory, "gradient") < 4 * parameters);
    // Computing layers again spares most of it, and is done where what may be kept is little.
    let again = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|&setting| setting.to_owned()).collect();
        let config = config.with_overrides(&overrides).expect("valid");
        bytes(&trainer::DryRun::of(&config, None).memory.expect("sound"), "language activations")
    };
    let always = again(&["update.recompute=always"]);
    assert!(10 * always < 9 * bytes(&memory, "language activations"), "{always}");
    assert_eq!(again(&["update.activation_gib=0.0001"]), always);
    assert_eq!(again(&["update.activation_gib=0.0001", "update.recompute=never"]), again(&["update.recompute=never"]));
    let frozen = config.with_overrides(&["update.freeze_vision=true".to_owned()]).expect("valid");
    let frozen = trainer::DryRun::of(&frozen, None).memory.expect("sound");
    assert_eq!(bytes(&frozen, "vision activations"), 0);
    assert!(bytes(&frozen, "AdamW moments") < bytes(&memory, "AdamW moments"));
    let longer = config.with_overrides(&["rollout.sampling.max_new_tokens=32".to_owned()]).expect("valid");
    let longer = trainer::DryRun::of(&longer, None).memory.expect("sound");
    assert!(bytes(&longer, "keys and values") > bytes(&memory, "keys and values"));
}

/// What would end a run is found, all of it at once, and the exit status says so.
#[test]
fn what_would_fail_is_found() {
    let prepared = Prepared::new();
    let fails = |settings: &[&str], check: &str, reason: &str| {
        let ended = prepared.dry_run(settings);
        ended.fails_with(check);
        let line = line(&ended.output, check).to_owned();
        assert!(line.starts_with("FAILED") && line.contains(reason), "{check}, {reason}: {}", ended.output);
    };
    fails(&["--recipe", "vpo"], "recipe", "no recipe `vpo`");
    fails(&["model=nowhere"], "model", "nowhere");
    fails(&["data.train=nowhere.jsonl"], "data", "nowhere.jsonl");
    fails(&["data.held_out=nowhere.jsonl"], "held out", "nowhere.jsonl");
    fails(&["model=nowhere", "data.train=nowhere.jsonl"], "data", "nowhere.jsonl");
    fails(&["model=nowhere"], "data", "12 problems, not looked at, since model");
    fails(&["rollout.responses=1"], "recipe", "rollout.responses: 1");
    fails(&["update.updates_per_step=5"], "recipe", "update.updates_per_step: 5");
    let useless = prepared.path("problems/useless.jsonl");
    fs::write(&useless, "{\"problem\": \"<image>?\", \"images\": [\"gone.png\"], \"answer\": \"1\"}\n")
        .expect("writable");
    let useless = format!("data.held_out={useless:?}");
    fails(&[&useless], "held out", "none of 1 problems that were looked at can be used");
    fails(&["data.max_prompt_tokens=1"], "data", "none of 12 problems that were looked at can be used");
    fails(&["device=cuda:99"], "device", "cuda:99");
    fails(&["--resume"], "output", "holds no run to go on with");
    let long = "rollout.sampling.max_new_tokens=900000000000";
    fails(&[long, "rollout.max_rows=1"], "memory", "lower update.tokens_per_micro_batch");
    fails(&["rollout.max_rows=9000000000"], "memory", "lower rollout.max_rows");
    fails(&["schedule.keep=900000000", "schedule.steps=900000000"], "disk", "lower schedule.keep");
    fails(&["reward.parts=[{ kind = 'subprocess', command = ['no-such-program'] }]"], "reward", "no-such-program");
    // Several at once.
    let ended = prepared.dry_run(&["--recipe", "vpo", "data.train=nowhere.jsonl"]);
    ended.fails_with("the run would fail: recipe, data");
    // A configuration that is none, and a demonstration, which has none.
    prepared.dry_run(&["schedule.steps=0"]).fails_with("schedule.steps is 0");
    assert!(!sightline(&["train", "--dry-run"], "").success);

    // Bad rows are named; they are skipped in training, and do not end it.
    let train = prepared.path("problems/train.jsonl");
    let sound = fs::read_to_string(&train).expect("problems");
    fs::write(&train, format!("{{\"problem\": \"<image>?\", \"images\": [\"gone.png\"], \"answer\": \"1\"}}\n{sound}"))
        .expect("writable");
    let output = prepared.dry_run(&[]).output();
    assert!(
        output.contains("12 can be used")
            && output.contains("note    data       skipped: ")
            && output.contains("gone.png"),
        "{output}"
    );

    // A model with a hole, a tensor of another shape, a shard that is gone.
    let shape = prepared.path("model/config.json");
    let known = fs::read_to_string(&shape).expect("a file");
    fs::write(&shape, known.replace("\"intermediate_size\": 352", "\"intermediate_size\": 351")).expect("writable");
    assert!(fs::read_to_string(&shape).expect("a file") != known, "the shape was changed");
    fails(&[], "model", "[351, 128]");
    fs::write(&shape, known).expect("writable");
    let index = prepared.path("model/model.safetensors.index.json");
    fs::write(&index, r#"{"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}"#)
        .expect("writable");
    fails(&[], "model", "model-00001-of-00002.safetensors");
    fs::remove_file(&index).expect("writable");
    let weights = prepared.path("model/model.safetensors");
    let bytes = fs::read(&weights).expect("a file");
    fs::write(&weights, &bytes[..bytes.len() / 2]).expect("writable");
    fails(&[], "model", "model.safetensors");
    fs::remove_file(prepared.path("model/tokenizer.json")).expect("writable");
    fails(&[], "processor", "tokenizer.json");

    // A folder that holds a run.
    fs::create_dir(prepared.path("run")).expect("writable");
    let config = trainer::TrainConfig::read(&prepared.path("run.toml"), &[]).expect("a configuration");
    fs::write(prepared.path("run/config.toml"), config.to_toml().expect("TOML")).expect("writable");
    fs::write(prepared.path("run/recipe.json"), trainer::vppo().to_json().expect("JSON")).expect("writable");
    fails(&["--fresh"], "output", "already holds a run");
    fails(&["--resume"], "output", "checkpoint");
    assert!(line(&prepared.dry_run(&[]).output, "output").contains("holds a run, which would go on after step 0"));
    // Changes are compared as training would.
    prepared.dry_run(&["update.learning_rate=0.5"]).fails_with("output");
    let ended = prepared.dry_run(&["update.learning_rate=0.5"]);
    assert!(ended.output.contains("update.learning_rate: 1e-6 -> 0.5"), "{}", ended.output);
    let accepted = prepared.dry_run(&["update.learning_rate=0.5", "--accept-changes"]);
    assert!(line(&accepted.output, "output").starts_with("ok"), "{}", accepted.output);
}
