//! Pages as runs might leave them: problems of shapes, answered by a policy that learns to look.

mod picture;
mod words;

use std::collections::BTreeMap;

use inspector::{
    Comparison, ContrastRecord, Finish, GroupPictures, Page, Picture, Rollout, RolloutRecord, TokenRecord,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use picture::Scene;

/// How much a page holds.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Steps.
    pub steps: usize,
    /// Groups of a step.
    pub groups: usize,
    /// Responses of a group.
    pub responses: usize,
    /// About how many tokens a response has.
    pub tokens: usize,
}

/// A page of a run of VPPO, with two other views of some responses.
pub fn run(size: Size) -> Page {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut page = Page {
        title: "runs/shapes".to_owned(),
        configuration: CONFIGURATION.to_owned(),
        metrics: metrics(size.steps, &mut rng),
        ..Page::default()
    };
    for step in 1..=size.steps {
        let skill = step as f32 / (size.steps + 2) as f32;
        for group in 0..size.groups {
            let scene = Scene::draw(&mut rng);
            page.pictures.push(pictures(step, group, &scene, &mut rng));
            for response in 0..size.responses {
                page.rollouts.push(rollout((step, group, response), size, &scene, skill, &mut rng));
            }
        }
    }
    page
}

fn rollout(
    (step, group, response): (usize, usize, usize),
    size: Size,
    scene: &Scene,
    skill: f32,
    rng: &mut impl Rng,
) -> Rollout {
    let right = rng.random::<f32>() < 0.25 + 0.6 * skill;
    let (words, answer) = words::respond(scene, right, size.tokens, rng);
    let cut = rng.random::<f32>() < 0.06;
    let words = if cut { &words[..words.len() - 4] } else { &words[..] };
    let right = right && !cut;
    let advantage = if right { 0.9 } else { -0.7 } + 0.3 * (rng.random::<f32>() - 0.5);
    let tokens = tokens(words, advantage, skill, rng);
    let format = f32::from(u8::from(!cut));
    let reward = 0.9 * f32::from(u8::from(right)) + 0.1 * format;
    let compared = if group == 0 {
        ["pgpo", "step-1"].map(|name| Comparison { name: name.to_owned(), tokens: again(&tokens, name, rng) }).to_vec()
    } else {
        Vec::new()
    };
    let record = RolloutRecord {
        step,
        group,
        response,
        problem_index: Some(step * 31 + group),
        place: Some(format!("shapes/train.jsonl:{}", step * 31 + group + 1)),
        problem: scene.question.clone(),
        answer: scene.answer.clone(),
        text: tokens.texts[..tokens.texts.len() - usize::from(!cut)].concat(),
        finish: if cut { Finish::Length } else { Finish::Stop },
        reward,
        accuracy: f32::from(u8::from(right)),
        parts: BTreeMap::from([("accuracy".to_owned(), f32::from(u8::from(right))), ("format".to_owned(), format)]),
        tokens: Some(tokens),
    };
    debug_assert!(right == (answer == scene.answer) || cut);
    Rollout { record, compared }
}

/// Values as a policy might have them: words that read the picture depend on it, and the most dependent speak.
fn tokens(words: &[words::Word], advantage: f32, skill: f32, rng: &mut impl Rng) -> TokenRecord {
    let mut tokens = TokenRecord::default();
    let mut contrast = ContrastRecord { name: "patch-blackout".to_owned(), log_probs: vec![], divergence: vec![] };
    for word in words {
        let noise = |rng: &mut dyn Rng| -(1.0 - rng.random::<f32>()).ln();
        let entropy = (if word.sees { 0.5 } else { 0.12 }) * noise(rng) * (1.2 - 0.5 * skill);
        let log_prob = -entropy * (0.2 + rng.random::<f32>()) - 1e-6;
        let ratio = if word.sees { (0.4 + 1.8 * skill) * noise(rng) } else { 0.05 * noise(rng) - 0.04 };
        tokens.ids.push(word.id);
        tokens.texts.push(word.text.clone());
        tokens.log_probs.push(log_prob);
        tokens.sampling_log_probs.push(log_prob + 3e-4 * (rng.random::<f32>() - 0.5) * entropy);
        tokens.entropy.push(entropy);
        contrast.log_probs.push(log_prob - ratio);
        contrast.divergence.push(((-ratio).exp() + ratio - 1.0).clamp(0.0, 10.0));
    }
    let mut order: Vec<usize> = (0..words.len()).collect();
    order.sort_by(|a, b| contrast.divergence[*b].total_cmp(&contrast.divergence[*a]));
    tokens.gate = vec![0.0; words.len()];
    for &at in &order[..(words.len() * 2).div_ceil(5)] {
        tokens.gate[at] = 1.0;
    }
    tokens.advantage = vec![advantage; words.len()];
    tokens.dependency = Some(contrast.divergence.clone());
    tokens.contrasts = vec![contrast];
    tokens
}

