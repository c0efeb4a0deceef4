//! Laws of the pictures: an eye that knows nothing but pixels and words sees what the data set says.

use std::f64::consts::PI;

use dataset::shapes::{BACKGROUND, Color, Scene, Shape, ShapeKind, ShapesConfig, ShapesProblem, problems, render};
use image::RgbImage;
use proptest::prelude::*;

/// Problems of a seed, both splits.
fn problems_of(seed: u64) -> Vec<ShapesProblem> {
    let config = ShapesConfig { seed, train: 40, held_out: 8, ..ShapesConfig::default() };
    let problems = problems(&config).expect("the default settings can be met");
    [problems.train, problems.held_out].concat()
}

/// A blot of paint.
#[derive(Clone, Debug)]
struct Blot {
    kind: &'static str,
    color: &'static str,
    x: f64,
    y: f64,
    area: f64,
}

/// The connected blots of a picture.
fn blots(picture: &RgbImage) -> Vec<Blot> {
    let mut visited = vec![false; (picture.width() * picture.height()) as usize];
    let mut blots = Vec::new();
    for (x, y, _) in picture.enumerate_pixels() {
        let mut pixels = Vec::new();
        let mut waiting = vec![(x, y)];
        while let Some((x, y)) = waiting.pop() {
            let inside = x < picture.width() && y < picture.height();
            if !inside || picture.get_pixel(x, y).0 == BACKGROUND {
                continue;
            }
            let at = (y * picture.width() + x) as usize;
            if !std::mem::replace(&mut visited[at], true) {
                pixels.push((x, y));
                waiting.extend([(x + 1, y), (x.wrapping_sub(1), y), (x, y + 1), (x, y.wrapping_sub(1))]);
            }
        }
        if !pixels.is_empty() {
            blots.push(blot(picture, &pixels));
        }
    }
    blots
}

/// What some pixels look like. Edge pixels count by the share of paint in them.
fn blot(picture: &RgbImage, pixels: &[(u32, u32)]) -> Blot {
    let all = |value: &dyn Fn(u32, u32) -> f64| pixels.iter().map(|&(x, y)| value(x, y)).sum::<f64>();
    let amount = |color: Color| pixels.iter().filter(|&&(x, y)| picture.get_pixel(x, y).0 == color.rgb()).count();
    let color = Color::ALL.into_iter().max_by_key(|&color| amount(color)).expect("five colors");
    let channel = (0..3).max_by_key(|&channel| BACKGROUND[channel].abs_diff(color.rgb()[channel])).expect("three");
    let contrast = |value: u8| f64::from(BACKGROUND[channel].abs_diff(value));
    let paint = |x, y| contrast(picture.get_pixel(x, y).0[channel]) / contrast(color.rgb()[channel]);
    let area = all(&paint);
    let (x, y) = (all(&|x, y| paint(x, y) * f64::from(x)) / area, all(&|x, y| paint(x, y) * f64::from(y)) / area);

    let top = pixels.iter().map(|&(_, y)| y).min().expect("some pixels");
    let bottom = pixels.iter().map(|&(_, y)| y).max().expect("some pixels");
    let left = pixels.iter().map(|&(x, _)| x).min().expect("some pixels");
    let right = pixels.iter().map(|&(x, _)| x).max().expect("some pixels");
    let fullness = area / f64::from((right - left) * (bottom - top));
    let is_bottom_heavy = y > f64::from(top + bottom) / 2.0 + f64::from(bottom - top) / 10.0;
    let kind = match fullness {
        _ if is_bottom_heavy => "triangle",
        ..0.7 => "cross",
        0.7..0.92 => "circle",
        _ => "square",
    };
    Blot { kind, color: color.word(), x, y, area }
}

