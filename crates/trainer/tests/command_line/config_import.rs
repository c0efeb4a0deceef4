use std::path::Path;

use serde_json::Value;
use trainer::{Recipe, TrainConfig};

use crate::program::{Ended, fixture, sightline};

/// Converts a configuration into a file of a folder.
fn import(folder: &Path, fixture_name: &str, more: &[&str]) -> (Ended, String) {
    let output = folder.join("run.toml").display().to_string();
    let file = fixture(&format!("configs/{fixture_name}"));
    let ended = sightline(&[&["config", "import", &file, "--output", &output], more].concat(), "");
    (ended, output)
}

/// What became of each key, as the program's JSON has it.
fn fates(account: &str) -> Vec<(String, String, bool, bool)> {
    let list: Value = serde_json::from_str(account).expect("a JSON list");
    let fate = |key: &Value| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let matters = key["fate"]["matters"].as_bool().unwrap_or(false);
        (text(&key["key"]), text(&key["fate"]["kind"]), matters, key["given"].as_bool().expect("a flag"))
    };
    list.as_array().expect("a list").iter().map(fate).collect()
}

/// Every dotted key of a YAML file of plain mappings.
fn keys_of(fixture_name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(fixture(&format!("configs/{fixture_name}"))).expect("a fixture");
    let (mut keys, mut path) = (Vec::new(), Vec::<&str>::new());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    let depth = |line: &str| (line.len() - line.trim_start().len()) / 2;
    for (index, line) in lines.iter().enumerate() {
        path.truncate(depth(line));
        path.push(line.trim().split_once(':').expect("a mapping").0);
        if lines.get(index + 1).is_none_or(|next| depth(next) <= depth(line)) {
            keys.push(path.join("."));
        }
    }
    keys
}

/// No key is left without an account, whatever becomes of it.
#[test]
fn every_key_is_accounted_for() {
    for name in ["easyr1-geometry3k.yaml", "vppo-7b.yaml", "papo-3b.yaml"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (ended, _) = import(folder.path(), name, &["--json"]);
        let fates = fates(&ended.output());
        let keys = keys_of(name);
        assert!(keys.len() > 25, "{name}");
        for key in &keys {
            assert_eq!(fates.iter().filter(|fate| fate.0 == *key).count(), 1, "{name}: {key}");
        }
        let given = fates.iter().filter(|(.., given)| *given).count();
        assert_eq!(given, keys.len(), "{name}: nothing else is said to be given");
    }
}

/// The released VPPO is the built-in recipe, and its settings are those of `configs/vppo-7b.toml`.
#[test]
fn vppo_as_released_is_the_built_in_recipe() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ended, output) = import(folder.path(), "vppo-7b.yaml", &["--strict"]);
    let account = ended.output();
    assert!(account.contains("recipe vppo: 0 that matter could not be expressed"), "{account}");
    assert!(account.contains("implied    worker.actor.padding_free = true"), "{account}");
    assert!(account.contains("lost       worker.rollout.tensor_parallel_size = 2"), "{account}");
    assert!(account.contains("converted  trainer.total_epochs = 2: schedule.steps = 202"), "{account}");
    assert!(
        account.contains("converted  worker.actor.global_batch_size = 128: update.updates_per_step = 3"),
        "{account}"
    );
    assert!(!folder.path().join("run.recipe.toml").exists(), "a built-in recipe needs no file");
    let imported = TrainConfig::read(output.as_ref(), &[]).expect("a configuration");
    let ours = TrainConfig::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/vppo-7b.toml"), &[]);
    let mut expected = ours.expect("a configuration");
    // What the released run keeps, where it puts it, and how it fits its passes into memory.
    expected.output = "checkpoints/vppo/qwen2_5_vl_7b".into();
    expected.schedule.keep = 1;
    expected.update.tokens_per_micro_batch = 16 * (4096 + 2048);
    assert_eq!(imported, expected);
}

