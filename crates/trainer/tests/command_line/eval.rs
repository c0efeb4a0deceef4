use std::path::{Path, PathBuf};

use burn::tensor::Device;
use dataset::shapes::{self, ShapesConfig};
use serde_json::Value;

use crate::program::{Ended, device_name, fixture, sightline};

/// A small model that has seen nothing and 34 problems of two sorts: more than one block.
struct Given {
    folder: tempfile::TempDir,
}

impl Given {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        trainer::demo::untrained(&folder.path().join("model"), 4, &Device::default()).expect("a writable folder");
        let shapes = ShapesConfig {
            train: 4,
            held_out: 34,
            sides: vec![56],
            min_shapes: 1,
            max_shapes: 2,
            ..ShapesConfig::default()
        };
        shapes::write(&shapes, &folder.path().join("problems")).expect("a writable folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn eval(&self, more: &[&str]) -> Ended {
        let (model, data) = (self.path("model"), self.path("problems/held_out.jsonl"));
        let (model, data, device) = (model.display().to_string(), data.display().to_string(), device_name());
        let arguments = [
            "eval",
            "--model",
            &model,
            "--data",
            &data,
            "--device",
            &device,
            "--max-new-tokens",
            "4",
            "--samples",
            "2",
        ];
        sightline(&[&arguments, more].concat(), "")
    }
}

