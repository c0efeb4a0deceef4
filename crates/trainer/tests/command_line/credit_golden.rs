//! Recorded cases of the credit components, through recipes of one's own and the program.

use serde_json::{Value, json};

use crate::credit::{assert_close, credit, numbers};

const GOLDEN: &str = include_str!("../../../../tests/fixtures/credit/golden.json");

/// Calls `check` with every recorded case of `function`: its name, its inputs and its output.
fn for_each_case(function: &str, check: impl Fn(&str, &Value, &Value)) {
    let golden: Value = serde_json::from_str(GOLDEN).expect("the fixture is JSON");
    let cases = golden["cases"][function].as_array().expect("a list of cases");
    assert_eq!(Some(cases.len() as u64), golden["meta"]["counts"][function].as_u64());
    for case in cases {
        check(case["id"].as_str().expect("a name"), &case["in"], &case["out"]);
    }
}

/// Responses alone in their groups, each with an advantage of 1 before shaping.
struct Batch {
    lengths: Vec<usize>,
}

impl Batch {
    /// Of responses as long as the rows of the case's mask.
    fn of(input: &Value) -> Self {
        let masks = numbers(&input["mask"]);
        Self { lengths: masks.iter().map(|row| row.iter().sum::<f64>() as usize).collect() }
    }

    /// The rows of a padded table, cut to the responses.
    fn ragged(&self, table: &Value) -> Value {
        let rows = numbers(table);
        self.lengths.iter().zip(rows).map(|(&length, row)| json!(row[..length])).collect()
    }