#[test]
fn papo_as_released_is_the_built_in_recipe() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ended, output) = import(folder.path(), "papo-3b.yaml", &["--strict"]);
    ended.output();
    let config = TrainConfig::read(output.as_ref(), &[]).expect("a configuration");
    assert_eq!((config.recipe.as_str(), config.rollout.responses), ("papo", 5));
    assert_eq!(config.reward.format_weight.map(reward::Weight::value), Some(0.1), "by default of math.py");
    assert_eq!(config.rollout.max_rounds, 20, "EasyR1's default");
    assert_eq!(config.schedule.steps, 202);
}

/// A run of EasyR1 with a reference policy becomes a recipe of its own, and what cannot be said is named.
#[test]
fn a_run_of_easyr1_is_converted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = ["worker.rollout.n=8", "algorithm.kl_coef=0.02", "trainer.project_name=mine", "--problems", "2101"];
    let (strict, output) = import(folder.path(), "easyr1-geometry3k.yaml", &[&settings[..], &["--strict"]].concat());
    for key in
        ["worker.actor.model.lora.rank", "worker.actor.optim.lr_scheduler_type", "val_override_config.temperature"]
    {
        strict.fails_with(key);
    }
    assert!(!Path::new(&output).exists(), "nothing is written where something is lost");

    let (ended, output) = import(folder.path(), "easyr1-geometry3k.yaml", &settings);
    let account = ended.output();
    for line in [
        "LOST       worker.actor.model.lora.rank = 16",
        "LOST       worker.actor.optim.lr_scheduler_type = \"cosine\"",
        "LOST       worker.rollout.val_override_config.temperature = 0.6",
        "lost       worker.actor.fsdp.torch_dtype = \"bf16\"",
        "converted  worker.actor.clip_ratio_high = 0.3 by default: recipe: loss.clip.high = 0.3",
        "3 that matter could not be expressed",
    ] {
        assert!(account.contains(line), "{line} expected in {account}");
    }
    let config = TrainConfig::read(output.as_ref(), &[]).expect("a configuration");
    assert_eq!(config.model, Path::new("Qwen/Qwen2.5-VL-7B-Instruct"));
    assert_eq!(config.output, Path::new("checkpoints/mine/geometry_8"), "an override reaches an interpolation");
    assert_eq!(config.data.train.parts().collect::<Vec<_>>(), ["hiyouga/geometry3k@train"]);
    let (rollout, update, schedule) = (&config.rollout, &config.update, &config.schedule);
    assert_eq!((rollout.responses, rollout.prompts_per_step, update.updates_per_step), (8, 512, 4));
    assert_eq!((rollout.sampling.top_p, rollout.sampling.top_k), (1.0, 0));
    assert_eq!((update.beta_1, update.beta_2, update.tokens_per_micro_batch), (0.9, 0.95, 4096));
    // 2101 problems make 4 steps an epoch.
    assert_eq!((schedule.steps, update.warmup_steps), (15 * 4, 3));
    assert_eq!((schedule.save_every, schedule.keep, schedule.validation_samples), (5, 3, 4));
    assert_eq!(config.reward.format_weight.map(reward::Weight::value), Some(0.2));
    assert!(config.data.template.render("2 + 2?").expect("a template").contains("You FIRST think"));

    let recipe = Recipe::find(&config.recipe).expect("it stands beside the configuration");
    assert_eq!(config.recipe, folder.path().join("run.recipe.toml").display().to_string());
    let differences = trainer::grpo().differences(&recipe).expect("finite numbers");
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        differences,
        [
            "loss.clip.high: 0.2 -> 0.3",
            "objective.reduction: sequence-mean -> token-mean",
            "objective.reference_kl: + {\"estimator\":\"k3\",\"coefficient\":0.02}",
        ]
    );
    let (again, _) = import(folder.path(), "easyr1-geometry3k.yaml", &settings);
    again.fails_with("run.recipe.toml");
}

