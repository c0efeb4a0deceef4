//! What contrasts measure, under every kind of view.

use std::num::NonZeroU32;

use burn::module::Module as _;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Int, Tensor};
use dependency::{
    BuiltInDivergence, BuiltInPerturbation, Contrast, DependencyError, DependencyMetric, Draws, Fraction,
    GaussianNoise, PatchBlackout, Perturbation as _, PerturbedImage, SampledK3, SolidFill, Surface, View,
};
use image::RgbImage;
use rand::RngExt as _;
use trainer::{ContrastScores, Draw, Group, Scored, Scorer, Side, UpdateConfig, Vocabulary, perturbed_patches};
use vlm_model::image_input::{ImagePatches, ImageProcessor, PATCH_VALUES};
use vlm_model::{TokenBatch, TokenGroup};

use crate::batch::Setting;

/// From one response a pass to everything at once.
const BUDGETS: [usize; 4] = [1, 90, 160, 100_000];
const SEED: u64 = 5;

/// Measures its contrasts; the score is the divergence of the first.
struct Measured(Vec<Contrast>);

impl DependencyMetric for Measured {
    fn contrasts(&self) -> &[Contrast] {
        &self.0
    }

    fn score(&self, divergences: &[Tensor<2>], _response: &Tensor<2, Bool>) -> Result<Tensor<2>, DependencyError> {
        Ok(divergences[0].clone())
    }
}

fn score(setting: &Setting, contrasts: &[Contrast], tokens_per_micro_batch: usize, seed: u64) -> Scored {
    let scorer = Scorer {
        policy: &setting.policy.valid(),
        reference: None,
        metric: Some(&Measured(contrasts.to_vec())),
        vocabulary: &setting.vocabulary,
        processor: &setting.processor.image,
        tokens_per_micro_batch,
        seed,
    };
    scorer.score(setting.groups.clone()).expect("the groups can be scored")
}

fn contrast(base: View, view: View) -> Contrast {
    Contrast { base, ..Contrast::new("a view", view, BuiltInDivergence::SampledK3(SampledK3::default())) }
}

fn blackout(draws: Draws, surface: Surface) -> View {
    let perturbation = BuiltInPerturbation::PatchBlackout(PatchBlackout::default());
    View::Perturbed(PerturbedImage { perturbation, draws, surface })
}

fn grey() -> View {
    View::from(BuiltInPerturbation::SolidFill(SolidFill::default()))
}

fn host(values: &Tensor<1>) -> Vec<f64> {
    values.to_data().iter::<f64>().collect()
}

fn log_probs(scores: &ContrastScores) -> Vec<f64> {
    host(&scores.log_probs)
}

fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Every draw, surface and base.
fn all_kinds() -> Vec<Contrast> {
    let mut contrasts = vec![contrast(View::Clean, View::Blind), contrast(View::Blind, View::Blind)];
    for draws in [Draws::PerPrompt, Draws::PerResponse] {
        for surface in [Surface::Image, Surface::ModelInput] {
            contrasts.push(contrast(View::Clean, blackout(draws, surface)));
            contrasts.push(contrast(blackout(draws, surface), View::Blind));
        }
    }
    contrasts.push(contrast(View::Blind, blackout(Draws::PerPrompt, Surface::Image)));
    contrasts
        .push(contrast(blackout(Draws::PerResponse, Surface::ModelInput), blackout(Draws::PerPrompt, Surface::Image)));
    contrasts
}

#[test]
fn no_view_depends_on_the_micro_batch() {
    let setting = Setting::new(&UpdateConfig::default());
    let contrasts = all_kinds();
    let whole = score(&setting, &contrasts, usize::MAX, SEED).contrasts;
    for budget in BUDGETS {
        let cut = score(&setting, &contrasts, budget, SEED).contrasts;
        assert_eq!(cut.len(), contrasts.len());
        let mut largest = (0.0_f64, 0.0_f64);
        for ((contrast, cut), whole) in contrasts.iter().zip(&cut).zip(&whole) {
            let of_log_probs = distance(&log_probs(cut), &log_probs(whole));
            let of_divergences = distance(&host(&cut.divergences[0]), &host(&whole.divergences[0]));
            largest = (largest.0.max(of_log_probs), largest.1.max(of_divergences));
            assert!(of_log_probs <= 3e-5, "log-probabilities differ by {of_log_probs:.2e} at {budget}: {contrast:?}");
            // A divergence grows with the exponential of a difference of log-probabilities.
            assert!(of_divergences <= 1e-4, "divergences differ by {of_divergences:.2e} at {budget}: {contrast:?}");
        }
        eprintln!("at most {budget} tokens a pass: log-probabilities {:.2e}, divergences {:.2e}", largest.0, largest.1);
    }
}