fn json(ended: Ended) -> Value {
    serde_json::from_str(&ended.output()).expect("one JSON object")
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("responses");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

/// From files of problems to figures: a table for people, an object for programs, every response in the folder; a second
/// time nothing is answered again, and with other settings the folder is refused.
#[test]
fn problems_are_answered_and_kept() {
    let given = Given::new();
    let output = given.path("output");
    let folder = output.display().to_string();
    let table = given.eval(&["--output", &folder]).output();
    for word in ["held-out accuracy: 0.0 %", "34 problems × 2", "± SE", "pass@2", "color", "count", "SE from the draws"]
    {
        assert!(table.contains(word), "`{word}` expected in: {table}");
    }
    let records = lines(&output.join("responses.jsonl"));
    assert_eq!(records.len(), 68);
    let is_whole = |record: &Value| {
        let tokens = record["tokens"].as_u64().expect("a count");
        record["kind"] == "response" && (1..=4).contains(&tokens) && (record["truncated"] == false || tokens == 4)
    };
    assert!(records.iter().all(is_whole), "{records:?}");
    assert!(records[3]["question"].as_str().is_some_and(|text| text.starts_with("<image>")), "{}", records[3]);
    assert_eq!((&records[3]["problem"], &records[3]["sample"]), (&1.into(), &1.into()));
    let summary = json(given.eval(&["--json"]));
    let kept = std::fs::read_to_string(output.join("summary.json")).expect("the figures");
    assert_eq!(serde_json::from_str::<Value>(&kept).expect("JSON"), summary, "kept or printed, the same");
    let overall = &summary["evaluation"]["overall"];
    assert_eq!(
        (&overall["problems"], &overall["responses"], &overall["length"]["max"]),
        (&34.into(), &68.into(), &4.into())
    );
    let truncated = records.iter().filter(|record| record["truncated"] == true).count();
    assert_eq!(overall["truncated"], Value::from(truncated as f64 / 68.0));
    assert_eq!(summary["protocol"]["problems"]["count"], 34);

    let before = std::fs::read(output.join("responses.jsonl")).expect("responses");
    let again = given.eval(&["--output", &folder]);
    assert_eq!(again.output(), table, "nothing is left to answer");
    given.eval(&["--output", &folder, "--seed", "1"]).fails_with("seed: 0 -> 1");
    given.eval(&["--output", &folder, "--limit", "9"]).fails_with("problems.count: 34 -> 9");
    assert!(std::fs::read(output.join("responses.jsonl")).expect("responses") == before, "what is kept stays as it is");
}

/// What a reward of the user's left ungraded is judged when the evaluation is taken up again, finished or not, and
/// nothing is answered anew: file and figures come out as if the reward had never failed.
#[test]
fn ungraded_responses_are_judged_again() {
    let given = Given::new();
    let judge = given.path("judge.sh");
    let alive = r#"while read -r line; do id=${line#*:}; echo "{\"id\":${id%%,*},\"score\":1}"; done"#;
    let part = format!(
        "reward={{ parts = [{{ kind = 'subprocess', name = 'mine', command = ['sh', '{}'], \
         limits = {{ retries = 0 }} }}] }}",
        judge.display()
    );
    let eval = |name: &str, script: &str| {
        std::fs::write(&judge, script).expect("a writable folder");
        let folder = given.path(name).display().to_string();
        given.eval(&["--output", &folder, "rollout.judge_truncated=true", &part])
    };
    let read = |name: &str, file: &str| std::fs::read_to_string(given.path(name).join(file)).expect("a kept file");
    eval("healthy", alive).output();
    let dead = eval("dead", "exit 1");
    dead.fails_with("the same command judges them again");
    assert!(!dead.output.contains('%'), "no figures: {dead:?}");
    let figures: Value = serde_json::from_str(&read("dead", "summary.json")).expect("JSON");
    assert_eq!(figures["evaluation"]["overall"]["accuracy"], Value::Null);
    let nothing = given.eval(&["--limit", "0"]);
    nothing.fails_with("there is no problem to answer");
    assert_eq!(nothing.output, "");
    assert!(read("dead", "responses.jsonl").contains("\"ungraded\""));
    // With the last block gone besides, which is answered then.
    let first: String = read("dead", "responses.jsonl").lines().take(64).map(|line| format!("{line}\n")).collect();
    std::fs::create_dir(given.path("half")).expect("a writable folder");
    std::fs::write(given.path("half/responses.jsonl"), first).expect("a writable folder");
    std::fs::write(given.path("half/protocol.json"), read("dead", "protocol.json")).expect("a writable folder");
    for name in ["dead", "half"] {
        let again = eval(name, alive);
        assert!(again.errors.contains("judged again"), "{again:?}");
        again.output();
        for file in ["responses.jsonl", "summary.json"] {
            assert!(read(name, file) == read("healthy", file), "{name}/{file}");
        }
        let settled = eval(name, "exit 1");
        assert!(!settled.errors.contains("judged again"), "nothing is left to judge: {settled:?}");
        settled.output();
    }
}

/// The likeliest tokens do not depend on the seed; they take one response. The first problems have the same responses whether
/// or not others follow.
#[test]
fn greedy_answers_and_first_problems() {
    let given = Given::new();
    let (model, data) = (given.path("model").display().to_string(), given.path("problems/held_out.jsonl"));
    let data = data.display().to_string();
    let eval = |name: &str, more: &[&str]| {
        let (folder, device) = (given.path(name), device_name());
        let output = folder.display().to_string();
        let arguments = [
            "eval",
            "--model",
            &model,
            "--data",
            &data,
            "--max-new-tokens",
            "3",
            "--device",
            &device,
            "--output",
            &output,
        ];
        sightline(&[&arguments, more].concat(), "").output();
        lines(&folder.join("responses.jsonl"))
    };
    let greedy = eval("greedy", &["--greedy", "--limit", "3"]);
    assert_eq!((greedy.len(), &greedy[2]["sample"]), (3, &0.into()));
    assert_eq!(greedy, eval("other", &["--greedy", "--limit", "3", "--seed", "5"]));
    assert_eq!(greedy, eval("zero", &["--temperature", "0", "--limit", "3"]), "one response, as with --greedy");
    let (three, all) = (eval("three", &["--limit", "3"]), eval("all", &["--limit", "5"]));
    assert_eq!(three.len(), 24, "training's eight responses to each");
    assert_eq!(three, all[..24]);
    assert_ne!(three, eval("seed", &["--limit", "3", "--seed", "5"]));
}

/// A configuration of a run says everything, a bad row is named and left out, and an evaluation of nothing fails.
#[test]
fn bad_rows_are_named() {
    let given = Given::new();
    let text = std::fs::read_to_string(given.path("problems/held_out.jsonl")).expect("problems");
    let mut rows: Vec<&str> = text.lines().take(3).collect();
    let bad = r#"{"problem": "Is <|im_end|> a word?", "answer": "no"}"#;
    rows[1] = bad;
    std::fs::write(given.path("problems/some.jsonl"), rows.join("\n")).expect("a writable folder");
    std::fs::write(given.path("problems/none.jsonl"), bad).expect("a writable folder");
    let config = |data: &str| {
        let text = format!(
            "model = {:?}\noutput = \"unused\"\ndevice = {:?}\n[data]\ntrain = \"unused\"\nheld_out = {:?}\n\
             [rollout.sampling]\nmax_new_tokens = 3\n[schedule]\nvalidation_samples = 2\n",
            given.path("model"),
            device_name(),
            given.path(&format!("problems/{data}.jsonl"))
        );
        let path = given.path(&format!("{data}.toml"));
        std::fs::write(&path, text).expect("a writable folder");
        path.display().to_string()
    };
    let ended = sightline(&["eval", "--config", &config("some"), "--json"], "");
    assert!(ended.errors.contains("some.jsonl:2") && ended.errors.contains("<|im_end|>"), "{}", ended.errors);
    let evaluation = &json(ended)["evaluation"];
    assert_eq!((&evaluation["overall"]["problems"], &evaluation["samples"]), (&2.into(), &2.into()));
    assert_eq!(evaluation["skipped"][0]["problem"], 1);
    let table = sightline(&["eval", "--config", &config("some")], "").output();
    assert!(table.contains("problems skipped: 1") && table.contains("skipped: "), "{table}");
    let nothing = sightline(&["eval", "--config", &config("none"), "--json"], "");
    nothing.fails_with("nothing was evaluated");
    assert!(nothing.output.contains("\"skipped\""), "the figures are printed all the same");
}

/// Two evaluations of the same problems are compared pair by pair; of others, they are not.
#[test]
fn evaluations_are_compared() {
    let given = Given::new();
    let names = ["first", "second", "short"].map(|name| given.path(name).display().to_string());
    given.eval(&["--output", &names[0], "--limit", "6"]).output();
    given.eval(&["--output", &names[1], "--limit", "6", "--seed", "9"]).output();
    given.eval(&["--output", &names[2], "--limit", "4"]).output();
    let compare = |before: usize, after: usize, more: &[&str]| {
        sightline(&[&["eval", "compare", &names[before], &names[after]], more].concat(), "")
    };
    let text = compare(0, 1, &[]).output();
    for word in ["seed: 0 -> 9", "difference", "better", "all"] {
        assert!(text.contains(word), "`{word}` expected in: {text}");
    }
    // Make the second one right on two problems of six.
    let path = given.path("second/responses.jsonl");
    let mut records = lines(&path);
    for record in records.iter_mut().take(3) {
        record["verdict"]["accuracy"] = 1.0.into();
    }
    let changed: String = records.iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(&path, &changed).expect("a writable folder");
    let object = json(compare(0, 1, &["--json"]));
    let overall = &object["overall"];
    assert_eq!((&overall["problems"], &overall["better"], &overall["worse"]), (&6.into(), &2.into(), &0.into()));
    assert_eq!(
        (&overall["before"], &overall["after"], &overall["difference"]),
        (&0.0.into(), &0.25.into(), &0.25.into())
    );
    assert!(compare(1, 0, &[]).output().contains("difference -25.0 points, 95 % interval"), "the other way round");
    let text = compare(1, 2, &[]).output();
    assert!(text.contains("2 problems answered in the first evaluation alone were left out"), "{text}");
    std::fs::write(&path, changed.replace("How many", "Count how many").replace("What color", "Which color"))
        .expect("a writable folder");
    compare(0, 1, &[]).fails_with("not the same in both");
    let nowhere = given.path("nowhere").display().to_string();
    sightline(&["eval", "compare", &names[0], &nowhere], "").fails_with("nowhere");
}

/// A preset says what it sets and what is not published, sets it, and says where it was changed.
#[test]
fn presets_are_explained() {
    let list = sightline(&["eval", "presets"], "").output();
    for name in ["geo3k", "mmk12", "mathverse", "mathvision", "we-math", "dynamath", "logicvista", "mmmu-pro"] {
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} expected in: {list}");
        let text = sightline(&["eval", "--preset", name, "--explain"], "").output();
        for word in
            ["rollout.sampling.top_k=50", "589824", "mathruler", "in the harness's code alone", "not published", "seed"]
        {
            assert!(text.contains(word), "`{word}` expected in: {text}");
        }
        let object = json(sightline(&["eval", "--preset", name, "--explain", "--json"], ""));
        assert_eq!(object["harness"]["settings"]["schedule.validation_samples"], 8);
    }
    let objects = sightline(&["eval", "presets", "--json"], "").output();
    assert_eq!(objects.lines().count(), list.lines().count() - 1);
    let given = Given::new();
    let ended = given.eval(&["--preset", "geo3k", "--limit", "2", "--json"]);
    assert!(ended.errors.contains("has 601 problems, this data 2"), "{}", ended.errors);
    let protocol = &json(ended)["protocol"];
    assert_eq!((&protocol["sampling"]["top_k"], &protocol["prompt"]["max_pixels"]), (&50.into(), &589_824.into()));
    assert_eq!(protocol["reward"]["profile"], "mathruler");
    let preset = protocol["preset"].as_str().expect("a name");
    assert!(
        preset.starts_with("geo3k with ") && preset.contains("max_new_tokens=4") && !preset.contains("model"),
        "{preset}"
    );
}

