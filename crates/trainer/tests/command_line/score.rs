use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use image::RgbImage;
use serde_json::Value;
use vlm_model::image_input::{Decoding, ImagePatches, PatchGrid};
use vlm_model::processor::Processor;
use vlm_model::text_input::{Message, Part, Role};
use vlm_model::{PromptTokens, TokenBatch, TokenGroup};

use crate::program::{Ended, device_name, fixture, fixtures, sightline, sightline_in};

const PROMPT: &str = "Find x in the figure.";
const RESPONSE: &str = "The angle is 40 degrees, so x = 5.";

fn score_image(image: &str, recipe: &str, more: &[&str]) -> Ended {
    let (model, device) = (fixture("checkpoints/tiny-tied-f32-saved"), device_name());
    let question = [
        "score",
        "--model",
        &model,
        "--image",
        image,
        "--prompt",
        PROMPT,
        "--response",
        RESPONSE,
        "--recipe",
        recipe,
        "--device",
        &device,
    ];
    sightline(&[&question, more].concat(), "")
}

fn score(recipe: &str, more: &[&str]) -> Ended {
    score_image(&fixture("image/files/model_A.png"), recipe, more)
}

fn json(ended: Ended) -> Value {
    serde_json::from_str(&ended.output()).expect("one JSON object")
}

#[track_caller]
fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a finite number")).collect()
}

/// Log-probabilities and entropies of the response's tokens from one plain forward pass, and the size of the vocabulary.
fn expected() -> (Vec<u32>, Vec<f64>, Vec<f64>, usize) {
    let folder = fixtures().join("checkpoints/tiny-tied-f32-saved");
    let model = vlm_model::load(&folder, &Device::default()).expect("loads");
    let processor = Processor::from_folder(&folder).expect("loads");
    let image: RgbImage = Decoding::default().file(&fixtures().join("image/files/model_A.png")).expect("an image");
    let message = Message { role: Role::User, content: vec![Part::Image, Part::Text(PROMPT.to_owned())] };
    let prompt = processor.prompt(&[message], &[image]).expect("a prompt");
    let grids: Vec<PatchGrid> = prompt.images.iter().map(|image| image.grid).collect();
    let features = model.image_features(&prompt.images.iter().collect::<Vec<&ImagePatches>>());
    let first = prompt.ids.len() - 1;
    let prompt = PromptTokens::new(prompt.ids, &grids, &model.config).expect("laid out");
    let ids = processor.tokenizer.encode(RESPONSE).expect("encodes");
    let group = TokenGroup { prompt: Some(prompt), responses: vec![ids.clone()] };
    let hidden = model.hidden(&TokenBatch::new(vec![group], features).expect("a feature per placeholder"), None);
    let scores = log_softmax(model.logits(hidden.narrow(0, first, ids.len())), 1);
    let places = Tensor::<1, Int>::from_ints(
        ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>().as_slice(),
        &Device::default(),
    );
    let host = |x: Tensor<2>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
    let log_probs = host(scores.clone().gather(1, places.unsqueeze_dim(1)));
    let entropy = host((scores.clone().exp() * scores).sum_dim(1).neg());
    (ids, log_probs, entropy, model.config.text.vocab_size)
}

#[track_caller]
fn assert_close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a} but {b}");
    }
}

/// The tokens' own scores, and under every view what follows from the two log-probabilities.
#[test]
fn every_view_is_compared_with() {
    let (ids, log_probs, entropy, vocabulary) = expected();
    let mut seen = Vec::new();
    for view in [
        None,
        Some("blind"),
        Some("blackout"),
        Some("grey"),
        Some("noise"),
        Some("blur"),
        Some("diffusion"),
        Some("mild-noise"),
        Some("mild-blur"),
        Some("jitter"),
        Some("rescale"),
        Some("shift"),
    ] {
        let view_arguments = view.map_or_else(Vec::new, |name| vec!["--contrast", name]);
        let scores = json(score("vppo", &[&["--json"], view_arguments.as_slice()].concat()));
        assert_eq!(numbers(&scores["ids"]), ids.iter().map(|&id| f64::from(id)).collect::<Vec<_>>());
        assert_eq!(scores["tokens"].as_array().map(Vec::len), Some(ids.len()));
        assert_close("log-probabilities", &numbers(&scores["log_probs"]), &log_probs, 3e-5);
        assert_close("entropies", &numbers(&scores["entropy"]), &entropy, 1e-4);
        assert!(entropy.iter().all(|&value| value <= (vocabulary as f64).ln()));

        let contrasts = scores["contrasts"].as_array().expect("a list");
        assert_eq!(contrasts.len(), 1);
        assert_eq!(contrasts[0]["name"], view.unwrap_or("blackout"));
        let other = numbers(&contrasts[0]["log_probs"]);
        let k3: Vec<f64> = other
            .iter()
            .zip(&numbers(&scores["log_probs"]))
            .map(|(other, own)| {
                let difference = (other - own).clamp(-20.0, 20.0);
                (difference.exp() - difference - 1.0).clamp(0.0, 10.0)
            })
            .collect();
        assert_close("k3", &numbers(&contrasts[0]["k3"]), &k3, 1e-5);
        assert_close("dependency", &numbers(&scores["dependency"]), &k3, 1e-5);
        let kl = numbers(&contrasts[0]["kl"]);
        assert!(kl.len() == ids.len() && kl.iter().all(|&value| value >= 0.0));
        assert!(kl.iter().any(|&value| value > 1e-4), "{view:?} hides something");
        seen.push(other);
    }
    assert_eq!(seen[0], seen[2], "the recipe's own view is the blackout");
    for (first, one) in seen[1..].iter().enumerate() {
        assert!(seen[first + 2..].iter().all(|other| other != one), "no two views are alike");
    }
}

