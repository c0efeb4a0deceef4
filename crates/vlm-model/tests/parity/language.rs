use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use vlm_model::image_input::PatchGrid;
use vlm_model::{KeyValueCache, Positions, QwenVl, TokenBatch, TokenGroup};

use crate::fixtures::{Recorded, assert_close, host, images, model, prompt, prompts};

const CASES: [&str; 5] = ["text", "one_image", "two_images", "batch_left_pad", "batch_text_left_pad"];

/// A batch of prompts alone, and the features of their images.
fn batch_of(model: &QwenVl, prompts: Vec<(Vec<u32>, Vec<&'static str>)>) -> TokenBatch {
    let named = images();
    let (mut groups, mut all_images) = (Vec::new(), Vec::new());
    for (ids, names) in prompts {
        let (prompt, images) = prompt(ids, &names, &named, &model.config);
        groups.push(TokenGroup { prompt: Some(prompt), responses: Vec::new() });
        all_images.extend(images);
    }
    let features = model.image_features(&all_images.iter().collect::<Vec<_>>());
    TokenBatch::new(groups, features).expect("a feature for every placeholder")
}

#[test]
fn multimodal_positions_are_exact() {
    let recorded = Recorded::open("rope");
    let config = model("tiny-tied-f32-saved").config;
    for case in CASES {
        let mut grids = match recorded.has(&format!("{case}/image_grid_thw")) {
            true => recorded.grids(&format!("{case}/image_grid_thw")),
            false => Vec::new(),
        };
        for (row, (ids, names)) in prompts(&recorded, case).into_iter().enumerate() {
            let own: Vec<PatchGrid> = grids.drain(..names.len()).collect();
            let positions = Positions::of_prompt(&ids, &own, &config).expect("valid prompt");
            let shape = recorded.shape(&format!("{case}/position_ids"));
            let (rows, padded) = (shape[1], shape[2]);
            let all = recorded.indices(&format!("{case}/position_ids"));
            for axis in 0..3 {
                let start = (axis * rows + row + 1) * padded - ids.len();
                assert_eq!(positions.axes[axis], all[start..start + ids.len()], "{case}, row {row}, axis {axis}");
            }
            let delta = recorded.values(&format!("{case}/rope_deltas"))[row];
            assert_eq!(positions.next as f64, ids.len() as f64 + delta, "{case}, row {row}: next position");
        }
    }
}

#[test]
fn logits_and_hidden_states_agree() {
    for (file, checkpoint) in
        [("forward_tied", "tiny-tied-f32-saved"), ("forward_untied", "tiny-untied-f32-hub-sharded")]
    {
        let recorded = Recorded::open(file);
        let model = model(checkpoint);
        for case in ["one_image", "batch_left_pad"] {
            let prompts = prompts(&recorded, case);
            let lengths: Vec<usize> = prompts.iter().map(|(ids, _)| ids.len()).collect();
            let batch = batch_of(&model, prompts);
            let mut stages = Vec::new();
            let hidden = model.hidden_observed(&batch, |stage| stages.push(stage.clone()));
            if case == "one_image" && recorded.has("one_image/hidden_0") {
                for (index, stage) in stages.iter().enumerate() {
                    let name = format!("one_image/hidden_{index}");
                    assert_close(&format!("{file}/{name}"), &host(stage), recorded.values(&name), 1e-4);
                }
            }
            let logits = host(&model.logits(hidden));
            let vocab = model.config.text.vocab_size;
            let mut start = 0;
            for (row, length) in lengths.into_iter().enumerate() {
                let theirs = recorded.row(&format!("{case}/logits"), row);
                let theirs = &theirs[theirs.len() - length * vocab..];
                let ours = &logits[start * vocab..(start + length) * vocab];
                assert_close(&format!("{file}/{case} logits, row {row}"), ours, theirs, 1e-4);
                start += length;
            }
        }
    }
}

/// Log-probabilities and entropies of sampled responses, the prompt computed once per group of four.
#[test]
fn response_log_probabilities_agree_at_every_temperature() {
    let recorded = Recorded::open("rl_batch");
    let model = model("tiny-tied-f32-saved");
    let (batch, responses) = crate::gradients::rl_groups(&recorded, &model);
    let places: Vec<usize> = batch.predicting_places().into_iter().flatten().flatten().collect();
    let device = model.device();
    let index = |values: &[usize]| {
        let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        Tensor::<1, Int>::from_data(TensorData::new(values, [places.len()]), &device)
    };
    let logits = model.logits(model.hidden(&batch, None).select(0, index(&places)));
    let sampled: Vec<usize> = responses.iter().flatten().map(|&id| id as usize).collect();
    for temperature in ["1.0", "0.7", "1.3"] {
        let scaled = log_softmax(logits.clone() / temperature.parse::<f64>().expect("a number"), 1);
        let ours = host(&scaled.clone().gather(1, index(&sampled).unsqueeze_dim(1)));
        let entropy = host(&(scaled.clone().exp() * scaled).sum_dim(1).neg());
        let valid = |name: String| -> Vec<f64> {
            let mask = recorded.values("response_mask");
            recorded.values(&name).iter().zip(mask).filter(|&(_, &seen)| seen > 0.0).map(|(&x, _)| x).collect()
        };
        let what = format!("log-probabilities at temperature {temperature}");
        assert_close(&what, &ours, &valid(format!("logprobs_t{temperature}")), 3e-5);
        let what = format!("entropies at temperature {temperature}");
        assert_close(&what, &entropy, &valid(format!("entropy_t{temperature}")), 1e-4);
    }
}

/// The shared prompt changes nothing: each response alone behind its own copy of the prompt gives the same.
#[test]
fn shared_prompt_equals_repeated_prompt() {
    let recorded = Recorded::open("rl_batch");
    let model = model("tiny-tied-f32-saved");
    let (batch, _) = crate::gradients::rl_groups(&recorded, &model);
    let hidden = host(&model.hidden(&batch, None));
    let width = model.config.text.hidden_size;
    let features = batch.image_features.clone().expect("two images");
    let (mut start, mut first_feature) = (0, 0);
    for group in &batch.groups {
        let prompt = group.prompt.clone().expect("scored as a whole");
        let features = features.clone().narrow(0, first_feature, prompt.image_tokens());
        first_feature += prompt.image_tokens();
        let mut at = start + prompt.ids.len();
        start += group.len();
        for response in &group.responses {
            let alone = TokenGroup { prompt: Some(prompt.clone()), responses: vec![response.clone()] };
            let alone = TokenBatch::new(vec![alone], Some(features.clone())).expect("one image");
            let alone = host(&model.hidden(&alone, None));
            let ours = &hidden[at * width..(at + response.len()) * width];
            assert_close("shared against repeated prompt", ours, &alone[prompt.ids.len() * width..], 2e-5);
            at += response.len();
        }
    }
}

/// Hiding the image tokens gives the same as a prompt in which nobody can see them: changing the image changes nothing.
#[test]
fn blind_view_does_not_depend_on_the_image() {
    let recorded = Recorded::open("rl_batch");
    let model = model("tiny-tied-f32-saved");
    let (batch, _) = crate::gradients::rl_groups(&recorded, &model);
    let blind = |scale: f64| {
        let mut batch = batch.clone();
        for group in &mut batch.groups {
            group.prompt = group.prompt.take().map(vlm_model::PromptTokens::blinded);
        }
        batch.image_features = batch.image_features.map(|features| features * scale);
        let places: Vec<usize> = batch.predicting_places().into_iter().flatten().flatten().collect();
        let hidden = host(&model.hidden(&batch, None));
        let width = model.config.text.hidden_size;
        places.iter().flat_map(|&place| hidden[place * width..(place + 1) * width].to_vec()).collect::<Vec<f64>>()
    };
    assert_close("blind under another image", &blind(1.0), &blind(-3.0), 1e-6);
    let places: Vec<usize> = batch.predicting_places().into_iter().flatten().flatten().collect();
    let seeing = host(&model.hidden(&batch, None));
    let width = model.config.text.hidden_size;
    let seeing: Vec<f64> = places.iter().flat_map(|&p| seeing[p * width..(p + 1) * width].to_vec()).collect();
    assert!(crate::fixtures::difference(&seeing, &blind(1.0)) > 0.1, "the image matters when it can be seen");
}

/// A cache filled with a prompt has one group per prompt, and forgets what it is told to.
#[test]
fn cache_keeps_count_of_its_groups() {
    let recorded = Recorded::open("rope");
    let model = model("tiny-tied-f32-saved");
    let batch = batch_of(&model, prompts(&recorded, "batch_left_pad"));
    let mut cache = KeyValueCache::new();
    let _ = model.hidden(&batch, Some(&mut cache));
    assert_eq!(cache.group_count(), 3);
    cache.retain_groups(&[true, false, true]);
    assert_eq!(cache.group_count(), 2);
}
