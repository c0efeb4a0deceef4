//! Laws of the shapes data set as a whole: balanced, disjoint, repeatable, small in words.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use dataset::shapes::{
    Category, Color, Question, Scene, ShapeKind, ShapesConfig, ShapesProblem, explain, problems, write,
};
use dataset::{DatasetError, ImageSource, read_json_lines};
use proptest::prelude::*;

fn small(seed: u64) -> ShapesConfig {
    ShapesConfig { seed, train: 24, held_out: 8, ..ShapesConfig::default() }
}

fn problems_of(config: &ShapesConfig) -> Vec<ShapesProblem> {
    let problems = problems(config).expect("settings that can be met");
    [problems.train, problems.held_out].concat()
}

/// Whoever knows all answers to a question in advance, but not the picture, is right in little more than one of four cases.
#[test]
fn the_text_does_not_tell_the_answer() {
    let problems = problems(&ShapesConfig::default()).expect("the default settings can be met");
    let mut answers: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for problem in &problems.train {
        *answers.entry(problem.question.text()).or_default().entry(&problem.answer).or_default() += 1;
    }
    let mut best_guess = 0;
    for (question, counts) in &answers {
        let (most, least) = (counts.values().max().expect("asked"), counts.values().min().expect("asked"));
        assert!(counts.len() >= 4 && most - least <= 1, "{question} {counts:?}");
        best_guess += most;
    }
    assert_eq!(answers.len(), 10 + 4 + 8 + 10 + 4);
    assert!(best_guess * 100 <= problems.train.len() * 27, "{best_guess} of {}", problems.train.len());
}

#[test]
fn categories_take_turns_and_scenes_are_never_repeated() {
    let all = problems_of(&ShapesConfig::default());
    for (at, problem) in all.iter().enumerate() {
        assert_eq!(problem.question.category(), Category::ALL[at % 4]);
    }
    let scenes: HashSet<&Scene> = all.iter().map(|problem| &problem.scene).collect();
    assert_eq!(scenes.len(), all.len());
    let sizes: BTreeSet<(u32, u32)> = scenes_sizes(&all);
    assert_eq!(sizes.len(), 9, "width and height vary independently");
}

fn scenes_sizes(problems: &[ShapesProblem]) -> BTreeSet<(u32, u32)> {
    problems.iter().map(|problem| (problem.scene.width, problem.scene.height)).collect()
}

/// Where scenes are so small that chance would repeat some, they are still all different.
#[test]
fn small_scenes_are_never_repeated_either() {
    let config = ShapesConfig {
        train: 3000,
        held_out: 500,
        sides: vec![56],
        min_shapes: 1,
        max_shapes: 2,
        categories: vec![Category::Color],
        ..ShapesConfig::default()
    };
    let all = problems_of(&config);
    let scenes: HashSet<&Scene> = all.iter().map(|problem| &problem.scene).collect();
    assert_eq!(scenes.len(), all.len());
}

/// Each round of the deck has every pair of a question and an answer once, in an order of its own.
#[test]
fn decks_are_shuffled_for_every_round() {
    let all = problems_of(&ShapesConfig { train: 60, categories: vec![Category::Color], ..small(1) });
    let pairs: Vec<_> = all[..60].iter().map(|problem| (problem.question.text(), problem.answer.as_str())).collect();
    let rounds: Vec<_> = pairs.chunks(20).collect();
    let different = |round: &[(String, &str)]| round.iter().collect::<BTreeSet<_>>().len();
    assert!(rounds.iter().all(|round| different(round) == 20));
    assert!(rounds[0] != rounds[1] && rounds[1] != rounds[2]);
}

/// Many shapes are not driven out by few: every number of shapes has a fair share in every category.
#[test]
fn numbers_of_shapes_are_mixed() {
    let all = problems_of(&ShapesConfig::default());
    for category in Category::ALL {
        for number in 2..=5 {
            let share = all
                .iter()
                .filter(|problem| problem.question.category() == category && problem.scene.shapes.len() == number);
            assert!(share.count() * 10 >= all.len() / 4, "{category:?} with {number} shapes");
        }
    }
}

