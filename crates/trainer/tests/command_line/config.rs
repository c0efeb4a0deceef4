use std::collections::BTreeSet;
use std::path::Path;

use dataset::NamedColumns;
use reward::{BuiltInPart, CosineLength, Form, Profile, RawLimits, RewardConfig, SoftOverlong};
use serde::Serialize;
use toml::{Table, Value};
use trainer::{Key, TrainConfig};

use crate::program::sightline;

const LEAST: &str = "model = 'm'\noutput = 'o'\n[data]\ntrain = 't.jsonl'\n";

fn least() -> Table {
    LEAST.parse().expect("TOML")
}

/// Sets a dotted key of a table.
fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Table::new().into());
            if !inner.is_table() {
                *inner = Table::new().into();
            }
            set(inner.as_table_mut().expect("a section"), rest, value);
        }
    }
}

fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let value = table.get(first)?;
    rest.map_or(Some(value), |rest| get(value.as_table()?, rest))
}

fn value(text: &str) -> Value {
    let table: Table = format!("value = {text}").parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    table["value"].clone()
}

/// The least configuration in which `key` has a value, with whatever must stand beside it.
fn with(key: &str, value: Value) -> Table {
    let mut config = least();
    let example = |key: &Key| key.example_value().expect("required keys have examples");
    if let Some(rest) = key.strip_prefix("reward.parts.") {
        let (kind, key) = match rest.split_once('.') {
            Some((kind, key)) => (kind, key),
            None => ("answer", rest),
        };
        let mut part = Table::from_iter([("kind".to_owned(), Value::from(kind))]);
        for needed in Key::below(&format!("reward.parts.{kind}")).into_iter().filter(|key| key.required) {
            let name = needed.name.rsplit('.').next().expect("a word");
            part.insert(name.to_owned(), example(needed));
        }
        set(&mut part, key, value);
        set(&mut config, "reward.parts", Value::Array(vec![part.into()]));
        return config;
    }
    let section = key.rsplit_once('.').map_or("", |(section, _)| section);
    if ["rollout.overlong_penalty", "data.template"].contains(&section) {
        for needed in Key::below(section).into_iter().filter(|key| key.required) {
            set(&mut config, &needed.name, example(needed));
        }
    }
    set(&mut config, key, value);
    config
}

fn parse(config: &Table) -> Result<TrainConfig, String> {
    TrainConfig::parse(&toml::to_string(config).expect("TOML"), "test").map_err(|error| error.to_string())
}

/// The keys that a section really has: what the reader says it would have expected in the place of an unknown one.
fn fields(section: &str) -> BTreeSet<String> {
    let unknown = || Value::from(0);
    let message = match section {
        "data.layout" => toml::from_str::<NamedColumns>("zzz = 0").expect_err("unknown").to_string(),
        // An untagged choice of a name and a table of one key tells nothing.
        "data.template" => return BTreeSet::from(["text".to_owned()]),
        "reward.parts" => return ["kind", "name", "weight"].map(str::to_owned).into(),
        _ => {
            let mut config = if section.is_empty() { least() } else { with(&format!("{section}.zzz"), unknown()) };
            if section.is_empty() {
                config.insert("zzz".to_owned(), unknown());
            }
            config.try_into::<TrainConfig>().expect_err("unknown").to_string()
        }
    };
    assert!(message.contains("unknown field `zzz`"), "{section}: {message}");
    backticked(message.split_once("expected").map_or("", |(_, expected)| expected.lines().next().unwrap_or_default()))
}

