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

const K3: &str = r#""divergence":{"kind":"sampled-k3","difference_clamp":20.0,"cap":10.0}"#;

/// A contrast with an image changed once per prompt, before it is resized.
fn perturbed(name: &str, perturbation: &str) -> String {
    format!(
        r#"{{"name":"{name}","view":{{"perturbed":{{"perturbation":{{{perturbation}}},"draws":"per-prompt","surface":"image"}}}},{K3}}}"#
    )
}

/// Everything that sets each built-in recipe apart from the one it is built on.
#[test]
fn recipes_are_a_few_lines_over_another() {
    let blind = format!(r#"{{"name":"blind","view":"blind",{K3}}}"#);
    let measured = |contrast: &str| {
        format!(r#"dependency: + {{"kind":"visual-dependency","contrast":{contrast},"unknown":"keep"}}"#)
    };
    let blackened = |probability: &str| {
        let blackout = format!(r#""kind":"patch-blackout","patch":14,"probability":{probability}"#);
        measured(&perturbed("blackout", &blackout))
    };
    let noise = perturbed("noise", r#""kind":"gaussian-noise","sigma":16.0"#);
    let light = perturbed("brightness-contrast", r#""kind":"brightness-contrast","brightness":0.1,"contrast":0.1"#);
    let robust = format!(
        r#"dependency: + {{"kind":"robust-visual-dependency","grounding":{blind},"perturbations":[{noise},{light}],"combination":{{"kind":"exponential","strength":1.0}},"over":"mean"}}"#
    );
    let (half, more, blind) = (blackened("0.5"), blackened("0.6"), measured(&blind));
    let group = r#"estimator: {"kind":"grpo","epsilon":1e-6,"deviation":"sample","group_of_one":"zero"} ->"#;
    let estimator = |kind: &str| format!("{group} {kind}");
    let clipped = |high: &str| {
        format!(r#"loss: {{"kind":"clipped-surrogate","clip":{{"low":0.2,"high":{high}}},"dual":3.0}} ->"#)
    };
    let dr_grpo = estimator(r#"{"kind":"dr-grpo","group_of_one":"zero"}"#);
    let rloo = estimator(r#"{"kind":"rloo","group_of_one":"zero"}"#);
    let reinforce_pp = estimator(r#"{"kind":"reinforce-plus-plus","discount":1.0}"#);
    let gspo =
        format!(r#"{} {{"kind":"gspo","clip":{{"low":0.0003,"high":0.0004}},"token_level":false}}"#, clipped("0.2"));
    let cispo = format!(r#"{} {{"kind":"cispo","low":1.0,"high":4.0}}"#, clipped("0.28"));
    let expected: [(&str, &str, &[&str]); 11] = [
        ("grpo", "dr-grpo", &[&dr_grpo, r#"objective.reduction: sequence-mean -> {"dr-grpo":{}}"#]),
        ("grpo", "rloo", &[&rloo]),
        (
            "grpo",
            "reinforce-pp",
            &[
                &reinforce_pp,
                "objective.reduction: sequence-mean -> token-mean",
                r#"reward_kl: + {"estimator":"k1","coefficient":0.01}"#,
            ],
        ),
        ("grpo", "gspo", &[&gspo, "objective.reduction: sequence-mean -> non-empty-sequence-mean"]),
        ("dapo", "cispo", &[&cispo]),
        (
            "dapo",
            "vppo",
            &[
                r#"shapers[0]: + {"kind":"trajectory-shaping","floor":0.9,"ceiling":"mean-one"}"#,
                r#"shapers[1]: + {"kind":"token-filter","keep":0.4,"by":"dependency"}"#,
                "objective.entropy_penalty: 0.0 -> 0.06",
                &half,
            ],
        ),
        (
            "vppo",
            "vppo-paper",
            &[
                r#"dependency.contrast.divergence: {"kind":"sampled-k3","difference_clamp":20.0,"cap":10.0} -> {"kind":"forward-kl"}"#,
                r#"shapers[0].ceiling: mean-one -> {"fixed":1.1}"#,
                "loss.dual: - 3.0",
                "objective.reduction: token-mean -> sequence-mean",
                "objective.entropy_penalty: 0.06 -> 0.0",
            ],
        ),
        (
            "dapo",
            "pgpo",
            &[
                r#"shapers[0]: + {"kind":"perception-gate","threshold":{"range":0.4},"boost":2.0,"floor":0.0,"conserve_mass":true}"#,
                &blind,
            ],
        ),
        (
            "pgpo",
            "pgpo-dev",
            &[
                r#"shapers[0].threshold: {"range":0.4} -> {"quantile":0.4}"#,
                "shapers[0].floor: 0.0 -> 0.1",
                "shapers[0].conserve_mass: true -> false",
            ],
        ),
        (
            "dapo",
            "prpo",
            &[
                r#"shapers[0]: + {"kind":"perceptual-reshaping","rule":{"kind":"boost","threshold":0.4,"boost":2.0},"schedule":"constant"}"#,
                &robust,
            ],
        ),
        (
            "dapo",
            "papo",
            &[
                "objective.entropy_penalty: 0.0 -> 0.03",
                r#"objective.perception: + {"coefficient":0.01,"masked_entropy":0.03}"#,
                &more,
            ],
        ),
    ];
    for (base, recipe, lines) in expected {
        let output = sightline(&["recipe", "diff", base, recipe], "").output();
        assert_eq!(output.lines().skip(1).collect::<Vec<_>>(), lines, "{base} -> {recipe}");
    }
}

/// The documents name every built-in recipe.
#[test]
fn documents_name_every_recipe() {
    let readme = include_str!("../../../../README.md");
    for recipe in trainer::built_in() {
        assert!(readme.contains(&format!("`{}`", recipe.name)), "{recipe} is not in README.md");
    }
    let reconstruction = readme.lines().find(|line| line.starts_with("| `prpo`")).expect("a row of the table");
    assert!(reconstruction.contains("reconstruction"), "{reconstruction}");
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
