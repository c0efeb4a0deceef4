//! Pages of runs: the images that contrasts drew, and responses scored again.

use std::fs;
use std::path::Path;

use dependency::{
    BuiltInDivergence, BuiltInPerturbation, Contrast, DependencyBound, Draws, GaussianNoise, Metric, NonNegative,
    PatchBlackout, PerturbedImage, SampledK3, Surface, View,
};
use inspector::{Comparison, GroupPictures, Page, Picture, RolloutRecord, TokenRecord};
use reward::{Answer, Reward, Ungraded, Verdict};
use rollout::{Completion, Finish};
use trainer::{
    Group, Inspection, MetricsFile, Other, Recipe, RecordConfig, RolloutFiles, ScheduleConfig, Scorer, TrainConfig,
    TrainObserver, Trainer, dapo, pgpo, prepare, reinforce_pp, vocabulary, vppo,
};

use crate::workspace::{Workspace, device_name};

/// Pays for what a response says, so that an untrained policy has something to learn.
struct ByLetters;

impl Reward for ByLetters {
    fn judge(&self, answers: &[Answer<'_>]) -> Vec<Result<Verdict, Ungraded>> {
        let earned = |answer: &Answer| answer.response.bytes().map(u32::from).sum::<u32>() % 8;
        let verdict = |earned: u32| Verdict { overall: earned as f32 / 4.0, ..Verdict::default() };
        answers.iter().map(|answer| Ok(verdict(earned(answer)))).collect()
    }
}

/// More groups than a step has.
const EVERY: usize = 100;

fn unfiltered(recipe: Recipe) -> Recipe {
    Recipe { name: format!("{}-unfiltered", recipe.name), accuracy_band: None, ..recipe }
}

/// Three steps of two groups, each with a checkpoint, and all their records.
fn run(workspace: &Workspace, output: &str, recipe: &Recipe, token_groups: usize) -> TrainConfig {
    let config = workspace.config(output, &workspace.recipe(recipe));
    let schedule = ScheduleConfig { steps: 3, save_every: 1, keep: 3, ..config.schedule };
    let config = TrainConfig { schedule, record: RecordConfig { every: 1, token_groups }, ..config };
    let mut trainer = Trainer::start(config.clone()).expect("starts");
    trainer.reward = Box::new(ByLetters);
    let mut observers: Vec<Box<dyn TrainObserver>> = vec![
        Box::new(MetricsFile::open(&config.output).expect("a writable folder")),
        Box::new(RolloutFiles::open(&config.output).expect("a writable folder")),
    ];
    trainer.run(&mut observers).expect("runs");
    config
}

fn inspection(run: &Path, others: &[&str]) -> Inspection {
    let others = others.iter().map(|other| other.parse::<Other>().expect("understood")).collect();
    Inspection { run: run.to_owned(), steps: None, limit: 1000, images: true, others, device: None }
}

fn page(run: &Path, others: &[&str]) -> Page {
    inspection(run, others).page().expect("a page")
}

/// The largest difference between two responses' values, which must have the same lists.
fn difference(ours: &TokenRecord, theirs: &TokenRecord) -> f32 {
    assert_eq!((&ours.ids, &ours.texts), (&theirs.ids, &theirs.texts));
    assert_eq!(ours.sampling_log_probs, theirs.sampling_log_probs);
    let lists = |tokens: &TokenRecord| {
        let named = tokens.contrasts.iter().map(|contrast| contrast.name.clone()).collect::<Vec<_>>();
        let contrasts = tokens.contrasts.iter().flat_map(|one| [one.log_probs.clone(), one.divergence.clone()]);
        let own = [&tokens.log_probs, &tokens.entropy, &tokens.advantage, &tokens.gate].map(Clone::clone);
        (named, own.into_iter().chain(tokens.dependency.clone()).chain(contrasts).collect::<Vec<_>>())
    };
    let ((names, ours), (same, theirs)) = (lists(ours), lists(theirs));
    assert_eq!((names, ours.len()), (same, theirs.len()));
    let pairs = ours.iter().zip(&theirs).flat_map(|(ours, theirs)| {
        assert_eq!(ours.len(), theirs.len());
        ours.iter().zip(theirs)
    });
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// What rounding may change between a run and the same computation from its files.
fn rounding() -> f32 {
    if device_name() == "cpu" { 1e-6 } else { 1e-3 }
}

fn names(page: &Page, step: usize) -> Vec<&str> {
    let rollout = page.rollouts.iter().find(|rollout| rollout.record.step == step).expect("a response");
    rollout.compared.iter().map(|comparison| comparison.name.as_str()).collect()
}

/// Scored again by the run's own recipe and the policies that sampled them, responses have the values that the run recorded; by
/// another recipe, checkpoint or both they have others.
#[test]
fn the_same_recipe_and_policy_say_the_same() {
    let workspace = Workspace::new();
    let recipe = unfiltered(vppo());
    let config = run(&workspace, "run", &recipe, EVERY);
    let own = format!("recipe={}", config.recipe);
    let page = page(&config.output, &[&own, "recipe=pgpo", "checkpoint=step-3", "recipe=grpo,checkpoint=start"]);
    assert_eq!(page.rollouts.len(), 3 * 2 * 3);
    assert_eq!(page.metrics.len(), 3);
    let policy = ["start", "step-1", "step-2"];
    for (step, policy) in (1..).zip(policy) {
        let expected = [
            format!("vppo-unfiltered @ {policy}"),
            format!("pgpo @ {policy}"),
            "vppo-unfiltered @ step-3".to_owned(),
            "grpo @ start".to_owned(),
        ];
        assert_eq!(names(&page, step), expected);
    }
    let mut largest = 0.0_f32;
    for rollout in &page.rollouts {
        let tokens = rollout.record.tokens.as_ref().expect("recorded");
        let [same, pgpo, last, grpo] = &rollout.compared[..] else { panic!("four comparisons") };
        largest = largest.max(difference(&same.tokens, tokens));
        assert_eq!(pgpo.tokens.contrasts[0].name, "blind");
        assert!(pgpo.tokens.gate.iter().all(|&gate| gate == 1.0), "pgpo silences nothing");
        assert!(difference(&last.tokens, tokens) > 1e-4, "another policy predicts otherwise");
        assert!(grpo.tokens.dependency.is_none() && grpo.tokens.contrasts.is_empty());
        assert_eq!(
            rollout.record.step == 1,
            grpo.tokens.log_probs.iter().zip(&tokens.log_probs).all(|(a, b)| (a - b).abs() <= rounding())
        );
    }
    eprintln!("scored again: largest difference {largest:.1e}");
    assert!(largest <= rounding(), "scored again: largest difference {largest:.1e}");
    let all = || page.rollouts.iter().filter_map(|rollout| rollout.record.tokens.as_ref());
    assert!(all().any(|tokens| tokens.advantage.iter().any(|&a| a > 0.1)), "rewards differ");
    assert!(all().any(|tokens| tokens.gate.contains(&0.0)) && all().any(|tokens| tokens.gate.contains(&1.0)));
}

/// Where the tokens of some groups alone were recorded, advantages within a group are still what they were, and the name says
/// from how many groups the rest is taken. Without the policy that sampled, the nearest before it scores, and the name says so.
#[test]
fn partial_records_are_named_as_such() {
    let workspace = Workspace::new();
    let config = run(&workspace, "run", &unfiltered(dapo()), 1);
    fs::remove_dir_all(config.output.join("checkpoints/step-2")).expect("a writable folder");
    let own = format!("recipe={}", config.recipe);
    let page = page(&config.output, &[&own, "recipe=vppo"]);
    let own = "dapo-unfiltered @ ";
    let partial = "credit from 1 of 2 groups";
    assert_eq!(names(&page, 1), [format!("{own}start, {partial}"), format!("vppo @ start, {partial}")]);
    let nearest = format!("step-1, the nearest kept, {partial}");
    assert_eq!(names(&page, 3), [format!("{own}{nearest}"), format!("vppo @ {nearest}")]);
    for rollout in page.rollouts.iter().filter(|rollout| rollout.record.step < 3) {
        match &rollout.record.tokens {
            Some(tokens) => assert!(difference(&rollout.compared[0].tokens, tokens) <= rounding()),
            None => assert_eq!(rollout.compared, [] as [Comparison; 0]),
        }
    }
    assert_eq!(page.rollouts.iter().filter(|rollout| !rollout.compared.is_empty()).count(), 9);
}

/// A recipe that reads a reference policy is scored with the one the run began with.
#[test]
fn a_reference_is_read() {
    let workspace = Workspace::new();
    let config = run(&workspace, "run", &unfiltered(reinforce_pp()), EVERY);
    let own = format!("recipe={}", config.recipe);
    for rollout in page(&config.output, &[&own]).rollouts {
        let tokens = rollout.record.tokens.as_ref().expect("recorded");
        assert!(difference(&rollout.compared[0].tokens, tokens) <= rounding());
        let advantage = &tokens.advantage;
        assert!(rollout.record.step == 1 || advantage.iter().any(|a| a != &advantage[0]), "the reference has its say");
    }
}

/// A recipe with every sort of view: drawn once for a prompt or for each response, on either surface, as a base, and blind.
fn many_views() -> Recipe {
    let divergence = BuiltInDivergence::SampledK3(SampledK3::default());
    let view = |perturbation: BuiltInPerturbation, draws, surface| {
        View::Perturbed(PerturbedImage { perturbation, draws, surface })
    };
    let noise = BuiltInPerturbation::GaussianNoise(GaussianNoise::default());
    let blackout = BuiltInPerturbation::PatchBlackout(PatchBlackout::default());
    let mut from_noise = Contrast::new("from-noise", View::Blind, divergence);
    from_noise.base = view(noise, Draws::PerPrompt, Surface::Image);
    let contrasts = vec![
        Contrast::new("blackout", view(blackout, Draws::PerPrompt, Surface::ModelInput), divergence),
        from_noise,
        Contrast::new("noise", view(noise, Draws::PerResponse, Surface::Image), divergence),
    ];
    let metric = DependencyBound::new(contrasts, NonNegative::new(0.5).expect("a number")).expect("contrasts");
    Recipe { dependency: Some(Metric::DependencyBound(metric)), ..unfiltered(pgpo()) }
}

/// What a policy thinks of a response to a problem whose images are exchanged for a picture of the page.
fn log_probs(config: &TrainConfig, record: &RolloutRecord, picture: &Picture) -> Vec<f32> {
    let device = trainer::device(&config.device).expect("a device");
    let folder = match record.step {
        1 => config.model.clone(),
        step => config.output.join(format!("checkpoints/step-{}", step - 1)),
    };
    let policy = vlm_model::load(&folder, &device).expect("loads");
    let processor = config.data.processor(&config.model).expect("loads");
    let problems = config.data.open(&config.data.train).expect("the data");
    let problem = problems.dataset().problem(record.problem_index.expect("known")).expect("readable");
    let task = prepare(&problem, &processor, &policy.config, &config.data).expect("a prompt");
    let image = image::load_from_memory(&picture.bytes).expect("a PNG").into_rgb8();
    let patches = processor.image.patches_of_resized(&image).expect("the size that the model sees");
    let tokens = record.tokens.as_ref().expect("recorded");
    let completion = Completion { tokens: tokens.ids.clone(), log_probs: Vec::new(), finish: Finish::Stop };
    let group = Group {
        features: policy.image_features(&[&patches]),
        task,
        completions: vec![completion],
        texts: vec![String::new()],
        verdicts: vec![Verdict::default()],
        asked: 1,
        ungraded: 0,
    };
    let scorer = Scorer {
        policy: &policy,
        reference: None,
        metric: None,
        vocabulary: &vocabulary(config, &policy, &device),
        processor: &processor.image,
        tokens_per_micro_batch: usize::MAX,
        seed: 0,
    };
    scorer.score(vec![group]).expect("scores").clean.log_probs.to_data().iter().collect()
}

#[track_caller]
fn assert_close(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest <= 10.0 * rounding(), "{what}: {largest:.1e}");
}

/// The policy of a step, shown the pictures of the page, says what the run recorded of each contrast.
#[test]
fn pictures_are_what_the_run_scored() {
    let workspace = Workspace::new();
    let config = run(&workspace, "run", &many_views(), EVERY);
    let page = page(&config.output, &[]);
    assert_eq!(
        page.pictures.iter().map(|group| (group.step, group.group)).collect::<Vec<_>>(),
        [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]
    );
    for GroupPictures { step, group, pictures } in page.pictures.iter().filter(|group| group.step != 2) {
        let named: Vec<&str> = pictures.iter().map(|picture| picture.name.as_str()).collect();
        let each = ["noise, response 0", "noise, response 1", "noise, response 2"];
        let shared = ["image", "blackout", "from-noise, its base", "from-noise: the image's tokens are hidden"];
        assert_eq!(named, [&shared[..], &each].concat());
        assert!(pictures.iter().all(|picture| picture.media_type == "image/png"));
        let [image, blackout, base, blind, noise @ ..] = &pictures[..] else { panic!("seven pictures") };
        let size = |picture: &Picture| image::load_from_memory(&picture.bytes).expect("a PNG").into_rgb8().dimensions();
        assert_eq!(size(blind), size(image));
        let of_group = page
            .rollouts
            .iter()
            .map(|rollout| &rollout.record)
            .filter(|record| (record.step, record.group) == (*step, *group));
        for (record, noise) in of_group.zip(noise) {
            let what = format!("step {step}, group {group}, response {}", record.response);
            let tokens = record.tokens.as_ref().expect("recorded");
            let [by_blackout, by_base, by_noise] = &tokens.contrasts[..] else { panic!("three contrasts") };
            assert_close(&what, &log_probs(&config, record, image), &tokens.log_probs);
            assert_close(&what, &log_probs(&config, record, blackout), &by_blackout.log_probs);
            assert_close(&what, &log_probs(&config, record, noise), &by_noise.log_probs);
            let against_base = log_probs(&config, record, base);
            let k3 = against_base.iter().zip(&by_base.log_probs).map(|(base, view)| {
                let difference = (view - base).clamp(-20.0, 20.0);
                (difference.exp() - difference - 1.0).clamp(0.0, 10.0)
            });
            assert_close(&what, &k3.collect::<Vec<_>>(), &by_base.divergence);
        }
    }
    let mut drawn: Vec<&[u8]> =
        page.pictures.iter().flat_map(|group| &group.pictures[4..]).map(|picture| &picture.bytes[..]).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 3 * 2 * 3, "every response has noise of its own");
}