fn backticked(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The table documents the keys that are read, every one of them, and no others.
#[test]
fn every_key_is_documented() {
    let mut documented: BTreeSet<String> = Key::all().iter().flat_map(Key::names).map(str::to_owned).collect();
    let mut open = vec![String::new()];
    // Kinds of parts, which are no keys but choices.
    let unknown_kind = with("reward.parts.kind", Value::from("zzz")).try_into::<TrainConfig>().expect_err("unknown");
    let kinds = unknown_kind.to_string();
    let kinds = backticked(kinds.split_once("expected").expect("a list of kinds").1.lines().next().expect("a line"));
    assert!(kinds.contains("group-length") && kinds.len() >= 8, "{kinds:?}");
    let list = &Key::find("reward.parts.kind").expect("documented").about;
    for kind in &kinds {
        assert!(list.contains(kind.as_str()), "the kind {kind} is not in: {list}");
        if kind != "group-length" {
            open.push(format!("reward.parts.{kind}"));
        }
    }
    open.push("reward.parts".to_owned());
    while let Some(section) = open.pop() {
        for field in fields(&section) {
            let name = if section.is_empty() { field } else { format!("{section}.{field}") };
            let below = Key::below(&name);
            assert!(!below.is_empty(), "config/keys.toml lacks `{name}`");
            if below.iter().any(|key| key.names().any(|known| known != name && known.starts_with(&name)))
                && name != "reward.parts"
            {
                open.push(name.clone());
            }
            documented.remove(&name);
        }
    }
    assert!(documented.is_empty(), "config/keys.toml documents what is no key: {documented:?}");
}

/// What the table says of values holds: examples are accepted, and what is out of range is refused by a message that names key and
/// value.
#[test]
fn ranges_are_as_documented() {
    for key in Key::all() {
        for name in key.names() {
            if let Some(example) = &key.example {
                let accepted = parse(&with(name, value(example)));
                assert!(accepted.is_ok(), "{name} = {example}: {accepted:?}");
            }
            for refused in &key.refuses {
                let message = parse(&with(name, value(refused))).expect_err(&format!("{name} = {refused}"));
                let word = name.rsplit('.').next().expect("a word");
                assert!(
                    message.contains(word) || (name.starts_with("reward.parts") && message.contains("reward")),
                    "{name} = {refused}: {message}"
                );
            }
            // Everything else needs a value that must not be accepted, too.
            assert!(!key.refuses.is_empty(), "{name} refuses nothing");
        }
    }
}

/// Every default that is explained is the one that holds.
#[test]
fn defaults_are_the_real_ones() {
    let real = TrainConfig::parse(LEAST, "test").expect("valid").to_table().expect("TOML");
    fn of<T: Serialize>(value: T) -> Table {
        toml::to_string(&value).expect("TOML").parse().expect("TOML")
    }
    let limits = of(RawLimits::default());
    let mut others = Table::new();
    set(&mut others, "data.layout", of(NamedColumns::default()).into());
    set(&mut others, "rollout.overlong_penalty", of(SoftOverlong::new(9, 9, 1.0).expect("valid")).into());
    set(&mut others, "reward.parts.soft-overlong", of(SoftOverlong::new(9, 9, 1.0).expect("valid")).into());
    set(&mut others, "reward.parts.cosine-length", of(CosineLength::new(9).expect("valid")).into());
    set(&mut others, "reward.parts.repetition", of(reward::Repetition::default()).into());
    set(&mut others, "reward.parts.subprocess.limits", limits.clone().into());
    set(&mut others, "reward.parts.http.limits", limits.into());
    set(&mut others, "reward.parts.weight", value("1.0"));
    set(&mut others, "reward.parts.answer.profile", Value::try_from(Profile::default()).expect("TOML"));
    set(&mut others, "reward.parts.format.form", Value::try_from(Form::default()).expect("TOML"));
    let explained = sightline(&["config", "explain"], "").output();
    let mut seen = 0;
    for block in explained.split("\n\n") {
        let mut lines = block.lines();
        let names = lines.next().expect("a name").split(", ");
        let default = lines.find_map(|line| line.trim_start().strip_prefix("default ")).expect("a default").trim();
        for name in names {
            let key = Key::find(name).expect("a key");
            match get(&real, name).or_else(|| get(&others, name)).filter(|value| !value.is_table()) {
                Some(real) if !key.required => assert_eq!(value(default), *real, "{name}"),
                Some(_) => assert_eq!(default, "none: has to be given", "{name}"),
                None => assert!(default.starts_with("not set: ") || key.required, "{name}: {default}"),
            }
            seen += 1;
        }
    }
    assert_eq!(seen, Key::all().iter().flat_map(Key::names).count(), "every key is explained");
}

/// The page is what the program prints.
#[test]
fn the_page_is_made_from_the_table() {
    let printed = sightline(&["config", "explain", "--markdown"], "").output();
    let page = include_str!("../../../../docs/configuration.md");
    assert_eq!(page, printed, "run `sightline config explain --markdown > docs/configuration.md`");
}

#[test]
fn a_printed_configuration_reads_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("run.toml");
    std::fs::write(&path, LEAST).expect("a writable folder");
    let path = path.display().to_string();
    let settings = ["update.weight_decay=0.2", "rollout.overlong_penalty={ max_length = 9, buffer = 3 }"];
    let arguments = ["config", "print", "--config", &path, "--recipe", "pgpo"];
    let printed = sightline(&[&arguments[..], &settings].concat(), "").output();
    let config = TrainConfig::parse(&printed, "printed").expect("it reads back");
    let expected = TrainConfig::parse(LEAST, "test").expect("valid");
    let settings: Vec<String> =
        settings.iter().map(|text| (*text).to_owned()).chain(["recipe=pgpo".to_owned()]).collect();
    assert_eq!(config, expected.with_overrides(&settings).expect("valid"));
    assert!(printed.contains("weight_decay = 0.2\n"), "{printed}");
    assert!(printed.contains("#   data.held_out: there is no validation"), "{printed}");
    assert!(!printed.contains("#   rollout.overlong_penalty"), "what is set is not listed as unset: {printed}");
    let json = sightline(&["config", "print", "--config", &path, "--json"], "").output();
    let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!((&json["update"]["weight_decay"], &json["schedule"]["steps"]), (&0.01.into(), &200.into()));
    let bare = sightline(&["config", "print"], "").output();
    assert!(bare.contains("# To be given: model, output, data.train"), "{bare}");
    let bare = folder.path().join("bare.toml");
    std::fs::write(&bare, sightline(&["config", "print"], "").output()).expect("a writable folder");
    sightline(&["config", "validate", &bare.display().to_string()], "").fails_with("model is empty");
}

