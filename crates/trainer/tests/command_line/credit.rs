use serde_json::{Value, json};

use crate::program::{Ended, device_name, sightline};

const RECORDED: &str = include_str!("../../../../tests/fixtures/credit/command_line.json");

pub(crate) fn credit(recipe: &str, input: &str) -> Ended {
    sightline(&["credit", "--recipe", recipe, "--device", &device_name()], input)
}

pub(crate) fn numbers(rows: &Value) -> Vec<Vec<f64>> {
    let row = |row: &Value| row.as_array().expect("a row").iter().map(|x| x.as_f64().expect("a number")).collect();
    rows.as_array().expect("a list of rows").iter().map(row).collect()
}

/// The tolerance of f32: 2e-5 relative, 2e-6 absolute.
#[track_caller]
pub(crate) fn assert_close(case: &str, found: &[Vec<f64>], expected: &[Vec<f64>]) {
    let lengths = |rows: &[Vec<f64>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(found), lengths(expected), "{case}");
    for (index, (found, expected)) in found.concat().iter().zip(expected.concat()).enumerate() {
        let close = (found - expected).abs() <= 2e-6 + 2e-5 * expected.abs();
        assert!(close, "{case}, token {index}: {found} but expected {expected}");
    }
}

/// Batches with ragged groups, prompts without an image, empty responses, ties and groups of one, against an independent
/// float64 implementation (`tests/fixtures/scripts/make_loss_and_credit_cases.py`). Blank lines are skipped.
#[test]
fn recipes_assign_the_recorded_credit() {
    let recorded: Value = serde_json::from_str(RECORDED).expect("the fixture is JSON");
    let cases = recorded["credit"].as_array().expect("a list of cases");
    let input: String = cases.iter().map(|case| format!("{}\n\n", case["in"])).collect();
    for recipe in ["grpo", "dapo", "vppo"] {
        let output = credit(recipe, &input).output();
        assert_eq!(output.lines().count(), cases.len());
        for (index, (line, case)) in output.lines().zip(cases).enumerate() {
            let found: Value = serde_json::from_str(line).expect("a JSON object");
            let expected = &case["out"][recipe];
            assert_eq!(numbers(&found["gate"]), numbers(&expected["gate"]), "{recipe}, case {index}: gates");
            assert!(found.get("dependency").is_none(), "it was given");
            let case = format!("{recipe}, case {index}");
            assert_close(&case, &numbers(&found["advantage"]), &numbers(&expected["advantage"]));
        }
    }
}