/// Data that is gone or has changed costs the images of its problems, and of no others; the page says why.
#[test]
fn changed_data_is_not_shown_for_what_it_was() {
    let workspace = Workspace::new();
    let config = run(&workspace, "run", &unfiltered(vppo()), EVERY);
    let whole = page(&config.output, &[]);
    assert!(whole.pictures.iter().all(|group| group.pictures.len() == 2), "image and blackout");
    assert_eq!(whole.configuration, fs::read_to_string(config.output.join("config.toml")).expect("written"));

    let data = config.data.train.parts().next().expect("a file").to_owned();
    let text = fs::read_to_string(&data).expect("the data");
    let changed = whole.rollouts[0].record.problem_index.expect("known");
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .map(
            |(index, line)| {
                if index == changed { line.replacen("<image>", "<image>Say: ", 1) } else { line.to_owned() }
            },
        )
        .collect();
    fs::write(&data, lines.join("\n")).expect("a writable folder");
    let partly = page(&config.output, &["recipe=pgpo"]);
    assert_eq!(partly.rollouts.len(), whole.rollouts.len());
    for (group, before) in partly.pictures.iter().zip(&whole.pictures) {
        let of_group = |record: &RolloutRecord| (record.step, record.group) == (group.step, group.group);
        let rollout = partly.rollouts.iter().find(|rollout| of_group(&rollout.record)).expect("a response");
        if rollout.record.problem_index == Some(changed) {
            assert!(
                group.pictures.len() == 1 && group.pictures[0].name.contains("another problem"),
                "{}",
                group.pictures[0].name
            );
            assert!(rollout.compared.is_empty());
        } else {
            assert_eq!(group, before);
            let [comparison] = &rollout.compared[..] else { panic!("one comparison") };
            let lost = partly
                .rollouts
                .iter()
                .any(|other| other.record.step == group.step && other.record.problem_index == Some(changed));
            assert_eq!(comparison.name.contains("credit from 1 of 2"), lost);
        }
    }
    assert!(partly.configuration.starts_with("# ") && partly.configuration.contains("another problem"));
    assert!(toml::from_str::<TrainConfig>(&partly.configuration).is_ok(), "remarks are comments");

    fs::remove_file(&data).expect("a writable folder");
    let none = page(&config.output, &["recipe=pgpo"]);
    assert_eq!((none.rollouts.len(), &none.metrics), (whole.rollouts.len(), &whole.metrics));
    assert!(
        none.pictures
            .iter()
            .all(|group| group.pictures.len() == 1 && group.pictures[0].name.contains("cannot be opened"))
    );
    assert!(none.rollouts.iter().all(|rollout| rollout.compared.is_empty()));
    assert!(
        Inspection { images: false, ..inspection(&config.output, &[]) }.page().expect("a page").pictures.is_empty()
    );
}