/// Answers a question about blots by its words. Extremes are extremes here, however narrow.
fn answer(question: &str, blots: &[Blot]) -> String {
    let words: Vec<&str> = question.trim_end_matches('?').split(' ').collect();
    let most =
        |value: &dyn Fn(&Blot) -> f64| blots.iter().max_by(|a, b| value(a).total_cmp(&value(b))).expect("some blots");
    let superlative = |word: &str| match word {
        "leftmost" => most(&|blot| -blot.x),
        "rightmost" => most(&|blot| blot.x),
        "topmost" => most(&|blot| -blot.y),
        "bottommost" => most(&|blot| blot.y),
        "largest" => most(&|blot| blot.area),
        "smallest" => most(&|blot| -blot.area),
        _ => unreachable!("{word} is no superlative"),
    };
    let only = |is_it: &dyn Fn(&&Blot) -> bool| {
        let found: Vec<&Blot> = blots.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{question} {blots:?}");
        found[0]
    };
    match words[..] {
        ["How", "many", "shapes", "are", "there"] => blots.len().to_string(),
        ["How", "many", color, "shapes", "are", "there"] => {
            blots.iter().filter(|blot| blot.color == color).count().to_string()
        }
        ["How", "many", kinds, "are", "there"] => {
            blots.iter().filter(|blot| kinds.starts_with(blot.kind)).count().to_string()
        }
        ["What", "color", "is", "the", word, "shape"] => superlative(word).color.to_owned(),
        ["What", "color", "is", "the", kind] => only(&|blot| blot.kind == kind).color.to_owned(),
        ["What", "shape", "is", word] => superlative(word).kind.to_owned(),
        ["What", "shape", "is", "left", "of", "the", color, "shape"] => {
            let reference = only(&|blot| blot.color == color);
            only(&|blot| blot.x < reference.x).kind.to_owned()
        }
        ["What", "shape", "is", "above", "the", color, "shape"] => {
            let reference = only(&|blot| blot.color == color);
            only(&|blot| blot.y < reference.y).kind.to_owned()
        }
        _ => unreachable!("{question} has unknown words"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 10, ..ProptestConfig::default() })]

    #[test]
    fn the_picture_answers_the_question(seed in any::<u64>()) {
        for problem in problems_of(seed) {
            let seen = answer(&problem.question.text(), &blots(&render(&problem.scene)));
            prop_assert_eq!(&seen, &problem.answer, "{:?}", problem);
        }
    }

    /// Nobody has to measure: blots moved by a twentieth of the picture's shorter side and a third larger or smaller give the same answer.
    #[test]
    fn answers_are_clear(seed in any::<u64>(), jitter in prop::collection::vec((-1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0), 6)) {
        for problem in problems_of(seed) {
            let mut blots = blots(&render(&problem.scene));
            let shift = f64::from(problem.scene.shorter_side()) / 20.0 - 0.5;
            for (blot, (x, y, size)) in blots.iter_mut().zip(&jitter) {
                blot.x += x * shift;
                blot.y += y * shift;
                blot.area *= 1.33_f64.powf(*size);
            }
            prop_assert_eq!(&answer(&problem.question.text(), &blots), &problem.answer, "{:?}", problem);
        }
    }

    /// Shapes show their colour at the centre, keep apart from each other and from the edge, and are well visible.
    #[test]
    fn shapes_stand_apart_and_in_full(seed in any::<u64>()) {
        for ShapesProblem { scene, .. } in problems_of(seed) {
            let picture = render(&scene);
            prop_assert_eq!(picture.dimensions(), (scene.width, scene.height));
            prop_assert!([112, 140, 168].contains(&scene.width) && [112, 140, 168].contains(&scene.height));
            prop_assert_eq!(blots(&picture).len(), scene.shapes.len());
            for shape in &scene.shapes {
                prop_assert_eq!(picture.get_pixel(shape.x, shape.y).0, shape.color.rgb());
                prop_assert!(10 * shape.radius >= scene.shorter_side());
            }
            for (x, y, pixel) in picture.enumerate_pixels() {
                let at_edge = x == 0 || y == 0 || x + 1 == scene.width || y + 1 == scene.height;
                prop_assert!(!at_edge || pixel.0 == BACKGROUND);
            }
        }
    }
}

/// All kinds of one radius have the area and the centre of the circle, and the eye recognizes them. Edges are sampled at thirds of a
/// pixel, so they are off by a sixth of one at most; no outline is longer than ten radii.
#[test]
fn kinds_have_equal_area_and_their_own_form() {
    for kind in ShapeKind::ALL {
        for radius in [6, 11, 12, 17, 33] {
            let shape = Shape { kind, color: Color::Blue, x: 80, y: 80, radius };
            let seen = blots(&render(&Scene { width: 160, height: 160, shapes: vec![shape] })).remove(0);
            let radius = f64::from(radius);
            let area = PI * radius * radius;
            assert!((seen.area - area).abs() < 10.0 * radius / 6.0, "{kind:?} {radius} {seen:?} {area}");
            assert!((seen.x - 80.0).abs() < 0.05 && (seen.y - 80.0).abs() < 0.3, "{kind:?} {radius} {seen:?}");
            assert_eq!((seen.kind, seen.color), (kind.word(), "blue"), "{radius}");
        }
    }
}

/// A scene may come from anywhere: what lies outside is cut off, and what has no size is not there.
#[test]
fn odd_scenes_are_painted_too() {
    let shape = |x, y, radius| Shape { kind: ShapeKind::Square, color: Color::Red, x, y, radius };
    let shapes = vec![shape(0, 0, 10), shape(500, 20, 10), shape(20, 20, 0)];
    let picture = render(&Scene { width: 30, height: 30, shapes });
    assert_eq!(picture.get_pixel(5, 5).0, Color::Red.rgb());
    assert_eq!(picture.get_pixel(20, 20).0, BACKGROUND);
    let whole = render(&Scene { width: 2, height: 2, shapes: vec![shape(u32::MAX, 0, u32::MAX)] });
    assert_eq!(whole.get_pixel(1, 1).0, BACKGROUND);
    assert_eq!(render(&Scene { width: 0, height: 5, shapes: vec![shape(1, 1, 3)] }).dimensions(), (0, 5));
}
