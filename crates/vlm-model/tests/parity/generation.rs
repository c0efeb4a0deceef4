use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use vlm_model::{KeyValueCache, QwenVl, TokenBatch, TokenGroup};

use crate::fixtures::{Recorded, assert_close, folder, images, model, prompt, prompts};

/// Greedy continuation of one prompt by two identical rows, and the log-probabilities of its tokens.
fn greedy(model: &QwenVl, ids: Vec<u32>, names: &[&str], count: usize) -> (Vec<u32>, Vec<f64>) {
    let (prompt, images) = prompt(ids, names, &images(), &model.config);
    let features = model.image_features(&images.iter().collect::<Vec<_>>());
    let group = TokenGroup { prompt: Some(prompt), responses: Vec::new() };
    let batch = TokenBatch::new(vec![group], features).expect("a feature for every placeholder");
    let mut cache = KeyValueCache::new();
    let hidden = model.hidden(&batch, Some(&mut cache));
    let last = hidden.dims()[0] - 1;
    let mut hidden: Tensor<2> = hidden.narrow(0, last, 1);
    let (mut tokens, mut log_probs) = (Vec::new(), Vec::new());
    for step in 0..count {
        let scores = log_softmax(model.logits(hidden), 1);
        let (best, id) = scores.max_dim_with_indices(1);
        let ids: Vec<u32> = id.into_data().iter::<i64>().map(|id| id as u32).collect();
        assert!(ids.iter().all(|&id| id == ids[0]), "equal rows stay equal");
        tokens.push(ids[0]);
        log_probs.push(best.into_data().iter::<f64>().next().expect("a row"));
        // From the second row on one response has left: rows can leave a group at any time.
        let rows = if step < 20 { 2 } else { 1 };
        if step == 20 {
            cache.keep_rows(0, &[1]);
        }
        let next = TokenGroup { prompt: None, responses: vec![vec![ids[0]]; rows] };
        hidden = model.hidden(&TokenBatch::new(vec![next], None).expect("no image"), Some(&mut cache));
    }
    (tokens, log_probs)
}

#[test]
fn greedy_decoding_with_a_cache_is_identical() {
    let meta = std::fs::read(folder().join("model/generate.json")).expect("fixture file");
    let meta: serde_json::Value = serde_json::from_slice(&meta).expect("fixture format");
    let rope = Recorded::open("rope");
    let models = [
        ("tiny-tied-f32-saved", model("tiny-tied-f32-saved")),
        ("tiny-untied-f32-saved", model("tiny-untied-f32-hub-sharded")),
    ];
    let mut compared = 0;
    for case in meta["cases"].as_array().expect("a list") {
        // A repetition penalty is not part of a policy's distribution; stopping is the rollout engine's business.
        if !case["repetition_penalty"].is_null() || case.get("eos_token_id").is_some() {
            continue;
        }
        let name = case["case"].as_str().expect("a name");
        let checkpoint = case["checkpoint"].as_str().expect("a name");
        let (_, model) = models.iter().find(|(name, _)| *name == checkpoint).expect("a known checkpoint");
        for (row, (ids, names)) in prompts(&rope, name).into_iter().enumerate() {
            let theirs: Vec<u32> = serde_json::from_value(case["tokens"][row].clone()).expect("ids");
            let their_log_probs: Vec<f64> = serde_json::from_value(case["logprobs"][row].clone()).expect("numbers");
            let (ours, log_probs) = greedy(model, ids, &names, theirs.len());
            assert_eq!(ours, theirs, "{checkpoint} {name}, row {row}");
            assert_close(
                &format!("{checkpoint} {name}, row {row}: log-probabilities"),
                &log_probs,
                &their_log_probs,
                3e-5,
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 16, "eight prompts for each of two checkpoints");
}