/// Who wrote what is wrong: the line of a file or the override; and what was meant.
#[test]
fn mistakes_name_their_place_and_what_was_meant() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("run.toml");
    let path_name = path.display().to_string();
    let fails = |text: &str, settings: &[&str], expected: &[&str]| {
        std::fs::write(&path, text).expect("a writable folder");
        let ended = sightline(&[&["config", "validate", &path_name], settings].concat(), "");
        expected.iter().for_each(|word| ended.fails_with(word));
    };
    let file = |rest: &str| format!("{LEAST}{rest}");
    let line = |line: usize| format!("run.toml, line {line}: ");
    for (rest, at, reason) in [
        (
            "[update]\n\nlearning_rat = 1\n",
            7,
            "unknown key `update.learning_rat`; did you mean `update.learning_rate`?",
        ),
        ("heldout = 'h'\n", 5, "did you mean `data.held_out`?"),
        ("[rollouts]\nresponses = 3\n", 6, "unknown key `rollouts.responses`; did you mean `rollout.responses`?"),
        ("[rollout]\nnum_generations = 3\n", 6, "did you mean"),
        ("[schedule]\nsteps = 0\n", 6, "schedule.steps is 0; use at least 1"),
        ("[update]\nlearning_rate = nan\n", 6, "update.learning_rate is NaN"),
        ("[update]\nlearning_rate = inf\n", 6, "update.learning_rate is inf"),
        ("[update]\nlearning_rate = 'fast'\n", 6, "update.learning_rate: invalid type: string \"fast\""),
        ("[rollout.sampling]\ntop_p = 2.0\n", 6, "`top_p` is 2"),
        ("[rollout]\nresponses = -1\n", 6, "invalid value: integer `-1`"),
        ("[reward]\nparts = [{ kind = 'answer', profil = 'mathruler' }]\n", 6, "`reward.parts[0].profil`"),
        ("min_pixels = 5\nmax_pixels = 4\n", 5, "data.max_pixels 4"),
    ] {
        fails(&file(rest), &[], &[&line(at), reason]);
    }
    for (setting, reason) in [
        ("update.learning_rat=1", "did you mean `update.learning_rate`?"),
        ("worker.actor.optim.lr=1e-6", "that is a key of EasyR1; did you mean `update.learning_rate`?"),
        ("num_generations=8", "that is a key of TRL; did you mean `rollout.responses`?"),
        ("actor_rollout_ref.rollout.n=8", "that is a key of verl; did you mean `rollout.responses`?"),
        ("algorithm.kl_coef=0.1", "here it is `objective.reference_kl` of a recipe"),
        ("schedule.steps=0", "schedule.steps is 0"),
        ("rollout.sampling.temperature=nan", "`temperature` is NaN"),
        ("model.x=1", "not a section"),
        ("update..learning_rate=1", "the key is empty"),
        ("nonsense", "expected key=value"),
        ("data.min_pixels=0", "data.min_pixels is 0"),
    ] {
        // The second setting is innocent and must not be blamed.
        fails(&file(""), &[setting, "schedule.keep=2"], &[&format!("command line: {setting}: "), reason]);
    }
    // A file's mistake is not put on an override beside it, and an override may mend a file.
    fails(&file("[update]\nbeta_1 = 2.0\n"), &["update.beta_2=0.9"], &[&line(6), "update.beta_1 is 2"]);
    std::fs::write(&path, file("[update]\nbeta_1 = 2.0\n")).expect("a writable folder");
    sightline(&["config", "validate", &path_name, "update.beta_1=0.5"], "").output();
    fails("output = 'o'\n[data]\ntrain = 't'\n", &[], &["model is missing", "for example `model ="]);
    fails("model = 'm'\noutput = 'o'\n[data]\n", &[], &["data.train is missing"]);
    fails(&file("[schedule\n"), &[], &["run.toml", "line 5"]);
    fails(&file(""), &["recipe=vpo"], &["no recipe `vpo`"]);
    let yaml = folder.path().join("run.yaml");
    std::fs::write(&yaml, "data:\n  seed: 1\n").expect("a writable folder");
    sightline(&["config", "validate", &yaml.display().to_string()], "").fails_with("sightline config import");
    sightline(&["config", "explain", "update.learning_rat"], "").fails_with("did you mean `update.learning_rate`?");
    let section = sightline(&["config", "explain", "rollout.sampling"], "").output();
    for part in
        ["rollout.sampling.top_p", "VPPO, PGPO, PAPO: 0.99", "worker.rollout.top_p", "tokens", "above 0, at most 1"]
    {
        assert!(section.contains(part), "{part} expected in {section}");
    }
    assert!(!section.contains("update."), "{section}");
}