/// A run that has just begun, is being written, or keeps no responses has a page; steps and limits choose whole groups.
#[test]
fn a_page_shows_what_there_is() {
    let workspace = Workspace::new();
    let config = run(&workspace, "run", &unfiltered(dapo()), EVERY);
    let shown = |inspection: Inspection| {
        let page = inspection.page().expect("a page");
        page.rollouts.iter().map(|rollout| (rollout.record.step, rollout.record.group)).collect::<Vec<_>>()
    };
    let all = inspection(&config.output, &[]);
    let of = |steps: &[usize], groups: usize| -> Vec<(usize, usize)> {
        steps.iter().flat_map(|&step| (0..groups).flat_map(move |group| [(step, group); 3])).collect()
    };
    assert_eq!(shown(all.clone()), of(&[1, 2, 3], 2));
    let steps = |text: &str| Some(text.parse().expect("steps"));
    assert_eq!(shown(Inspection { steps: steps("2.."), ..all.clone() }), of(&[2, 3], 2));
    for (limit, expected) in [(18, of(&[1, 2, 3], 2)), (17, of(&[1, 2, 3], 1)), (8, of(&[1, 3], 1)), (1, of(&[3], 1))] {
        let limited = Inspection { limit, ..all.clone() };
        assert_eq!(shown(limited.clone()), expected, "{limit}");
        assert_eq!(limited.page().expect("a page").configuration.contains("--limit"), limit < 18);
    }

    let file = config.output.join("metrics.jsonl");
    let metrics = fs::read_to_string(&file).expect("written");
    fs::write(&file, format!("{metrics}{{\"step\":4,\"rew")).expect("a writable folder");
    let last = config.output.join("rollouts/step-3.jsonl");
    let records = fs::read_to_string(&last).expect("written");
    fs::write(&last, &records[..records.len() - 20]).expect("a writable folder");
    let page = page(&config.output, &["recipe=pgpo"]);
    assert_eq!((page.metrics.len(), page.rollouts.len()), (3, 3 * 2 * 3 - 1));
    fs::remove_dir_all(config.output.join("rollouts")).expect("a writable folder");
    let curves = all.page().expect("a page");
    assert_eq!((curves.metrics.len(), curves.rollouts.len()), (3, 0));
    assert!(curves.title.starts_with("run: dapo-unfiltered"), "{}", curves.title);
    fs::remove_file(&file).expect("a writable folder");
    assert!(all.page().expect("a page").metrics.is_empty());
}

#[test]
fn what_is_not_there_is_named() {
    let workspace = Workspace::new();
    let config = workspace.config("run", "grpo");
    let error = |others: &[&str]| inspection(&config.output, others).page().expect_err("nothing there").to_string();
    assert!(error(&[]).contains("holds no run"));
    Trainer::start(config.clone()).expect("starts");
    assert!(inspection(&config.output, &["recipe=pgpo"]).page().is_ok(), "nothing to compare yet");
    assert!(error(&["recipe=pgop"]).contains("pgop"));
    assert!(error(&["checkpoint=step-7"]).contains("the run has start"));
}