/// A picture that is grey already does not change when it is made grey.
#[test]
fn an_unchanged_picture_has_no_dependency() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("grey.png");
    RgbImage::from_pixel(84, 56, image::Rgb([128; 3])).save(&path).expect("a writable folder");
    let scores = json(score_image(&path.display().to_string(), "vppo", &["--json", "--contrast", "grey"]));
    assert!(numbers(&scores["dependency"]).iter().all(|&value| value == 0.0), "{scores}");
    assert!(numbers(&scores["contrasts"][0]["kl"]).iter().all(|&value| value.abs() < 1e-6), "{scores}");
}

#[test]
fn recipes_without_a_view_compare_nothing() {
    let scores = json(score("grpo", &["--json"]));
    assert_eq!(
        (scores["contrasts"].as_array().map(Vec::len), scores["dependency"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    let chosen = json(score("grpo", &["--json", "--contrast", "blind"]));
    assert_eq!(chosen["contrasts"][0]["name"], "blind");
    assert_eq!(chosen["dependency"], chosen["contrasts"][0]["k3"]);
}

/// The same seed draws the same blackout, another one another; the table shows the tokens in order.
#[test]
fn a_seed_stands_for_a_view() {
    let table = |seed: &str| score("vppo", &["--seed", seed]).output();
    assert_eq!(table("3"), table("3"));
    assert_ne!(table("3"), table("4"));
    let ids = expected().0;
    let shown = table("3");
    let listed: Vec<u32> = shown.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(listed, ids);
}

/// The scale of the colours, from dark to light.
const VIRIDIS: [&str; 9] = [
    "68;1;84",
    "71;44;122",
    "59;81;139",
    "44;113;142",
    "33;144;141",
    "39;173;129",
    "92;200;99",
    "170;220;50",
    "253;231;37",
];

/// Scores with colours asked for, on a terminal of many colours and so many columns.
fn coloured(columns: &str, more: &[&str]) -> String {
    let (model, device) = (fixture("checkpoints/tiny-tied-f32-saved"), device_name());
    let image = fixture("image/files/model_A.png");
    let question = ["score", "--model", &model, "--image", &image, "--prompt", PROMPT, "--device", &device];
    let terminal = [("CLICOLOR_FORCE", "1"), ("COLORTERM", "truecolor"), ("COLUMNS", columns)];
    sightline_in(&terminal, &[&question, more].concat(), "").output()
}

/// Runs of text with the colour behind each.
fn painted(output: &str) -> Vec<(&str, &str)> {
    let mut runs = Vec::new();
    for part in output.split("\u{1b}[0m") {
        if let Some((_, painted)) = part.split_once("\u{1b}[48;2;") {
            runs.push(painted.split_once('m').expect("the end of a code"));
        }
    }
    runs
}

/// Every token stands on the colour of its value, the legend says what colours mean, and the table comes if asked for.
#[test]
fn tokens_are_coloured_by_what_is_asked_for() {
    let scores = json(score("vppo", &["--json"]));
    let tokens: Vec<&str> = scores["tokens"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let by = |list: &Value, root: bool| -> Vec<&str> {
        let values = numbers(list);
        let ends = |f: fn(f64, f64) -> f64| values.iter().copied().fold(0.0, f);
        let (low, high) = (ends(f64::min), ends(f64::max));
        let share = |value: f64| (value - low) / (high - low);
        let place = |value: &f64| (if root { share(*value).sqrt() } else { share(*value) } * 9.0) as usize;
        values.iter().map(|value| VIRIDIS[place(value).min(8)]).collect()
    };
    for (name, list, root) in [
        ("dependency", &scores["dependency"], true),
        ("entropy", &scores["entropy"], false),
        ("log-prob", &scores["log_probs"], false),
        ("k3", &scores["contrasts"][0]["k3"], true),
        ("kl", &scores["contrasts"][0]["kl"], true),
    ] {
        let output = coloured("200", &["--response", RESPONSE, "--color", name]);
        let runs = painted(&output);
        let (response, legend) = runs.split_at(tokens.len());
        assert_eq!(response, by(list, root).into_iter().zip(tokens.iter().copied()).collect::<Vec<_>>(), "{name}");
        assert_eq!(legend.iter().map(|(colour, _)| *colour).collect::<Vec<_>>(), VIRIDIS, "{name}");
        let last = output.lines().last().expect("the legend").to_lowercase();
        let highest = numbers(list).into_iter().fold(0.0, f64::max);
        assert!(
            last.contains(&name[..2]) && last.contains("nats") && last.ends_with(&format!("to {highest:.2}")),
            "{last}"
        );
    }
    let by_default = coloured("200", &["--response", RESPONSE]);
    assert_eq!(by_default, coloured("200", &["--response", RESPONSE, "--color", "dependency"]));
    assert!(!by_default.contains("log prob"));
    let with_table = coloured("200", &["--response", RESPONSE, "--table"]);
    assert!(with_table.starts_with(&by_default) && with_table.contains("log prob"), "{with_table}");
    assert_eq!(with_table[by_default.len()..], score("vppo", &[]).output());
    assert_eq!(
        coloured("200", &["--response", RESPONSE, "--recipe", "grpo"]),
        coloured("200", &["--response", RESPONSE, "--recipe", "grpo", "--color", "entropy"]),
    );
}

/// A narrow terminal breaks lines between words, and a response sends it nothing but text.
#[test]
fn a_response_fits_the_terminal_and_does_not_steer_it() {
    let response = "One two three, four five. \u{1b}[2J\u{1b}]0;x\u{7}\r\n\tSix";
    let output = coloured("20", &["--response", response]);
    let codes = ["\u{1b}[0m", "\u{1b}[38;2;", "\u{1b}[48;2;"];
    let known: usize = codes.iter().map(|code| output.matches(code).count()).sum();
    assert_eq!(output.matches('\u{1b}').count(), known, "{output:?}");
    assert!(output.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\u{1b}')), "{output:?}");
    let lines: Vec<String> = output.lines().map(|line| painted(line).iter().map(|(_, text)| *text).collect()).collect();
    let response_lines = lines.split(String::is_empty).next().expect("the response");
    assert!(response_lines.iter().all(|line| line.chars().count() <= 20), "{lines:?}");
    assert_eq!(response_lines[0], "One two three, four ");
    assert!(response_lines.concat().ends_with("\\u{7}\\r⏎⇥Six"), "{lines:?}");
    let plain = score("vppo", &[]).output();
    assert!(!plain.contains('\u{1b}') && plain.contains("log prob"), "a table where no colours are wanted");
}

/// Without a response the model answers, as `generate` does.
#[test]
fn the_model_answers_if_nobody_else_does() {
    let (model, device) = (fixture("checkpoints/tiny-tied-f32-saved"), device_name());
    let image = fixture("image/files/model_A.png");
    let run = |command: &str, more: &[&str]| {
        let question =
            [command, "--model", &model, "--image", &image, "--prompt", PROMPT, "--device", &device, "--json"];
        json(sightline(&[&question, more].concat(), ""))
    };
    let length = ["--max-new-tokens", "6"];
    let greedy = run("generate", &[&length[..], &["--temperature", "0"]].concat());
    assert_eq!(run("score", &length)["ids"], greedy["ids"]);
    let hot = ["--temperature", "9", "--seed", "2"];
    let sampled = run("generate", &[&length[..], &hot].concat());
    let scored = run("score", &[&length[..], &hot, &["--generate"]].concat());
    assert_eq!(scored["ids"], sampled["ids"]);
    assert_ne!(scored["ids"], greedy["ids"]);
}

#[test]
fn mistakes_are_explained() {
    score("grpo", &["--color", "k3"]).fails_with("--contrast");
    let both = score("vppo", &["--generate"]);
    assert!(!both.success && both.errors.contains("--response"), "{both:?}");
    score("vpo", &[]).fails_with("grpo, dr-grpo, dapo");
    let ended = score("vppo", &["--contrast", "fog"]);
    assert!(!ended.success && ended.errors.contains("blackout"), "{ended:?}");
    let missing = ["score", "--model", "/no/such/model", "--prompt", "x", "--response", "y", "--recipe", "vppo"];
    sightline(&missing, "").fails_with("/no/such/model");
    let model = fixture("checkpoints/tiny-tied-f32-saved");
    let empty = ["score", "--model", &model, "--prompt", "x", "--response", "", "--recipe", "vppo"];
    sightline(&empty, "").fails_with("no tokens");
}
