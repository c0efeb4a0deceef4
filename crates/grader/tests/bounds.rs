//! Any text is graded in bounded time, and none makes the grader panic.

use std::time::{Duration, Instant};

use grader::{Profile, extract, grade, is_understood};
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_millis(50);
const PROFILES: [Profile; 2] = [Profile::StrictSound, Profile::Mathruler];

/// The quickest of a few runs: other processes only ever slow one down.
fn quickest(run: impl Fn()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
        if best < LIMIT / 4 {
            break;
        }
    }
    best
}

fn assert_bounded(prediction: &str, gold: &str) -> Duration {
    let mut worst = Duration::ZERO;
    for profile in PROFILES {
        let time = quickest(|| {
            grade(prediction, gold, profile);
            extract(prediction, profile);
        });
        let head: String = prediction.chars().take(60).collect();
        assert!(time < LIMIT, "{profile:?} takes {time:?} for {head:?}… of {} bytes", prediction.len());
        worst = worst.max(time);
    }
    worst
}

/// Texts that are made to take long, each about `size` bytes.
fn pathological(size: usize) -> Vec<String> {
    let fill = |piece: &str| piece.repeat(size / piece.len() + 1);
    let nest = |open: &str, middle: &str, close: &str| {
        let depth = size / (open.len() + close.len()).max(1);
        [&open.repeat(depth), middle, &close.repeat(depth)].concat()
    };
    let mut texts: Vec<String> = [
        "9",
        "9^",
        "(",
        "[",
        "{",
        "\\{",
        "\\frac{1}{",
        "\\frac",
        "\\sqrt",
        "\\sqrt{",
        "\\boxed{",
        "\\boxed{}",
        "<answer>",
        "x",
        "x+",
        "x^2+",
        "x*",
        "1,",
        "1,000,",
        "1,2;",
        ",",
        " ",
        "1 ",
        "1 2 ",
        "-",
        "--",
        "+-",
        "!",
        "5!",
        "5!!",
        "°",
        "$",
        "\\$",
        "\\",
        "\\\\",
        "&",
        "\\text{",
        "\\text{ ",
        "\\left",
        "\\begin{pmatrix}",
        "1&2\\\\",
        "=",
        "x=",
        "x=1,",
        "<",
        "1<x<",
        "x<1 or ",
        "\\pm",
        "\\pm1,",
        "\\sin",
        "\\sin(",
        "\\ln x",
        "e^",
        "\\pi+",
        "\\pi^",
        "\\sqrt2+",
        "\\sqrt{x}+",
        "\\sin x\\cos x+",
        "\\sin(\\cos(",
        "2^{",
        "x^{x^{",
        "(x+1)^{9}(",
        "\\cup",
        "[1,2]\\cup",
        "A",
        "A,",
        "A.",
        "(A)",
        "and ",
        "or ",
        "the ",
        "answer",
        "answer:",
        "answer: ",
        "Answer: *",
        "one hundred ",
        "twenty-",
        "half",
        "m/s ",
        "5 m ",
        "%",
        "5% ",
        "|",
        "|x",
        "\u{3b1}",
        "½",
        "²",
        "字",
        "\u{1f600}",
        "\0",
        "\u{301}",
        "'",
        "x'",
        "x_1",
        "x_{",
        "_",
        "::",
        "1:",
        "0.",
        ".",
        "...",
        "\\ldots",
        "∠",
        "1e9",
        "\\binom{9}{",
        "\\log_2",
        "\\lfloor",
        "i^",
        "i+",
        "1/",
        "1/3+",
        "0.1\\overline{3}+",
        "\\overline{",
        "<think>",
        "</think>",
    ]
    .iter()
    .map(|piece| fill(piece))
    .collect();
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("{", "1", "}"),
        ("[", "1,2", "]"),
        ("\\{", "1", "\\}"),
        ("\\frac{1}{", "x", "}"),
        ("\\frac{", "x", "}{2}"),
        ("\\sqrt{", "2", "}"),
        ("\\sin(", "x", ")"),
        ("2^{", "2", "}"),
        ("x^{", "2", "}"),
        ("e^{", "x", "}"),
        ("-(", "1", ")"),
        ("\\text{", "a", "}"),
        ("\\boxed{", "1", "}"),
        ("\\left(", "1", "\\right)"),
        ("(1,", "2", ")"),
        ("\\begin{pmatrix}", "1", "\\end{pmatrix}"),
        ("|", "1", "|"),
        ("\\ln(1+", "x", ")"),
        ("\\sqrt{2+", "2", "}"),
        ("\\sqrt{1+x", "2", "}"),
        ("(1+", "x", ")^{2}"),
        ("(1+", "x", ")^{-3}"),
        ("\\arctan(", "x", ")"),
    ] {
        texts.push(nest(open, middle, close));
    }
    texts
}