/// The same tokens scored by something else.
fn again(tokens: &TokenRecord, name: &str, rng: &mut impl Rng) -> TokenRecord {
    let mut other = tokens.clone();
    let share = if name == "pgpo" { 1.6 } else { 0.35 };
    for contrast in &mut other.contrasts {
        for value in &mut contrast.divergence {
            *value *= share * (0.4 + 1.2 * rng.random::<f32>());
        }
    }
    other.dependency = Some(other.contrasts[0].divergence.clone());
    for (advantage, dependency) in other.advantage.iter_mut().zip(&other.contrasts[0].divergence) {
        *advantage *= 1.0 + dependency.min(2.0);
    }
    other.gate.fill(1.0);
    other
}

fn pictures(step: usize, group: usize, scene: &Scene, rng: &mut impl Rng) -> GroupPictures {
    let picture = |name: &str, bytes| Picture { name: name.to_owned(), media_type: "image/png".to_owned(), bytes };
    let pictures = vec![picture("image", scene.png()), picture("patch-blackout", scene.blackened(rng))];
    GroupPictures { step, group, pictures }
}

fn metrics(steps: usize, rng: &mut impl Rng) -> Vec<Map<String, Value>> {
    let mut lines = Vec::new();
    let mut push = |line: Value| lines.extend(line.as_object().cloned());
    for step in 1..=steps * 20 {
        let done = step as f64 / (steps * 20) as f64;
        let mut around = |value: f64, spread: f64| value + spread * (rng.random::<f64>() - 0.5);
        push(json!({
            "step": step,
            "reward/overall": around(0.3 + 0.45 * done.sqrt(), 0.12),
            "reward/accuracy": around(0.25 + 0.5 * done.sqrt(), 0.14),
            "reward/format": around(0.8 + 0.19 * done, 0.04),
            "dependency/mean": around(0.25 + 0.5 * done, 0.08),
            "actor/entropy": around(0.42 - 0.2 * done, 0.03),
            "actor/grad_norm": around(0.9 - 0.3 * done, 0.5),
            "actor/selected_fraction": 0.4,
            "actor/lr": 1e-6,
            "response_length/mean": around(140.0 + 45.0 * done, 14.0),
            "training/rollout_log_probs_diff_mean": around(3e-5, 1e-5),
            "timing_s/step": around(41.0, 4.0),
        }));
        if step % 10 == 0 {
            push(json!({
                "step": step,
                "val/accuracy": around(0.28 + 0.44 * done.sqrt(), 0.05),
                "val/accuracy_standard_error": 0.018,
                "val/problems": 600,
            }));
        }
    }
    lines
}

const CONFIGURATION: &str = r#"# Resolved by `sightline train`.
model = "Qwen2.5-VL-3B-Instruct"
output = "runs/shapes"
device = "cuda:0"
seed = 1

[data]
train = ["shapes/train.jsonl"]
held_out = ["shapes/test.jsonl"]
template = "vppo"

[rollout]
prompts_per_step = 128
responses = 8

[rollout.sampling]
temperature = 1.0
max_new_tokens = 2048

[update]
learning_rate = 1e-6
"#;
