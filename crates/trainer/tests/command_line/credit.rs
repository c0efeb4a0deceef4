use serde_json::Value;

use crate::program::{Ended, device_name, sightline};

const RECORDED: &str = include_str!("../../../../tests/fixtures/credit/command_line.json");

fn credit(recipe: &str, input: &str) -> Ended {
    sightline(&["credit", "--recipe", recipe, "--device", &device_name()], input)
}

fn numbers(rows: &Value) -> Vec<Vec<f64>> {
    let row = |row: &Value| row.as_array().expect("a row").iter().map(|x| x.as_f64().expect("a number")).collect();
    rows.as_array().expect("a list of rows").iter().map(row).collect()
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
            let (found, expected) = (numbers(&found["advantage"]), numbers(&expected["advantage"]));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.len(), expected.len(), "{recipe}, case {index}: tokens");
                for (found, expected) in found.iter().zip(expected) {
                    let close = (found - expected).abs() <= 2e-6 + 2e-5 * expected.abs();
                    assert!(close, "{recipe}, case {index}: {found} but expected {expected}");
                }
            }
        }
    }
}

#[test]
fn a_batch_without_responses_has_no_credit() {
    let output = credit("vppo", r#"{"rewards":[],"groups":[],"tokens":[],"dependency":[]}"#).output();
    assert_eq!(output.trim(), r#"{"advantage":[],"gate":[]}"#);
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
        (r#"{"rewards":[1,0],"groups":[2],"tokens":[2,1],"dependency":[[1],[1]]}"#, "response 0 has 2 tokens but 1"),
        (r#"{"rewards":[1,0],"groups":[2],"tokens":[1,1]}"#, "dependency"),
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
    ended.fails_with("grpo, dapo, vppo");
    sightline(&["credit", "--recipe", "vppo", "--device", "tpu"], "").fails_with("use cpu, wgpu or cuda:0");
}