const GIANTS: [&str; 18] = [
    "9^9^9^9",
    "9^{9^{9^9}}",
    "10^{10^{10}}",
    "10^{-10^{10}}",
    "1e999999999",
    "1e-999999999",
    "2^{1000000}",
    "x^{1000000}",
    "(x+y)^{1024}",
    "1000000!",
    "170!^{170!}",
    "\\binom{1000000}{500000}",
    "e^{e^{e^{e^e}}}",
    "\\sin(10^{300})",
    "e^{-10^{9}}",
    "\\sqrt[1000000]{2}",
    "\\sqrt[1024]{1+\\sqrt{2}}",
    "(1+10^{-9})^{10^{9}}",
];

#[test]
fn giants_are_refused_and_equal_only_themselves() {
    for giant in GIANTS {
        for other in GIANTS.iter().copied().chain(["1", "0", "x", "\\infty"]) {
            assert_bounded(giant, other);
            let correct = grade(giant, other, Profile::StrictSound).correct;
            let same_power = ["9^9^9^9", "9^{9^{9^9}}"];
            assert_eq!(
                correct,
                giant == other || (same_power.contains(&giant) && same_power.contains(&other)),
                "{giant} {other}"
            );
        }
    }
}

#[test]
fn texts_made_to_take_long_are_bounded() {
    let mut times = Vec::new();
    for size in [50, 500, 1500, 4000, 65536] {
        for text in pathological(size) {
            let changed = format!("{text} 1");
            for gold in ["1", &changed] {
                times.push((assert_bounded(&text, gold), size, text.chars().take(30).collect::<String>()));
                assert_bounded(gold, &text);
            }
            is_understood(&text);
        }
    }
    times.sort();
    eprintln!("{:?}", &times[times.len() - 10..]);
}

/// Pieces of LaTeX in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "\\frac{",
        "\\sqrt{",
        "\\sqrt[3]{",
        "}",
        "{",
        "(",
        ")",
        "[",
        "]",
        "\\{",
        "\\}",
        "^",
        "^{",
        "_",
        "_{",
        "1",
        "2",
        "12",
        "0.5",
        "3",
        "x",
        "y",
        "AB",
        "e",
        "i",
        "\\pi",
        "\\sin",
        "\\cos",
        "\\tan",
        "\\ln",
        "\\log",
        "+",
        "-",
        "*",
        "/",
        "=",
        "<",
        "\\le",
        "\\pm",
        ",",
        ";",
        ":",
        " ",
        "\\text{",
        " cm",
        "°",
        "^\\circ",
        "%",
        "\\%",
        "$",
        "\\cup",
        "\\infty",
        "|",
        "!",
        "or",
        "and",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "&",
        "\\\\",
        "\\left",
        "\\right",
        "\\boxed{",
        "<answer>",
        "</answer>",
        "Answer:",
        "two",
        "hundred",
        "½",
        "²",
        "√",
        "\\overline{",
        "...",
        "\\in",
        "\\mathbb{R}",
        "\\binom{",
        "A",
        "B)",
        ".",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics(a in "\\PC{0,60}", b in any::<String>(), c in soup(), d in soup()) {
        for (given, truth) in [(&a, &b), (&b, &a), (&c, &d), (&c, &a)] {
            assert_bounded(given, truth);
        }
        for text in [&a, &b, &c] {
            is_understood(text);
        }
    }

    #[test]
    fn a_torn_formula_is_bounded(at in 0_usize..60, cut in 1_usize..8, times in 1_usize..40) {
        let formula = "\\frac{\\sqrt{x^2+1}-\\sin(2\\pi x)}{(1+\\ln x)^{3}}, \\left[0, \\frac{1}{2}\\right)";
        let torn: String = formula.chars().enumerate().filter(|(index, _)| !(at..at + cut).contains(index)).map(|(_, c)| c).collect();
        assert_bounded(&torn, formula);
        assert_bounded(&torn.repeat(times), formula);
    }
}
