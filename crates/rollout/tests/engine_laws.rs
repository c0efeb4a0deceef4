//! Laws of the engine on a small checkpoint with every mechanism of the model.

use std::path::PathBuf;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rollout::{Completion, Finish, NativeEngine, Pass, RolloutPrompt, Sampling};
use vlm_model::image_input::{ImagePatches, PatchGrid};
use vlm_model::{PromptTokens, QwenVl, TokenBatch, TokenGroup};

/// A few ordinary tokens end a response, so that responses end early and at different times.
const STOP: [u32; 6] = [40, 41, 42, 43, 44, 45];

fn model() -> QwenVl {
    let folder =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/checkpoints/tiny-tied-f32-saved"));
    vlm_model::load(&folder, &Device::default()).expect("the fixture checkpoint loads")
}

/// Prompts with an image of 4 × 6 patches, without one, and with one of 8 × 4 patches.
fn prompts(model: &QwenVl) -> Vec<RolloutPrompt> {
    let tokens = &model.config.tokens;
    let prompt = |text: &[u32], grid: Option<PatchGrid>, seed: u64| {
        let mut ids = vec![tokens.vision_start];
        let grids: Vec<PatchGrid> = grid.into_iter().collect();
        ids.extend(std::iter::repeat_n(tokens.image_pad, grids.iter().map(PatchGrid::tokens).sum()));
        ids.push(tokens.vision_end);
        let ids = if grids.is_empty() { text.to_vec() } else { [&ids, text].concat() };
        let image = grids.first().map(|&grid| {
            let pixels =
                (0..grid.patches() * 1176).map(|i| ((i * 37 + seed as usize) % 101) as f32 / 50.0 - 1.0).collect();
            ImagePatches { pixels, grid }
        });
        let image_features = image.and_then(|image| model.image_features(&[&image]));
        RolloutPrompt { tokens: PromptTokens::new(ids, &grids, &model.config).expect("valid"), image_features, seed }
    };
    vec![
        prompt(&[5, 6, 7, 8], Some(PatchGrid { t: 1, h: 4, w: 6 }), 1),
        prompt(&[100, 20, 30], None, 2),
        prompt(&[9, 10, 11, 12, 13], Some(PatchGrid { t: 1, h: 8, w: 4 }), 3),
    ]
}

fn generate(model: &QwenVl, prompts: &[RolloutPrompt], sampling: &Sampling, rows: usize) -> Vec<Vec<Completion>> {
    let engine = NativeEngine::new(model, sampling, &STOP, rows).expect("valid settings");
    engine.generate(prompts, 4).expect("sampled")
}

fn warm() -> Sampling {
    // Hot enough that responses differ and some end at once.
    Sampling { temperature: 2.0, max_new_tokens: 80, ..Sampling::default() }
}

/// Log-probabilities at sampling equal those of one full forward pass over prompt and response. Decoding and scoring reduce
/// in other orders; the reference's own f32 noise is 6.5e-6.
#[test]
fn decoding_with_a_cache_equals_a_full_forward_pass() {
    let model = model();
    let device = model.device();
    let prompts = prompts(&model);
    let sampling = warm();
    let completions = generate(&model, &prompts, &sampling, 64);
    let mut excluded = vec![0.0_f32; model.config.text.vocab_size];
    model.config.tokens.prompt_only().iter().for_each(|&id| excluded[id as usize] = f32::NEG_INFINITY);
    let excluded = Tensor::<1>::from_floats(excluded.as_slice(), &device);
    let mut longest = 0;
    for (prompt, completions) in prompts.iter().zip(&completions) {
        let responses: Vec<Vec<u32>> = completions.iter().map(|completion| completion.tokens.clone()).collect();
        longest = responses.iter().map(Vec::len).fold(longest, usize::max);
        let group = TokenGroup { prompt: Some(prompt.tokens.clone()), responses: responses.clone() };
        let batch = TokenBatch::new(vec![group], prompt.image_features.clone()).expect("valid");
        let places: Vec<i64> = batch.predicting_places().into_iter().flatten().flatten().map(|p| p as i64).collect();
        let sampled: Vec<i64> = responses.iter().flatten().map(|&id| i64::from(id)).collect();
        let count = places.len();
        let index = |values: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device);
        let logits = model.logits(model.hidden(&batch, None).select(0, index(places)));
        let scores = log_softmax((logits + excluded.clone().unsqueeze()) / sampling.temperature, 1);
        let scores: Vec<f32> = scores.gather(1, index(sampled).unsqueeze_dim(1)).into_data().try_to_vec().expect("f32");
        let at_sampling: Vec<f32> = completions.iter().flat_map(|completion| completion.log_probs.clone()).collect();
        for (full, cached) in scores.iter().zip(&at_sampling) {
            assert!((full - cached).abs() < 3e-5, "{full} in one pass, {cached} at sampling");
        }
    }
    assert!(longest > 64, "some response outgrows the cache's first block");
}

