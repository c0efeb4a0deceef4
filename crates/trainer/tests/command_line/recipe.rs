use serde_json::{Value, json};

use crate::program::sightline;

const CAVEAT: &str = "reconstruction: the paper's formulas are unpublished";

/// Every built-in recipe has a line with its paper, and the reconstruction says that it is one.
#[test]
fn recipes_are_listed() {
    let output = sightline(&["recipe", "list"], "").output();
    let words = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
    let found: Vec<Vec<String>> = output.lines().map(words).collect();
    let expected = [
        ["grpo", "arXiv:2402.03300"],
        ["dr-grpo", "arXiv:2503.20783"],
        ["dapo", "arXiv:2503.14476"],
        ["rloo", "arXiv:2402.14740"],
        ["reinforce-pp", "arXiv:2501.03262"],
        ["gspo", "arXiv:2507.18071"],
        ["cispo", "arXiv:2506.13585"],
        ["vppo", "arXiv:2510.09285"],
        ["vppo-paper", "arXiv:2510.09285"],
        ["pgpo", "arXiv:2604.01840"],
        ["pgpo-dev", "arXiv:2604.01840"],
        ["prpo", "arXiv:2606.08708"],
        ["papo", "arXiv:2507.06448"],
    ];
    assert_eq!(found, expected, "{output}");
    for line in output.lines() {
        assert_eq!(line.contains(CAVEAT), line.starts_with("prpo "), "{line}");
    }
}

/// What is shown is a recipe file in either form, and says the same wherever it is read from.
#[test]
fn shown_recipes_can_be_read_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["dr-grpo", "vppo-paper", "pgpo-dev", "prpo", "papo"] {
        let json = sightline(&["recipe", "show", name], "").output();
        assert_eq!(json, sightline(&["recipe", "show", name, "--format", "json"], "").output());
        assert_eq!(json.contains(CAVEAT), name == "prpo", "{json}");
        let toml = sightline(&["recipe", "show", name, "--format", "toml"], "").output();
        assert_eq!(toml.contains(CAVEAT), name == "prpo", "{toml}");
        for (form, text) in [("json", &json), ("toml", &toml)] {
            let path = folder.path().join(format!("mine.{form}"));
            std::fs::write(&path, text).expect("a writable folder");
            let path = path.display().to_string();
            assert_eq!(sightline(&["recipe", "show", &path], "").output(), json, "{text}");
            let batch =
                json!({ "rewards": [1, 0], "groups": [2], "tokens": [2, 1], "dependency": [[0.1, 0.7], [0.3]] });
            let credit = |recipe: &str| sightline(&["credit", "--recipe", recipe], &batch.to_string()).output();
            assert_eq!(credit(&path), credit(name));
        }
    }
}

#[test]
fn differences_are_shown_place_by_place() {
    let diff = |before: &str, after: &str| sightline(&["recipe", "diff", before, after], "").output();
    let expected = "grpo -> dapo
loss.clip.high: 0.2 -> 0.28
objective.reduction: sequence-mean -> token-mean
accuracy_band: + {\"low\":0.01,\"high\":0.99}
";
    assert_eq!(diff("grpo", "dapo"), expected);
    let back = "dapo -> grpo
loss.clip.high: 0.28 -> 0.2
objective.reduction: token-mean -> sequence-mean
accuracy_band: - {\"low\":0.01,\"high\":0.99}
";
    assert_eq!(diff("dapo", "grpo"), back);
    assert_eq!(diff("vppo", "vppo"), "vppo -> vppo\nnothing differs\n");
    let prpo = diff("pgpo", "prpo");
    assert!(prpo.starts_with(&format!("pgpo -> prpo ({CAVEAT})\n")), "{prpo}");
    assert!(prpo.contains("\nshapers[0]: {\"kind\":\"perception-gate\""), "kinds differ as a whole: {prpo}");
    assert!(!prpo.contains("name:") && !prpo.contains("caveat:"), "{prpo}");
    let filters = diff("dapo", "vppo");
    assert!(filters.contains("\nshapers[1]: + {\"kind\":\"token-filter\""), "{filters}");
    assert!(filters.contains("\nobjective.entropy_penalty: 0.0 -> 0.06\n"), "{filters}");
}

#[test]
fn differences_are_one_object_for_programs() {
    let diff = |before: &str, after: &str| -> Value {
        let output = sightline(&["recipe", "diff", before, after, "--json"], "").output();
        serde_json::from_str(&output).expect("a JSON object")
    };
    let expected = json!({
        "before": { "name": "grpo" },
        "after": { "name": "dapo" },
        "differences": [
            { "path": "loss.clip.high", "before": 0.2, "after": 0.28 },
            { "path": "objective.reduction", "before": "sequence-mean", "after": "token-mean" },
            { "path": "accuracy_band", "after": { "low": 0.01, "high": 0.99 } },
        ],
    });
    assert_eq!(diff("grpo", "dapo"), expected);
    let same = diff("prpo", "prpo");
    assert_eq!(same["differences"], json!([]));
    assert_eq!(same["after"], json!({ "name": "prpo", "caveat": CAVEAT }));
}

#[test]
fn mistakes_are_explained() {
    for arguments in [["recipe", "show", "vpo"].as_slice(), &["recipe", "diff", "grpo", "vpo"]] {
        let ended = sightline(arguments, "");
        ended.fails_with("vpo");
        ended.fails_with(&format!("prpo ({CAVEAT})"));
    }
}