/// A tiny tokenizer has to hold all words, and a tiny model to write them.
#[test]
fn words_are_few() {
    let mut words = BTreeSet::new();
    for problem in problems_of(&ShapesConfig::default()) {
        let teacher = explain(&problem.question, &problem.scene).expect("a clear answer");
        assert!(teacher.split_whitespace().count() <= 25, "{teacher}");
        for text in [problem.question.text(), teacher] {
            words.extend(text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        }
    }
    assert!(words.len() <= 55, "{} words: {words:?}", words.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 16, ..ProptestConfig::default() })]

    /// Thinks, then boxes the answer; says the same in whatever order the shapes are stored.
    #[test]
    fn the_teacher_answers_in_form(seed in any::<u64>(), turn in 0_usize..6) {
        for ShapesProblem { scene, question, answer } in problems_of(&small(seed)) {
            let teacher = explain(&question, &scene).expect("a clear answer");
            let (thought, boxed) = teacher.split_once("</think>\n").expect("a thought");
            prop_assert_eq!(boxed, format!("\\boxed{{{answer}}}"));
            prop_assert!(thought.starts_with("<think>") && thought.ends_with('.'));
            prop_assert!(thought.contains(&answer));
            for subject in question.subjects(&scene).expect("a clear answer") {
                prop_assert!(thought.contains(subject.color.word()) && thought.contains(subject.kind.word()));
            }

            let mut turned = scene.clone();
            turned.shapes.rotate_left(turn % scene.shapes.len());
            prop_assert_eq!(question.answer(&turned), Some(answer));
            prop_assert_eq!(explain(&question, &turned), Some(teacher));
        }
    }

    #[test]
    fn held_out_problems_do_not_depend_on_the_training_set(seed in any::<u64>(), train in 1_usize..40) {
        let other = ShapesConfig { train, ..small(seed) };
        prop_assert_eq!(problems(&small(seed)).expect("small").held_out, problems(&other).expect("other").held_out);
    }

    /// Files of a folder come back as the problems they were made of.
    #[test]
    fn files_hold_the_problems(seed in any::<u64>()) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = small(seed);
        let files = write(&config, folder.path()).expect("files");
        let made = problems(&config).expect("problems");
        for (path, made) in [(&files.train, made.train), (&files.held_out, made.held_out)] {
            let read = read_json_lines(path).expect("what was written");
            prop_assert_eq!(read.len(), made.len());
            for (read, made) in read.iter().zip(&made) {
                prop_assert_eq!(&read.problem, &format!("<image>{}", made.question.text()));
                prop_assert_eq!(&read.answer, &made.answer);
                prop_assert_eq!(&read.teacher, &explain(&made.question, &made.scene));
                prop_assert_eq!(&read.category.to_owned(), &serde_json::to_value(made.question.category()).expect("a word").as_str().map(str::to_owned));
                let picture = image::open(file(&read.images[0])).expect("a picture").into_rgb8();
                prop_assert!(picture == dataset::shapes::render(&made.scene));
            }
        }
    }
}

/// The path of an image that is a file.
fn file(image: &ImageSource) -> &Path {
    match image {
        ImageSource::File(path) => path,
        ImageSource::Bytes(_) => panic!("the shapes are drawn into files"),
    }
}

/// All files of a data set by name.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = ["", "images"].map(|part| fs::read_dir(folder.join(part)).expect("a folder"));
    let files = names.into_iter().flatten().map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    files
        .map(|path| {
            (path.strip_prefix(folder).expect("inside").display().to_string(), fs::read(&path).expect("a file"))
        })
        .collect()
}

