use std::path::Path;

use burn::tensor::Device;
use dataset::shapes::{self, ShapesConfig};
use trainer::{Recipe, pgpo, prpo, vppo};

use crate::program::{Ended, device_name, sightline};

/// Writes a model, problems, a recipe that trains on every group, and a configuration of short steps.
pub(crate) fn configuration(folder: &Path) -> String {
    trainer::demo::untrained(&folder.join("model"), 4, &Device::default()).expect("a writable folder");
    let shapes = ShapesConfig {
        train: 4,
        held_out: 2,
        sides: vec![56],
        min_shapes: 1,
        max_shapes: 2,
        ..ShapesConfig::default()
    };
    shapes::write(&shapes, &folder.join("problems")).expect("a writable folder");
    let recipe = Recipe { name: "unfiltered".to_owned(), accuracy_band: None, ..vppo() };
    std::fs::write(folder.join("recipe.json"), recipe.to_json().expect("finite numbers")).expect("a writable folder");
    let path = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "model = {:?}\noutput = {:?}\nrecipe = {:?}\n\
         [data]\ntrain = {:?}\nheld_out = {:?}\n\
         [rollout]\nprompts_per_step = 2\nresponses = 2\nsampling = {{ max_new_tokens = 5 }}\n\
         [update]\nlearning_rate = 1e-3\n\
         [schedule]\nsteps = 3\nsave_every = 1\nvalidation_samples = 1\n",
        path("model"),
        path("unused"),
        path("recipe.json"),
        path("problems/train.jsonl"),
        path("problems/held_out.jsonl"),
    );
    std::fs::write(folder.join("run.toml"), text).expect("a writable folder");
    path("run.toml")
}

/// A run that is ended after one step and resumed by another process arrives where an undisturbed one does.
#[test]
fn another_process_goes_on_where_one_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = configuration(folder.path());
    let path = |name: &str| folder.path().join(name);
    let train = |output: &str, more: &[&str]| -> Ended {
        let (output, device) = (path(output).display().to_string(), device_name());
        let arguments = ["train", "--config", &config, "--output", &output, "--device", &device];
        sightline(&[&arguments, more].concat(), "")
    };
    let straight = train("straight", &[]).output();
    assert!(straight.contains("held-out accuracy") && straight.contains("checkpoints"), "{straight}");
    train("broken", &["schedule.steps=1"]).output();
    train("broken", &["--fresh", "schedule.steps=3"]).fails_with("--resume");
    train("broken", &["--resume", "schedule.steps=3", "update.learning_rate=2e-3"]).fails_with("0.001 -> 0.002");
    train("broken", &["schedule.steps=3"]).output();
    let weights = |run: &str, step: usize| {
        std::fs::read(path(run).join(format!("checkpoints/step-{step}/model.safetensors"))).expect("a checkpoint")
    };
    assert!(weights("broken", 3) == weights("straight", 3), "the same weights, bit for bit");
    assert!(weights("straight", 2) != weights("straight", 3), "every step changes them");
    let metrics = std::fs::read_to_string(path("broken").join("metrics.jsonl")).expect("metrics were written");
    let steps = metrics.lines().filter(|line| line.contains("actor/lr")).count();
    assert_eq!(steps, 3, "{metrics}");
    let before = std::fs::read(path("broken").join("config.toml")).expect("the configuration");
    let finished = train("broken", &["schedule.steps=2"]).output();
    assert!(finished.contains("the run is finished: 3 steps") && finished.contains("step-3"), "{finished}");
    assert!(
        std::fs::read(path("broken").join("config.toml")).expect("the configuration") == before,
        "nothing is written"
    );
}