/// Every number recomputed: each response alone behind its prompt, its image changed by hand.
#[test]
fn views_are_what_they_say() {
    let setting = Setting::new(&UpdateConfig::default());
    let contrasts = all_kinds();
    let scored = score(&setting, &contrasts, 160, SEED);
    let by_hand = |contrast: usize, side: Side, view: &View| -> Vec<f64> {
        let groups = setting.groups.iter().enumerate();
        groups.flat_map(|(group, _)| alone(&setting, view, Draw { contrast, side, group, response: 0 })).collect()
    };
    for (index, (contrast, scores)) in contrasts.iter().zip(&scored.contrasts).enumerate() {
        let view = by_hand(index, Side::View, &contrast.view);
        let base = by_hand(index, Side::Base, &contrast.base);
        let of_view = distance(&log_probs(scores), &view);
        assert!(of_view <= 3e-5, "log-probabilities differ by {of_view:.2e}: {contrast:?}");
        let k3 = |(base, view): (&f64, &f64)| ((view - base).exp_m1() - (view - base)).clamp(0.0, 10.0);
        let divergences: Vec<f64> = base.iter().zip(&view).map(k3).collect();
        let of_divergence = distance(&host(&scores.divergences[0]), &divergences);
        assert!(of_divergence <= 1e-4, "divergences differ by {of_divergence:.2e}: {contrast:?}");
    }
}

/// Log-probabilities of a group's tokens under a view, response by response.
fn alone(setting: &Setting, view: &View, draw: Draw) -> Vec<f64> {
    let model = setting.policy.valid();
    let Group { task, completions, features, .. } = &setting.groups[draw.group];
    let processor = &setting.processor.image;
    let of_response = |response: usize| {
        let ids = completions[response].tokens.clone();
        let (mut prompt, mut features) = (task.prompt.clone(), features.clone());
        match view {
            View::Clean => {}
            View::Blind => prompt.blind = true,
            View::Perturbed(PerturbedImage { perturbation, draws, surface }) => {
                let response = if *draws == Draws::PerResponse { response } else { 0 };
                let mut random = Draw { response, ..draw }.random(SEED);
                let mut patches = |image: &RgbImage| match surface {
                    Surface::Image => processor.patches(&perturbation.apply(image, &mut random)),
                    Surface::ModelInput => {
                        let resized = processor.resized(image).expect("processable");
                        processor.patches_of_resized(&perturbation.apply(&resized, &mut random))
                    }
                };
                let patches: Vec<ImagePatches> =
                    task.images.iter().map(|image| patches(image).expect("processable")).collect();
                features = model.image_features(&patches.iter().collect::<Vec<_>>());
            }
        }
        let last_of_prompt = prompt.ids.len() - 1;
        let group = TokenGroup { prompt: Some(prompt), responses: vec![ids.clone()] };
        let hidden = model.hidden(&TokenBatch::new(vec![group], features).expect("a feature per placeholder"), None);
        plain_log_probs(setting, hidden.narrow(0, last_of_prompt, ids.len()), &ids)
    };
    (0..completions.len()).filter(|&response| !completions[response].tokens.is_empty()).flat_map(of_response).collect()
}

/// The vocabulary's distribution, written out.
fn plain_log_probs(setting: &Setting, hidden: Tensor<2>, ids: &[u32]) -> Vec<f64> {
    let model = setting.policy.valid();
    let excluded = model.config.tokens.prompt_only();
    let mut bias = vec![0.0_f32; model.config.text.vocab_size];
    excluded.iter().for_each(|&id| bias[id as usize] = -1e9);
    let bias = Tensor::<1>::from_floats(bias.as_slice(), &Device::default());
    let scores = log_softmax((model.logits(hidden) + bias.unsqueeze()) / setting.vocabulary.temperature(), 1);
    let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    let ids = Tensor::<1, Int>::from_ints(ids.as_slice(), &Device::default());
    host(&scores.gather(1, ids.unsqueeze_dim(1)).squeeze_dim(1))
}