/// A response depends on its prompt, its seed and its number alone.
#[test]
fn same_seed_same_tokens_whatever_the_batch() {
    let model = model();
    let prompts = prompts(&model);
    let together = generate(&model, &prompts, &warm(), 64);
    let in_waves = generate(&model, &prompts, &warm(), 4);
    let mut reversed = prompts.clone();
    reversed.reverse();
    let mut reversed = generate(&model, &reversed, &warm(), 64);
    reversed.reverse();
    for other in [&in_waves, &reversed] {
        for (ours, theirs) in together.iter().flatten().zip(other.iter().flatten()) {
            assert_eq!((&ours.tokens, ours.finish), (&theirs.tokens, theirs.finish));
        }
    }
    let mut reseeded = prompts.clone();
    reseeded[0].seed = 99;
    let reseeded = generate(&model, &reseeded, &warm(), 64);
    assert_ne!(together[0][0].tokens, reseeded[0][0].tokens, "another seed, another response");
    assert_eq!(together[1], reseeded[1], "another prompt's seed changes nothing");
    assert_ne!(together[0][0].tokens, together[0][1].tokens, "responses of a group differ");
}

/// So many stop tokens that lengths spread over all of 1..=80.
fn uneven() -> Vec<u32> {
    (40..140).collect()
}

/// Asserts that responses are the same, their log-probabilities up to the order of sums.
#[track_caller]
fn assert_same(ours: &[Vec<Completion>], theirs: &[Vec<Completion>]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
        assert_eq!((&ours.tokens, ours.finish), (&theirs.tokens, theirs.finish));
        let pairs = ours.log_probs.iter().zip(&theirs.log_probs);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 3e-5, "log-probabilities differ by {worst}");
    }
}

/// Whatever enters beside it and when, a response is what it is alone: with room for one row, for parts of a group, for a
/// group and a part of the next, with every prompt read by itself or all at once.
#[test]
fn responses_do_not_depend_on_what_enters_beside_them() {
    let model = model();
    let prompts = [prompts(&model), prompts(&model)].concat();
    let (stop, sampling) = (uneven(), Sampling { max_new_tokens: 24, ..warm() });
    let alone = |prompt: &RolloutPrompt| {
        let engine = NativeEngine::new(&model, &sampling, &stop, 64).expect("valid settings");
        engine.generate(std::slice::from_ref(prompt), 4).expect("sampled").remove(0)
    };
    let alone: Vec<Vec<Completion>> = prompts.iter().map(alone).collect();
    for (rows, tokens) in [(1, 8192), (2, 8192), (3, 1), (5, 8192), (6, 24), (9, 1), (64, 20)] {
        let engine = NativeEngine::new(&model, &sampling, &stop, rows).expect("valid settings");
        let engine = engine.with_tokens_per_pass(tokens);
        let mut passes = Vec::new();
        let found = engine.generate_observed(&prompts, 4, |pass| passes.push(pass)).expect("sampled");
        assert_same(&found, &alone);
        assert!(passes.iter().all(|pass| pass.continued + pass.begun <= rows), "more than {rows} rows");
        let read = |pass: &Pass| pass.prompts < 2 || pass.prompt_tokens + pass.continued <= tokens;
        assert!(passes.iter().all(read), "more than {tokens} tokens for several prompts: {passes:?}");
        assert_eq!(passes.iter().map(|pass| pass.prompts).sum::<usize>(), prompts.len(), "each prompt is read once");
        assert_eq!(passes.iter().map(|pass| pass.begun).sum::<usize>(), 4 * prompts.len());
    }
}