/// Changes that are consented to are written down, and what the run was trained with before stays beside them.
#[test]
fn changes_are_shown_and_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = configuration(folder.path());
    let path = |name: &str| folder.path().join(name);
    let output = path("run").display().to_string();
    let train = |more: &[&str]| {
        let device = device_name();
        let arguments = ["train", "--config", &config, "--output", &output, "--device", &device];
        sightline(&[&arguments, more].concat(), "")
    };
    train(&["--resume"]).fails_with("no complete checkpoint");
    train(&["schedule.steps=1"]).output();
    let first = std::fs::read_to_string(path("run/config.toml")).expect("the configuration");
    let refused = train(&["schedule.steps=2", "update.beta_1=0.8", "--recipe", "grpo"]);
    for word in ["update.beta_1: 0.9 -> 0.8", "recipe: dependency: - ", "--accept-changes", "trained otherwise"] {
        refused.fails_with(word);
    }
    assert!(!refused.errors.contains("schedule.steps"), "what needs no consent is not in the way: {}", refused.errors);
    let accepted = train(&["schedule.steps=2", "update.beta_1=0.8", "--accept-changes"]);
    for word in ["changed: update.beta_1: 0.9 -> 0.8", "changed: schedule.steps: 1 -> 2", "going on from"] {
        assert!(accepted.errors.contains(word), "`{word}` expected in: {}", accepted.errors);
    }
    accepted.output();
    let second = std::fs::read_to_string(path("run/config.toml")).expect("the configuration");
    assert!(second.contains("beta_1 = 0.8") && first.contains("beta_1 = 0.9"));
    assert_eq!(std::fs::read_to_string(path("run/config.step-1.toml")).expect("the one before"), first);
    assert!(!path("run/recipe.step-1.json").exists(), "the recipe is the same");
    train(&["schedule.steps=3", "update.beta_1=0.8", "--recipe", "grpo", "--accept-changes"]).output();
    assert_eq!(std::fs::read_to_string(path("run/config.step-2.toml")).expect("the one before"), second);
    let recipe = Recipe::read(&path("run/recipe.step-2.json")).expect("the one before");
    assert_eq!(recipe.name, "unfiltered");
    assert_eq!(Recipe::read(&path("run/recipe.json")).expect("the present one").name, "grpo");
    // Without a configuration the run's own is taken.
    let own = sightline(&["train", "--output", &output, "schedule.steps=4"], "");
    assert!(own.success && own.errors.contains("recipe: grpo"), "{}", own.errors);
    assert!(path("run/checkpoints/step-4").exists());
}

/// A recipe of one's own takes the same step from a JSON and from a TOML file, and its caveat stands where its name does.
#[test]
fn recipes_of_ones_own_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = configuration(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let caveat = Some("mine alone".to_owned());
    let recipe = Recipe { name: "own".to_owned(), caveat, accuracy_band: None, shapers: pgpo().shapers, ..prpo() };
    let mut weights = Vec::new();
    for (form, text) in [("json", recipe.to_json()), ("toml", recipe.to_toml())] {
        std::fs::write(path(&format!("own.{form}")), text.expect("finite numbers")).expect("a writable folder");
        let (own, output, device) = (path(&format!("own.{form}")), path(form), device_name());
        let arguments = ["train", "--config", &config, "--recipe", &own, "--output", &output, "--device", &device];
        let ended = sightline(&[&arguments[..], &["schedule.steps=1"]].concat(), "");
        assert!(ended.success && ended.errors.contains("recipe: own (mine alone)"), "{}", ended.errors);
        let checkpoint = path(&format!("{form}/checkpoints/step-1/model.safetensors"));
        weights.push(std::fs::read(checkpoint).expect("a checkpoint"));
        let kept = sightline(&["recipe", "show", &path(&format!("{form}/recipe.json"))], "").output();
        assert_eq!(kept.trim_end(), recipe.to_json().expect("finite numbers"));
    }
    assert!(weights[0] == weights[1], "the same weights, bit for bit");
}

#[test]
fn mistakes_are_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nowhere = folder.path().join("nowhere").display().to_string();
    sightline(&["train", "--config", &nowhere], "").fails_with("nowhere");
    sightline(&["train", "--resume", "--output", &nowhere], "").fails_with("no complete checkpoint");
    let output = folder.path().join("demonstration").display().to_string();
    sightline(&["train", "--model", &nowhere, "--output", &output], "").fails_with("nowhere");
    assert!(!folder.path().join("demonstration").exists(), "nothing is written before the model is found");
    let own = folder.path().join("own/problems/mine.jsonl");
    std::fs::create_dir_all(own.parent().expect("a folder")).expect("a writable folder");
    std::fs::write(&own, "kept").expect("a writable folder");
    let output = folder.path().join("own").display().to_string();
    sightline(&["train", "--output", &output], "").fails_with("other files");
    assert_eq!(std::fs::read_to_string(&own).expect("still there"), "kept", "files of others are never removed");
    let config = folder.path().join("run.toml");
    std::fs::write(&config, "model = \"m\"\noutput = \"o\"\n[data]\ntrain = \"t\"\n").expect("a writable folder");
    let config = config.display().to_string();
    sightline(&["train", "--config", &config, "update.learning_rat=1"], "").fails_with("learning_rat");
    sightline(&["train", "--config", &config, "rollout.responses=0"], "").fails_with("rollout.responses is 0");
    sightline(&["train", "--config", &config, "--recipe", "vpo"], "").fails_with("grpo, dr-grpo, dapo");
}