/// Two equal responses of a group are told apart by what they saw alone.
#[test]
fn responses_see_the_same_image_or_each_its_own() {
    let mut setting = Setting::new(&UpdateConfig::default());
    for group in [0, 2] {
        let first = setting.groups[group].completions[0].clone();
        setting.groups[group].completions[2] = first;
    }
    let draws = [Draws::PerPrompt, Draws::PerResponse];
    let contrasts = draws.map(|draws| contrast(View::Clean, blackout(draws, Surface::Image)));
    for budget in BUDGETS {
        let scored = score(&setting, &contrasts, budget, SEED);
        let rows = |index: usize| scored.rows.split(&log_probs(&scored.contrasts[index]));
        for (first, again) in [(0, 2), (6, 8)] {
            let apart = |index: usize| distance(&rows(index)[first], &rows(index)[again]);
            assert!(apart(0) <= 3e-5, "one image for all: {:.2e}", apart(0));
            assert!(apart(1) > 1e-3, "an image for each: {:.2e}", apart(1));
        }
    }
}

/// A seed stands for all draws; another seed, another contrast and the other side of one draw numbers of their own.
#[test]
fn draws_are_repeated_by_their_seed_alone() {
    let setting = Setting::new(&UpdateConfig::default());
    let noise = View::from(BuiltInPerturbation::GaussianNoise(GaussianNoise::default()));
    let contrasts = [contrast(View::Clean, noise), contrast(View::Clean, noise), contrast(noise, noise)];
    let measured = |seed| score(&setting, &contrasts, 160, seed).contrasts;
    let (first, again, other) = (measured(SEED), measured(SEED), measured(SEED + 1));
    for index in 0..contrasts.len() {
        assert_eq!(log_probs(&first[index]), log_probs(&again[index]));
        assert!(distance(&log_probs(&first[index]), &log_probs(&other[index])) > 1e-3);
    }
    assert!(distance(&log_probs(&first[0]), &log_probs(&first[1])) > 1e-3, "contrasts draw for themselves");
    assert!(host(&first[2].divergences[0]).iter().any(|&value| value > 1e-3), "base and view draw for themselves");

    // A contrast's draws do not depend on what else is measured after it, nor a group's on the groups after it.
    let mut fewer = Setting::new(&UpdateConfig::default());
    fewer.groups.truncate(1);
    let alone = log_probs(&score(&fewer, &contrasts[..1], 160, SEED).contrasts[0]);
    assert!(distance(&alone, &log_probs(&first[0])[..alone.len()]) <= 3e-5);
}

#[test]
fn no_two_draws_share_their_numbers() {
    let mut seen = std::collections::BTreeSet::new();
    for contrast in [0, 1, 2, (1 << 15) - 1] {
        for side in [Side::View, Side::Base] {
            for group in [0, 1, 2, (1 << 32) - 1] {
                for response in [0, 1, 2, (1 << 16) - 1] {
                    let draw = Draw { contrast, side, group, response };
                    assert!(seen.insert(draw.random(SEED).random::<u64>()), "{draw:?}");
                    assert!(seen.insert(draw.random(SEED + 1).random::<u64>()), "{draw:?} of another seed");
                }
            }
        }
    }
}

/// What a contrast reports are the log-probabilities of its view, whatever it is compared with.
#[test]
fn the_view_is_reported_not_the_base() {
    let setting = Setting::new(&UpdateConfig::default());
    let contrasts = [
        contrast(View::Clean, grey()),
        contrast(View::Blind, grey()),
        contrast(grey(), View::Clean),
        contrast(grey(), grey()),
    ];
    let scored = score(&setting, &contrasts, 160, SEED);
    let [of_grey, other, clean, same] = [0, 1, 2, 3].map(|index| log_probs(&scored.contrasts[index]));
    assert_eq!(of_grey, other);
    assert_eq!(of_grey, same);
    assert!(distance(&clean, &host(&scored.clean.log_probs)) <= 1e-6);
    assert!(distance(&clean, &of_grey) > 1e-3);
    assert!(host(&scored.contrasts[3].divergences[0]).iter().all(|&value| value < 1e-9), "grey is grey");
}

/// Divergences asked for besides follow each contrast's own and change nothing else.
#[test]
fn more_divergences_can_be_asked_for() {
    let setting = Setting::new(&UpdateConfig::default());
    let contrasts = vec![contrast(View::Clean, grey()), contrast(View::Clean, View::Blind)];
    let policy = setting.policy.valid();
    let scorer = Scorer {
        policy: &policy,
        reference: None,
        metric: Some(&Measured(contrasts)),
        vocabulary: &Vocabulary::plain(7),
        processor: &setting.processor.image,
        tokens_per_micro_batch: 160,
        seed: SEED,
    };
    let own = scorer.score(setting.groups.clone()).expect("the groups can be scored");
    let capped = SampledK3 { cap: dependency::Positive::literal(1e-3), ..SampledK3::default() };
    let more = scorer.score_besides(setting.groups.clone(), &[&capped, &SampledK3::default()]);
    let more = more.expect("the groups can be scored");
    for (own, more) in own.contrasts.iter().zip(&more.contrasts) {
        assert_eq!((own.divergences.len(), more.divergences.len()), (1, 3));
        let value = |index: usize| host(&more.divergences[index]);
        assert_eq!((value(0), value(2)), (host(&own.divergences[0]), value(0)));
        assert!(value(1).iter().zip(&value(0)).all(|(capped, full)| (capped - full.min(1e-3)).abs() < 1e-9));
        assert_ne!(value(1), value(0));
    }
}