#[test]
fn the_same_settings_make_the_same_bytes() {
    let [one, same, other] = [5, 5, 6].map(|seed| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(&small(seed), folder.path()).expect("files");
        contents(folder.path())
    });
    assert_eq!(one.len(), 24 + 8 + 2);
    assert!(one == same);
    for (name, bytes) in &one {
        assert!(other[name] != *bytes, "{name}");
    }
}

#[test]
fn the_corners_of_the_settings_can_be_met() {
    for config in [
        ShapesConfig { min_shapes: 1, max_shapes: 2, ..small(1) },
        ShapesConfig { min_shapes: 5, max_shapes: 5, ..small(2) },
        ShapesConfig { sides: vec![56], ..small(3) },
        ShapesConfig { sides: vec![56, 560], ..small(4) },
        ShapesConfig {
            colors: vec![Color::Red, Color::Blue],
            kinds: vec![ShapeKind::Cross, ShapeKind::Circle],
            ..small(5)
        },
        ShapesConfig { categories: vec![Category::Size], ..small(6) },
    ] {
        let all = problems_of(&config);
        assert_eq!(all.len(), 32);
        for problem in all {
            let number = problem.scene.shapes.len();
            assert!(config.min_shapes < config.max_shapes || problem.question != Question::CountAll, "no choice");
            assert!((config.min_shapes..=config.max_shapes).contains(&number));
            assert!(config.categories.contains(&problem.question.category()));
            assert!(
                problem
                    .scene
                    .shapes
                    .iter()
                    .all(|shape| config.colors.contains(&shape.color) && config.kinds.contains(&shape.kind))
            );
        }
    }
}

#[test]
fn a_vain_search_ends_with_what_was_sought() {
    let config = ShapesConfig { min_shapes: 5, sides: vec![56], categories: vec![Category::Size], ..small(0) };
    let error = problems(&config).expect_err("five shapes leave no room");
    assert!(matches!(error, DatasetError::NoScene { tries: 100_000, .. }), "{error}");
}

#[test]
fn settings_that_cannot_be_met_are_refused() {
    let good = || small(0);
    for (config, name, bad) in [
        (ShapesConfig { train: 0, ..good() }, "train", 0),
        (ShapesConfig { held_out: 0, ..good() }, "held_out", 0),
        (ShapesConfig { sides: vec![], ..good() }, "sides", 0),
        (ShapesConfig { sides: vec![112, 100], ..good() }, "sides", 100),
        (ShapesConfig { sides: vec![28], ..good() }, "sides", 28),
        (ShapesConfig { min_shapes: 0, ..good() }, "min_shapes", 0),
        (ShapesConfig { min_shapes: 1, max_shapes: 1, ..good() }, "max_shapes", 1),
        (ShapesConfig { min_shapes: 4, max_shapes: 3, ..good() }, "max_shapes", 3),
        (ShapesConfig { max_shapes: 6, ..good() }, "max_shapes", 6),
        (ShapesConfig { colors: vec![Color::Red, Color::Blue, Color::Red], ..good() }, "colors", 3),
        (ShapesConfig { kinds: vec![ShapeKind::Circle], ..good() }, "kinds", 1),
        (ShapesConfig { kinds: vec![], ..good() }, "kinds", 0),
        (ShapesConfig { categories: vec![], ..good() }, "categories", 0),
        (ShapesConfig { categories: vec![Category::Size; 2], ..good() }, "categories", 2),
    ] {
        match problems(&config) {
            Err(DatasetError::ShapesSetting { setting, value, .. }) => {
                assert_eq!((setting, value), (name, bad));
            }
            other => panic!("{name} at {bad} gave {other:?}"),
        }
    }
    assert!(serde_json::from_str::<ShapesConfig>(r#"{"trains": 5}"#).is_err());
    assert_eq!(serde_json::from_str::<ShapesConfig>("{}").expect("defaults"), ShapesConfig::default());
}