/// Responses of uneven lengths take fewer passes than in waves, each of which lasts as long as its longest, and no fewer than
/// their tokens and the longest of them demand.
#[test]
fn uneven_lengths_take_fewer_passes_than_waves() {
    let model = model();
    let prompts = [prompts(&model), prompts(&model), prompts(&model)].concat();
    let engine = NativeEngine::new(&model, &warm(), &uneven(), 8).expect("valid settings");
    let mut passes = 0;
    let found = engine.generate_observed(&prompts, 4, |_| passes += 1).expect("sampled");
    let lengths: Vec<usize> = found.iter().flatten().map(|completion| completion.tokens.len()).collect();
    // Two prompts with four responses each fill eight rows.
    let waves: usize = lengths.chunks(8).map(|wave| wave.iter().copied().fold(0, usize::max)).sum();
    let least = lengths.iter().sum::<usize>().div_ceil(8).max(lengths.iter().copied().fold(0, usize::max));
    eprintln!("{passes} passes, {waves} in waves, at least {least}");
    assert!(least <= passes && passes < waves, "{passes} passes, {waves} in waves, at least {least}");
}

/// A response ends at its first stop token and nowhere else, and never contains a vision token.
#[test]
fn responses_end_where_they_should() {
    let model = model();
    let completions = generate(&model, &prompts(&model), &warm(), 64);
    let stop = |token: &u32| (40..=45).contains(token);
    let mut stopped = 0;
    for completion in completions.iter().flatten() {
        assert_eq!(completion.tokens.len(), completion.log_probs.len());
        let (last, before) = completion.tokens.split_last().expect("at least one token");
        assert!(!before.iter().any(stop), "went on after a stop token");
        match completion.finish {
            Finish::Stop => assert!(stop(last)),
            Finish::Length => assert!(!stop(last) && completion.tokens.len() == 80),
        }
        stopped += usize::from(completion.finish == Finish::Stop);
        assert!(completion.tokens.iter().all(|token| !model.config.tokens.prompt_only().contains(token)));
    }
    assert!(stopped > 0, "the test covers rows that leave");
}

/// Vision tokens cannot be sampled even where the model likes nothing better.
#[test]
fn vision_tokens_are_never_sampled() {
    let model = model();
    let hot = Sampling { temperature: 50.0, max_new_tokens: 60, ..Sampling::default() };
    let engine = NativeEngine::new(&model, &hot, &[], 256).expect("valid settings");
    let completions = engine.generate(&prompts(&model), 60).expect("sampled");
    // Ten thousand nearly uniform draws from 2 048 tokens would hit one of five tokens about 26 times.
    let forbidden = model.config.tokens.prompt_only();
    assert!(completions.iter().flatten().flat_map(|c| &c.tokens).all(|token| !forbidden.contains(token)));
}

/// A prompt given images it does not place, or the reverse, is refused with both numbers.
#[test]
fn mismatched_features_are_refused() {
    let model = model();
    let mut broken = prompts(&model);
    broken[0].image_features = None;
    let engine = NativeEngine::new(&model, &warm(), &[], 8).expect("valid settings");
    let message = engine.generate(&broken[..1], 2).expect_err("features are missing").to_string();
    assert!(message.contains('6') && message.contains('0'), "{message}");
}