/// Cells of 14 pixels on the model's input are the encoder's patches, to the pixel; on the image as read they are not.
#[test]
fn cells_of_the_model_input_are_patches() {
    // 100 x 75 pixels are shown in 112 x 84: 8 x 6 patches.
    let image = RgbImage::from_fn(100, 75, |x, y| image::Rgb([x as u8 + 60, y as u8 + 90, 200]));
    let processor = ImageProcessor::default();
    let clean = processor.patches(&image).expect("processable");
    assert_eq!((clean.grid.w, clean.grid.h), (8, 6));
    let probability = Fraction::literal(0.1);
    let patch = NonZeroU32::new(14).expect("not 0");
    let change = |surface| PerturbedImage {
        perturbation: BuiltInPerturbation::PatchBlackout(PatchBlackout { patch, probability }),
        draws: Draws::PerPrompt,
        surface,
    };
    let differing = |ours: &ImagePatches| -> Vec<usize> {
        let patches = ours.pixels.chunks_exact(PATCH_VALUES).zip(clean.pixels.chunks_exact(PATCH_VALUES));
        patches.enumerate().filter(|(_, (ours, clean))| ours != clean).map(|(index, _)| index).collect()
    };
    let mut single = 0;
    for seed in 0..100 {
        let draw = Draw { contrast: 0, side: Side::View, group: 0, response: seed };
        let patches = |surface| perturbed_patches(&change(surface), &image, &processor, &mut draw.random(SEED));
        // The same draws on an image whose pixels are the cells tell which cells are black.
        let one_pixel = PatchBlackout { patch: NonZeroU32::MIN, probability };
        let white = RgbImage::from_pixel(8, 6, image::Rgb([255; 3]));
        let cells = one_pixel.apply(&white, &mut draw.random(SEED));
        let mut black: Vec<usize> = (0..48)
            .filter(|index| cells.get_pixel(index % 8, index / 8).0 == [0; 3])
            .map(|index| {
                // Merge block by merge block, four patches in each.
                let (column, row) = (index as usize % 8, index as usize / 8);
                (row / 2 * 4 + column / 2) * 4 + row % 2 * 2 + column % 2
            })
            .collect();
        black.sort_unstable();
        assert_eq!(differing(&patches(Surface::ModelInput).expect("processable")), black);
        if let [cell] = black[..] {
            single += 1;
            let patches = patches(Surface::ModelInput).expect("processable");
            let values = &patches.pixels[cell * PATCH_VALUES..(cell + 1) * PATCH_VALUES];
            for (channel, values) in values.chunks_exact(PATCH_VALUES / 3).enumerate() {
                let darkest = (0.0 - processor.mean[channel]) / processor.std[channel];
                assert!(values.iter().all(|&value| value == darkest));
            }
            assert!(
                differing(
                    &perturbed_patches(&change(Surface::Image), &image, &processor, &mut draw.random(SEED))
                        .expect("processable")
                )
                .len()
                    != 1
            );
        }
    }
    assert!(single > 0, "some draw blackens a single cell");
}

/// With certainty nothing is left, wherever the cells lie; a strip that the pixel limits yield to is not resized twice.
#[test]
fn a_certain_blackout_is_black() {
    for (width, height, processor) in [
        (100, 70, ImageProcessor::default()),
        (
            3000,
            20,
            ImageProcessor { limits: vlm_model::image_input::PixelLimits::new(784, 20_000), ..Default::default() },
        ),
    ] {
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 200]));
        let black = processor.patches(&RgbImage::new(width, height)).expect("processable");
        for surface in [Surface::Image, Surface::ModelInput] {
            let perturbation = BuiltInPerturbation::PatchBlackout(PatchBlackout {
                probability: Fraction::literal(1.0),
                ..PatchBlackout::default()
            });
            let change = PerturbedImage { perturbation, draws: Draws::PerPrompt, surface };
            let draw = Draw { contrast: 0, side: Side::View, group: 0, response: 0 };
            let patches = perturbed_patches(&change, &image, &processor, &mut draw.random(SEED)).expect("processable");
            assert_eq!(patches, black, "{surface:?}");
        }
    }
}