/// The settings for the papers' runs are configurations, and say what the papers say.
#[test]
fn configurations_of_the_papers_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if name == "demo" {
            continue;
        }
        let config = TrainConfig::read(&path, &[]).expect("a configuration");
        let (recipe, size) = name.rsplit_once('-').expect("a recipe and a size");
        trainer::Recipe::find(&config.recipe).expect("a recipe").build().check().expect("it fits together");
        assert_eq!(config.recipe, recipe);
        assert_eq!(config.model, Path::new(&format!("Qwen/Qwen2.5-VL-{}-Instruct", size.to_uppercase())));
        let (rollout, update) = (&config.rollout, &config.update);
        let as_pgpo = recipe == "pgpo" || recipe == "prpo" || (size == "3b" && recipe != "vppo");
        assert_eq!(rollout.responses, if as_pgpo { 5 } else { 8 }, "{name}");
        assert_eq!(config.reward.format_weight.map(reward::Weight::value), as_pgpo.then_some(0.1), "{name}");
        assert_eq!((rollout.prompts_per_step, update.updates_per_step), (384, 3), "128 problems to an update");
        assert_eq!((rollout.sampling.temperature, rollout.sampling.top_p), (1.0, 0.99));
        assert_eq!((rollout.sampling.max_new_tokens, config.data.max_prompt_tokens), (2048, 4096));
        assert_eq!((config.data.min_pixels, config.data.max_pixels), (Some(200_704), Some(1_003_520)));
        assert_eq!((update.learning_rate, update.weight_decay, update.warmup_steps), (1e-6, 0.01, 0));
        assert_eq!((config.schedule.steps, config.schedule.validation_samples), (38_870 / 384 * 2, 8));
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text.contains("*reconstruction*"), recipe == "prpo", "{name}");
        found.push(name);
    }
    found.sort();
    let all =
        ["dapo", "grpo", "pgpo", "prpo", "vppo"].map(|recipe| ["3b", "7b"].map(|size| format!("{recipe}-{size}")));
    assert_eq!(found, all.concat());
}

/// A reward of parts has its keys by kind.
#[test]
fn parts_of_a_reward_are_documented_by_their_kind() {
    let config = parse(&with("reward.parts.repetition.words", 4.into())).expect("valid");
    let RewardConfig { parts, .. } = config.reward;
    assert!(matches!(parts[0].part, BuiltInPart::Repetition(_)));
    let message = parse(&with("reward.parts.repetition.word", 4.into())).expect_err("unknown");
    assert!(message.contains("did you mean `reward.parts.repetition.words`"), "{message}");
}
