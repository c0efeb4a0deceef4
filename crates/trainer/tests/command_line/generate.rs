use serde_json::Value;

use crate::program::{Ended, device_name, fixture, fixtures, sightline};

fn generate(more: &[&str]) -> Ended {
    let model = fixture("checkpoints/tiny-tied-f32-saved");
    let (image, device) = (fixture("image/files/model_A.png"), device_name());
    let question =
        ["generate", "--model", &model, "--image", &image, "--prompt", "Find x in the figure.", "--device", &device];
    sightline(&[&question, more].concat(), "")
}

fn json(ended: Ended) -> Value {
    serde_json::from_str(&ended.output()).expect("one JSON object")
}

/// From an image file and a question to the tokens and log-probabilities that transformers recorded.
#[test]
fn greedy_answers_are_the_recorded_ones() {
    let recorded = std::fs::read(fixtures().join("model/generate.json")).expect("fixture file");
    let recorded: Value = serde_json::from_slice(&recorded).expect("fixture format");
    let is_ours = |case: &&Value| {
        case["checkpoint"] == "tiny-tied-f32-saved"
            && case["case"] == "one_image"
            && case["repetition_penalty"].is_null()
            && case.get("eos_token_id").is_none()
    };
    let case = recorded["cases"].as_array().expect("a list").iter().find(is_ours).expect("the case");
    let ours = json(generate(&["--json", "--temperature", "0", "--max-new-tokens", "64"]));
    assert_eq!(
        ours["prompt_ids"].as_array().map(Vec::len),
        Some(case["prompt_len"].as_u64().expect("a length") as usize)
    );
    assert_eq!(ours["ids"], case["tokens"][0]);
    assert_eq!(ours["finish"], "length");
    let numbers =
        |list: &Value| -> Vec<f64> { list.as_array().expect("a list").iter().filter_map(Value::as_f64).collect() };
    let (ours, theirs) = (numbers(&ours["log_probs"]), numbers(&case["logprobs"][0]));
    assert_eq!(ours.len(), theirs.len());
    let difference = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    eprintln!("greedy log-probabilities: largest difference {difference:.2e} (allowed 3e-5)");
    assert!(difference <= 3e-5, "log-probabilities differ by {difference:.2e}");
}

#[test]
fn a_seed_stands_for_an_answer() {
    let answer = |seed: &str| generate(&["--seed", seed, "--max-new-tokens", "12"]).output();
    let json = json(generate(&["--seed", "1", "--max-new-tokens", "12", "--json"]));
    assert_eq!(answer("1"), answer("1"));
    assert_ne!(answer("1"), answer("2"));
    assert_eq!(Some(answer("1").trim_end_matches('\n')), json["text"].as_str());
    let log_probs = json["log_probs"].as_array().expect("a list");
    assert!(log_probs.iter().all(|value| value.as_f64().is_some_and(|value| value < 0.0)));
}

#[test]
fn mistakes_are_explained() {
    generate(&["--top-p", "0"]).fails_with("top_p");
    generate(&["--temperature=-1"]).fails_with("temperature");
    generate(&["--max-new-tokens", "0"]).fails_with("max_new_tokens");
    generate(&["--image", "/no/such/picture.png"]).fails_with("/no/such/picture.png");
    sightline(&["generate", "--model", "/no/such/model", "--prompt", "x"], "").fails_with("/no/such/model");
    let ended = sightline(&["generate", "--prompt", "x"], "");
    assert!(!ended.success && ended.errors.contains("--model"), "{ended:?}");
}