#[test]
fn a_batch_without_responses_has_no_credit() {
    let output = credit("vppo", r#"{"rewards":[],"groups":[],"tokens":[],"dependency":[]}"#).output();
    assert_eq!(output.trim(), r#"{"advantage":[],"gate":[]}"#);
    let output = credit("pgpo", r#"{"rewards":[],"groups":[],"tokens":[],"divergences":[[]]}"#).output();
    assert_eq!(output.trim(), r#"{"advantage":[],"gate":[],"dependency":[]}"#);
    assert_eq!(credit("grpo", "").output(), "");
}

/// A batch all of whose responses are empty has a row without tokens for each.
#[test]
fn empty_responses_have_empty_rows() {
    let output = credit("vppo", r#"{"rewards":[1,0],"groups":[2],"tokens":[0,0],"dependency":[[],[]]}"#).output();
    assert_eq!(output.trim(), r#"{"advantage":[[],[]],"gate":[[],[]]}"#);
}

/// The line of the mistake is named, and what came before it is answered.
#[test]
fn mistakes_name_their_line() {
    let good = r#"{"rewards":[1,0],"groups":[2],"tokens":[2,1],"dependency":[[0.1,0.2],[0.3]]}"#;
    let mistakes = [
        ("{", "EOF"),
        (r#"{"rewards":[1],"groups":[1],"tokens":[1],"dependancy":[[1]]}"#, "dependancy"),
        (r#"{"rewards":[1],"groups":[1],"tokens":[1,2],"dependency":[[1]]}"#, "1 rewards but 2 token counts"),
        (r#"{"rewards":[1,0],"groups":[3],"tokens":[1,1],"dependency":[[1],[1]]}"#, "groups"),
        (r#"{"rewards":[1,0],"groups":[2,0],"tokens":[1,1],"dependency":[[1],[1]]}"#, "group"),
        (r#"{"rewards":[1,0],"groups":[2],"tokens":[1,1],"dependency":[[1]]}"#, "1 rows of dependency for 2 responses"),
        (
            r#"{"rewards":[1,0],"groups":[2],"tokens":[2,1],"dependency":[[1],[1]]}"#,
            "response 0 has 2 tokens but 1 of dependency",
        ),
        (r#"{"rewards":[1,0],"groups":[2],"tokens":[1,1]}"#, "give `dependency`, `divergences` or `log_probs`"),
        (r#"{"rewards":[1,0],"groups":[2],"tokens":[1,1],"progress":1.5}"#, "1.5"),
    ];
    for (line, word) in mistakes {
        let ended = credit("vppo", &format!("{good}\n{line}\n{good}\n"));
        ended.fails_with("line 2");
        ended.fails_with(word);
        assert_eq!(ended.output.lines().count(), 1, "{line}: the first line is answered");
    }
}

#[test]
fn unknown_recipes_and_devices_are_refused() {
    let ended = credit("vpo", "");
    ended.fails_with("vpo");
    ended.fails_with("grpo, dr-grpo, dapo");
    sightline(&["credit", "--recipe", "vppo", "--device", "tpu"], "").fails_with("use cpu, wgpu or cuda:0");
}

/// The parts of a dependency and the dependency itself come to the same, and what is made is shown; a response to a prompt
/// without an image has none.
#[test]
fn a_dependency_can_be_given_in_parts() {
    let batch = |part: Value| {
        let mut line = json!({ "rewards": [1, 0, 1], "groups": [3], "tokens": [3, 1, 2] });
        for (key, value) in part.as_object().expect("a field") {
            line[key] = value.clone();
        }
        line.to_string()
    };
    let run = |recipe: &str, part: Value| -> Value {
        serde_json::from_str(&credit(recipe, &batch(part)).output()).expect("a JSON object")
    };
    let dependency = json!([[0.1, 0.75, 0.2], null, [0.5, 0.25]]);
    let given = run("pgpo", json!({ "dependency": dependency }));
    let mut made = run("pgpo", json!({ "divergences": [dependency] }));
    assert_close(
        "shown",
        &numbers(&json!([made["dependency"][0], made["dependency"][2]])),
        &[vec![0.1, 0.75, 0.2], vec![0.5, 0.25]],
    );
    assert!(made["dependency"][1].is_null(), "{made}");
    made.as_object_mut().expect("an object").remove("dependency");
    assert_eq!(made, given);

    // The k3 of log-probabilities that are 0.5 lower without the image, and of equal ones.
    let log_probs = json!({
        "clean": [[-1.0, -2.0, -0.5], [-1.0], [-3.0, -0.25]],
        "contrasts": [[[-1.5, -2.0, -0.5], null, [-3.0, -0.75]]],
    });
    let made = run("vppo", json!({ "log_probs": log_probs }));
    let k3 = (-0.5_f64).exp() + 0.5 - 1.0;
    let visual = json!([made["dependency"][0], made["dependency"][2]]);
    assert_close("k3", &numbers(&visual), &[vec![k3, 0.0, 0.0], vec![0.0, k3]]);
    assert_eq!(made["gate"], json!([[1.0, 1.0, 0.0], [1.0], [0.0, 1.0]]), "{made}");
}

/// Mistakes in the parts of a dependency say what to give instead.
#[test]
fn parts_that_do_not_fit_are_refused() {
    let mistakes = [
        ("pgpo", json!({ "dependency": [[1], [1]], "divergences": [[[1], [1]]] }), "give one of"),
        (
            "pgpo",
            json!({ "divergences": [[[1], [1]], [[1], [1]]] }),
            "2 lists in `divergences`, but the metric of pgpo has 1",
        ),
        ("prpo", json!({ "divergences": [[[1], [1]]] }), "give a list for each of: blind, noise, brightness-contrast"),
        ("prpo", json!({ "divergences": [[[1], [1]], [[1], null], [[1], [1]]] }), "the lists of blind and noise"),
        ("prpo", json!({ "divergences": [[[1], [1]], [[1], [1]], [[1], null]] }), "blind and brightness-contrast"),
        ("pgpo", json!({ "divergences": [[[1], [1, 2]]] }), "response 1 has 1 tokens but 2 of divergences"),
        ("pgpo", json!({ "divergences": [[[1]]] }), "1 rows of divergences for 2 responses"),
        ("dapo", json!({ "divergences": [[[1], [1]]] }), "dapo measures no dependency; leave out `divergences`"),
        ("dapo", json!({ "log_probs": { "clean": [[1], [1]], "contrasts": [] } }), "leave out `log_probs.contrasts`"),
        ("pgpo", json!({ "log_probs": { "clean": [[1], []], "contrasts": [[[1], [1]]] } }), "but 0 of log_probs.clean"),
        (
            "vppo-paper",
            json!({ "log_probs": { "clean": [[1], [1]], "contrasts": [[[1], [1]]] } }),
            "whole distributions",
        ),
        ("grpo", json!({ "entropy": [[1]] }), "1 rows of entropy for 2 responses; give one for each"),
        ("reinforce-pp", json!({ "token_rewards": [[1, 1], [1]] }), "response 0 has 1 tokens but 2 of token_rewards"),
    ];
    for (recipe, part, word) in mistakes {
        let mut line = json!({ "rewards": [1, 0], "groups": [2], "tokens": [1, 1] });
        for (key, value) in part.as_object().expect("fields") {
            line[key] = value.clone();
        }
        let ended = credit(recipe, &line.to_string());
        ended.fails_with("line 1: ");
        ended.fails_with(word);
    }
}

/// Rewards of single tokens, entropies and the progress of training reach those who read them.
#[test]
fn every_part_of_the_evidence_is_read() {
    let line = |field: &str| format!(r#"{{"rewards":[1,0],"groups":[2],"tokens":[2,2],{field}}}"#);
    let advantage = |recipe: &str, field: &str| -> Vec<Vec<f64>> {
        let output: Value = serde_json::from_str(&credit(recipe, &line(field)).output()).expect("a JSON object");
        numbers(&output["advantage"])
    };
    // Returns of 1, 1.5 and 0, 0, whitened: mean 0.625, sample variance 0.5625.
    let whitened: Vec<Vec<f64>> =
        [[1.0, 1.5], [0.0, 0.0]].map(|row| row.map(|x| (x - 0.625) / 0.5625_f64.sqrt()).to_vec()).to_vec();
    assert_close("token rewards", &advantage("reinforce-pp", r#""token_rewards":[[-0.5,0.5],[0,0]]"#), &whitened);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = |name: &str, shaper: &str| {
        let path = folder.path().join(name);
        let text = format!(
            "name = 'mine'\nestimator = {{ kind = 'dr-grpo' }}\nshapers = [{shaper}]\n\
             loss = {{ kind = 'clipped-surrogate', clip = {{ low = 0.2, high = 0.2 }} }}\n\
             objective = {{ reduction = 'token-mean' }}\n"
        );
        std::fs::write(&path, text).expect("a writable folder");
        path.display().to_string()
    };
    let rule = "{ kind = 'top-k', share = 0.5, boost = 2.0 }";
    let rising =
        own("rising.toml", &format!("{{ kind = 'perceptual-reshaping', schedule = 'rising', rule = {rule} }}"));
    let measured = r#""dependency":[[0.1,0.9],[0.5,0.2]]"#;
    for (progress, weight) in [(r#","progress":0"#, 1.0), (r#","progress":0.25"#, 1.5), ("", 3.0)] {
        let expected = [vec![0.5, 0.5 * weight], vec![-0.5 * weight, -0.5]];
        assert_close(progress, &advantage(&rising, &format!("{measured}{progress}")), &expected);
    }

    let uncertain = own("uncertain.toml", "{ kind = 'token-filter', keep = 0.5, by = 'entropy' }");
    let output = credit(&uncertain, &line(r#""entropy":[[0.1,0.9],[0.5,0.2]]"#)).output();
    assert!(output.contains(r#""gate":[[0.0,1.0],[1.0,0.0]]"#), "{output}");
    let missing = credit(&uncertain, &line(r#""progress":1"#));
    missing.fails_with("the token-filter shaper of mine reads the entropy; give `entropy`");
}

/// What would be printed as null, or cannot be held, is an error with its line.
#[test]
fn credit_is_finite_or_an_error() {
    for (recipe, batch, expected) in [
        ("pgpo", r#"{"rewards":[1,0],"groups":[2],"tokens":[2,1],"dependency":[[-1,0],[0.5]]}"#, "response 0"),
        ("grpo", r#"{"rewards":[1,0],"groups":[2],"tokens":[100000000000,2]}"#, "split the batch"),
        ("grpo", r#"{"rewards":[1,0],"groups":[2],"tokens":[18446744073709551615,2]}"#, "split the batch"),
    ] {
        credit(recipe, batch).fails_with("line 1");
        credit(recipe, batch).fails_with(expected);
    }
}