    /// What the recipe file makes of the batch with these fields added.
    fn shaped(&self, metric: &Value, shapers: &Value, fields: &Value) -> Value {
        let mut recipe = json!({
            "name": "mine",
            "estimator": { "kind": "dr-grpo", "group_of_one": "raw" },
            "shapers": shapers,
            "loss": { "kind": "clipped-surrogate", "clip": { "low": 0.2, "high": 0.28 } },
            "objective": { "reduction": "token-mean" },
        });
        if !metric.is_null() {
            recipe["dependency"] = metric.clone();
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("mine.json");
        std::fs::write(&path, recipe.to_string()).expect("a writable folder");
        let ones = vec![1; self.lengths.len()];
        let mut line = json!({ "rewards": ones, "groups": ones, "tokens": self.lengths });
        for (key, value) in fields.as_object().expect("fields") {
            line[key] = value.clone();
        }
        let output = credit(&path.display().to_string(), &line.to_string()).output();
        serde_json::from_str(&output).expect("a JSON object")
    }

    /// Fails unless a table of the output is the recorded one.
    #[track_caller]
    fn assert_close(&self, case: &str, found: &Value, expected: &Value) {
        assert_close(case, &numbers(found), &numbers(&self.ragged(expected)));
    }
}

fn contrast(name: &str) -> Value {
    json!({ "name": name, "view": "blind", "divergence": { "kind": "sampled-k3" } })
}

#[test]
fn perception_gate() {
    for_each_case("pgpo_weights", |case, input, output| {
        let batch = Batch::of(input);
        let gate = json!([{
            "kind": "perception-gate",
            "threshold": { "range": input["tau"] },
            "boost": input["beta"],
            "conserve_mass": input["normalize"],
        }]);
        let found = batch.shaped(&Value::Null, &gate, &json!({ "dependency": batch.ragged(&input["dependency"]) }));
        batch.assert_close(case, &found["advantage"], &output["weights"]);
    });
}

#[test]
fn perception_gate_of_the_development_snapshot() {
    for_each_case("pgpo_weights_dev", |case, input, output| {
        let batch = Batch::of(input);
        let gate = json!([{
            "kind": "perception-gate",
            "threshold": { "quantile": input["tau"] },
            "boost": input["beta"],
            "floor": input["floor"],
            "conserve_mass": false,
        }]);
        let found = batch.shaped(&Value::Null, &gate, &json!({ "dependency": batch.ragged(&input["dependency"]) }));
        batch.assert_close(case, &found["advantage"], output);
    });
}

/// Log-probabilities in; dependency, kept tokens and factors of the responses out.
#[test]
fn token_filter_and_trajectory_shaping() {
    for_each_case("vppo_loss", |case, input, output| {
        let batch = Batch::of(input);
        // Of runs of different lengths only the first case counts, where nothing depends on the image and all factors are 1.
        let ceiling = match input["micro_sizes"].get(0) {
            Some(size) => json!({ "mean-one-per": size }),
            None => json!("mean-one"),
        };
        let mut shapers = Vec::new();
        if input["use_tas"] == true {
            shapers.push(json!({ "kind": "trajectory-shaping", "floor": input["beta_min"], "ceiling": ceiling }));
        }
        if input["use_tgf"] == true {
            shapers.push(json!({ "kind": "token-filter", "keep": input["k"] }));
        }
        let metric = json!({ "kind": "visual-dependency", "contrast": contrast("blind") });
        let log_probs = json!({
            "clean": batch.ragged(&input["old_logp"]),
            "contrasts": [batch.ragged(&input["corrupt_logp"])],
        });
        let found = batch.shaped(&metric, &json!(shapers), &json!({ "log_probs": log_probs }));
        batch.assert_close(case, &found["dependency"], &output["dependency"]);
        assert_eq!(numbers(&found["gate"]), numbers(&batch.ragged(&output["select"])), "{case}");
        let factors = output["alpha"].as_array().expect("a factor for each response");
        let expected: Vec<Vec<f64>> = factors
            .iter()
            .zip(&batch.lengths)
            .map(|(factor, &length)| vec![factor.as_f64().expect("a number"); length])
            .collect();
        assert_close(case, &numbers(&found["advantage"]), &expected);
    });
}

/// Outputs of a reconstruction: the paper's formulas are not published.
#[test]
fn perceptual_reshaping() {
    for_each_case("par_weights", |case, input, output| {
        let batch = Batch::of(input);
        let rule = match input["variant"].as_str().expect("a name") {
            "boost" => json!({ "kind": "boost", "threshold": input["tau"], "boost": input["beta"] }),
            "boost_mass" => json!({ "kind": "boost-mass", "threshold": input["tau"], "boost": input["beta"] }),
            "topk" => json!({ "kind": "top-k", "share": input["top"], "boost": input["beta"] }),
            "sigmoid" => json!({
                "kind": "sigmoid",
                "threshold": input["tau"],
                "temperature": input["temp"],
                "boost": input["beta"],
            }),
            unknown => panic!("{unknown}"),
        };
        let shapers = json!([{ "kind": "perceptual-reshaping", "rule": rule }]);
        let found = batch.shaped(&Value::Null, &shapers, &json!({ "dependency": batch.ragged(&input["score"]) }));
        batch.assert_close(case, &found["advantage"], output);
    });
}

/// Outputs of a reconstruction: the paper's formulas are not published.
#[test]
fn robust_visual_dependency() {
    for_each_case("rvd", |case, input, output| {
        let batch = Batch::of(input);
        let combination = match input["variant"].as_str().expect("a name") {
            "exp" => "exponential",
            "diff" => "difference",
            other => other,
        };
        let perturbed = input["pert"].as_array().expect("a list of perturbations");
        let perturbations: Vec<Value> = (0..perturbed.len()).map(|index| contrast(&format!("mild {index}"))).collect();
        let metric = json!({
            "kind": "robust-visual-dependency",
            "grounding": contrast("blind"),
            "perturbations": perturbations,
            "combination": { "kind": combination, "strength": input["lam"] },
            "over": input["reduce"],
        });
        let divergences: Vec<Value> =
            std::iter::once(&input["vis"]).chain(perturbed).map(|table| batch.ragged(table)).collect();
        let found = batch.shaped(&metric, &json!([]), &json!({ "divergences": divergences }));
        batch.assert_close(case, &found["dependency"], output);
    });
}

/// Outputs of a reconstruction: the paper's formulas are not published.
#[test]
fn dependency_bound() {
    for_each_case("rvd_lcb", |case, input, output| {
        let batch = Batch::of(input);
        let views = input["vis_views"].as_array().expect("a list of views");
        let contrasts: Vec<Value> = (0..views.len()).map(|index| contrast(&format!("view {index}"))).collect();
        let metric = json!({ "kind": "dependency-bound", "contrasts": contrasts, "caution": input["kappa"] });
        let divergences: Vec<Value> = views.iter().map(|table| batch.ragged(table)).collect();
        let found = batch.shaped(&metric, &json!([]), &json!({ "divergences": divergences }));
        batch.assert_close(case, &found["dependency"], output);
    });
}