/// On standard output configuration, recipe and account are one valid file.
#[test]
fn standard_output_is_a_configuration() {
    let file = fixture("configs/vppo-7b.yaml");
    let printed = sightline(&["config", "import", &file, "algorithm.top_p_perception_tokens=0.3"], "").output();
    let table: toml::Table = printed.parse().expect("TOML");
    assert_eq!(table["recipe"].as_str(), Some("imported.recipe.toml"));
    assert!(printed.contains("\n# keep = 0.3\n") && printed.contains("\n# name = \"vppo-imported\"\n"), "{printed}");
}

#[test]
fn choices_of_the_algorithm_are_converted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("run.yaml");
    let text = "data: {train_files: t, prompt_key: question}\nworker: {actor: {model: {model_path: m}}, reward: {reward_function: 'x/math.py:compute_score_wo_format'}}\ntrainer: {max_steps: 7}\n";
    std::fs::write(&file, text).expect("a writable folder");
    let file = file.display().to_string();
    let convert = |name: &str, settings: &[&str]| {
        let output = folder.path().join(format!("{name}.toml")).display().to_string();
        let ended = sightline(&[&["config", "import", &file, "--output", &output], settings].concat(), "");
        let account = ended.output();
        let config = TrainConfig::read(output.as_ref(), &[]).expect("a configuration");
        (
            account,
            serde_json::to_string(&Recipe::find(&config.recipe).expect("a recipe")).expect("finite numbers"),
            config,
        )
    };
    let no_kl = "algorithm.disable_kl=true";
    let (account, recipe, config) = convert("defaults", &[]);
    assert!(account.contains("reward.profile = \"mathruler\", by its name; the file was not read"), "{account}");
    // The same folder, said from the working directory.
    let depth = std::env::current_dir().expect("a working directory").components().count() - 1;
    let relative = "../".repeat(depth) + folder.path().to_str().expect("UTF-8").trim_start_matches('/');
    sightline(&["config", "import", &file, "--output", &format!("{relative}/relative.toml")], "").output();
    let named = TrainConfig::read(&folder.path().join("relative.toml"), &[]).expect("a configuration").recipe;
    assert!(Path::new(&named).is_absolute(), "found from every folder: {named}");
    assert!(account.contains("LOST       worker.rollout.n = 1 by default: one response"), "{account}");
    assert!(recipe.contains(r#""reward_kl":{"estimator":"k1","coefficient":0.001}"#), "{recipe}");
    assert_eq!((config.schedule.steps, config.rollout.responses, config.seed), (7, 1, 1));
    assert_eq!(config.rollout.sampling.max_new_tokens, 512, "EasyR1's default and not ours");
    assert_eq!((config.rollout.prompts_per_step, config.update.updates_per_step), (512, 2));
    let layout = toml::to_string(&config.data).expect("TOML");
    assert!(layout.contains("problem = \"question\""), "{layout}");

    let gspo =
        ["worker.actor.loss_type=gspo_token", "worker.actor.clip_ratio_low=3e-4", "worker.actor.clip_ratio_high=4e-4"];
    let (_, recipe, _) = convert("gspo", &[&gspo[..], &[no_kl, "worker.actor.loss_avg_mode=seq"]].concat());
    assert!(recipe.contains(r#""kind":"gspo","clip":{"low":0.0003,"high":0.0004},"token_level":true"#), "{recipe}");
    assert!(recipe.contains(r#""reduction":"sequence-mean""#), "{recipe}");
    let (_, recipe, _) = convert(
        "cispo",
        &["worker.actor.loss_type=cispo", "worker.actor.clip_ratio_low=0", "worker.actor.clip_ratio_high=4", no_kl],
    );
    assert!(recipe.contains(r#""kind":"cispo","low":0.0,"high":4.0"#), "{recipe}");
    let (_, recipe, _) =
        convert("reinforce", &["algorithm.adv_estimator=reinforce_plus_plus", "algorithm.gamma=0.9", no_kl]);
    assert!(recipe.contains(r#""kind":"reinforce-plus-plus","discount":0.9"#), "{recipe}");
    let entropy = ["algorithm.use_vppo_on_entropy=true", "algorithm.top_p_entropy_tokens=0.2"];
    let (_, recipe, _) = convert("entropy", &[&entropy[..], &[no_kl]].concat());
    assert!(
        recipe.contains(r#""kind":"token-filter","keep":0.2,"by":"entropy""#) && !recipe.contains("blackout"),
        "{recipe}"
    );
    let (_, recipe, _) = convert("either", &[&entropy[..], &[no_kl, "algorithm.use_vppo_on_perception=true"]].concat());
    assert!(recipe.contains(r#""by":"either""#) && recipe.contains("blackout"), "{recipe}");

    // What is not there is named, and --strict refuses it.
    for (setting, key) in [
        ("algorithm.adv_estimator=gae", "algorithm.adv_estimator"),
        ("worker.actor.loss_type=sapo", "worker.actor.loss_type"),
        ("algorithm.kl_penalty=abs", "algorithm.kl_penalty"),
        ("algorithm.kl_type=adaptive", "algorithm.kl_type"),
        ("worker.actor.ppo_epochs=2", "worker.actor.ppo_epochs"),
        ("worker.actor.global_batch_size=100", "worker.actor.global_batch_size"),
        ("data.shuffle=false", "data.shuffle"),
        ("worker.actor.optm.lr=1", "worker.actor.optm.lr"),
        ("worker.reward.reward_function=mine.py:judge", "worker.reward.reward_function"),
    ] {
        sightline(&["config", "import", &file, setting, "--strict"], "").fails_with(key);
    }
    sightline(&["config", "import", &file, "worker.rollout.n=5", "--strict"], "").output();
    // One response, which is the default, cannot be compared; over the batch it can.
    sightline(&["config", "import", &file, "--strict"], "").fails_with("worker.rollout.n");
    let alone = ["config", "import", &file, "algorithm.adv_estimator=reinforce_plus_plus", "--strict"];
    sightline(&alone, "").output();
    // Without the number of problems, epochs cannot become steps.
    sightline(&["config", "import", &file, "trainer.max_steps=null", "--strict"], "")
        .fails_with("trainer.total_epochs");
}

#[test]
fn mistakes_are_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("run.yaml");
    let path = file.display().to_string();
    for (text, expected) in [
        ("data: [1", "no YAML"),
        ("- 1\n", "YAML mapping"),
        ("data: {train_files: '${data.nothing}'}", "`${data.nothing}` names a key that is not there"),
        ("data: {train_files: '${data.val_files}', val_files: '${data.train_files}'}", "circle"),
        ("data: {train_files: '${oc.env:HOME}'}", "not the name of a key"),
        ("data: {train_files: '${data.seed'}", "does not close"),
        ("data: {seed: soon}", "data.seed is \"soon\"; expected a whole number"),
        (
            "worker: {actor: {optim: {betas: [0.9]}}}",
            "worker.actor.optim.betas is [0.9]; expected a list of two numbers",
        ),
        ("worker: {actor: {clip_ratio_low: 1.5}}", "clip range low 1.5"),
        ("worker: {rollout: {top_p: 2.0}}", "`top_p` is 2"),
        ("worker: {actor: {optim: {lr: -1}}}", "update.learning_rate is -1"),
    ] {
        std::fs::write(&file, text).expect("a writable folder");
        sightline(&["config", "import", &path], "").fails_with(expected);
    }
    sightline(&["config", "import", &path, "data.seed"], "").fails_with("expected key=value");
    sightline(&["config", "import", "nowhere.yaml"], "").fails_with("nowhere.yaml");
}