/// A preset reads the data it names; a setting of the user's counts more.
#[test]
fn presets_know_their_layout() {
    let given = Given::new();
    let (model, device) = (given.path("model").display().to_string(), device_name());
    let data = fixture("parquet/mmk12_layout.parquet");
    let eval = |more: &[&str]| {
        let arguments = ["eval", "--preset", "mmk12", "--model", &model, "--data", &data, "--device", &device];
        let short = ["--max-new-tokens", "2", "--samples", "1", "--limit", "1", "--json"];
        sightline(&[&arguments[..], &short, more].concat(), "")
    };
    let summary = json(eval(&[]));
    assert_eq!(summary["evaluation"]["overall"]["problems"], 1);
    assert!(summary["evaluation"]["categories"].as_object().is_some_and(|sorts| sorts.len() == 1), "{summary}");
    eval(&["data.layout=standard"]).fails_with("its layout may be `mmk12`");
    let explained = sightline(&["eval", "--preset", "mmk12", "--explain"], "").output();
    for word in ["data.layout=\"mmk12\"", "data.layout=sharegpt"] {
        assert!(explained.contains(word), "`{word}` expected in: {explained}");
    }
}

#[test]
fn mistakes_are_explained() {
    let eval = |arguments: &[&str]| sightline(&[&["eval"], arguments].concat(), "");
    eval(&["--data", "x.jsonl"]).fails_with("--model is missing");
    eval(&["--model", "m"]).fails_with("--data is missing");
    eval(&["--model", "m", "--data", "/no/such/problems.jsonl"]).fails_with("/no/such/problems.jsonl");
    eval(&["--run", "/no/such/run"]).fails_with("/no/such/run");
    eval(&["--preset", "geo4k", "--explain"]).fails_with("geo3k, mmk12");
    eval(&["--model", "m", "--data", "d", "--top-p", "2"]).fails_with("top_p");
    eval(&["--model", "m", "--data", "d", "--samples", "0"]).fails_with("validation_samples is 0");
    eval(&["--model", "m", "--data", "d", "rollout.sampling.topp=1"]).fails_with("topp");
    for both in [["--greedy", "--temperature=1"], ["--greedy", "--samples=2"], ["--run=a", "--config=b"]] {
        let ended = eval(&both);
        assert!(!ended.success && ended.errors.contains("cannot be used with"), "{ended:?}");
    }
    let ended = eval(&["--explain"]);
    assert!(!ended.success && ended.errors.contains("--preset"), "{ended:?}");
}
