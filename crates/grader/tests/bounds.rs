//! Any text is graded in bounded time, and none makes the grader panic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use grader::{Profile, extract, grade, is_understood};
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_millis(50);
const PROFILES: [Profile; 2] = [Profile::StrictSound, Profile::Mathruler];

/// What this thread has computed so far, where the system says so: time that other programs took does not count.
fn computed() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The quickest of a few runs: what else the machine does only ever slows one down.
fn quickest(run: impl Fn()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let (before, start) = (computed(), Instant::now());
        run();
        let elapsed = start.elapsed();
        let time = if elapsed < LIMIT / 16 {
            elapsed
        } else {
            computed().zip(before).map_or(elapsed, |(now, before)| now - before)
        };
        best = best.min(time);
        if best < LIMIT / 16 {
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
        let head = |text: &str| format!("{:?}… of {} bytes", text.chars().take(40).collect::<String>(), text.len());
        assert!(time < LIMIT, "{profile:?} takes {time:?} for {} against {}", head(prediction), head(gold));
        worst = worst.max(time);
    }
    worst
}

/// Pieces by family; a text is one piece over and over.
const PIECES: [(&str, &[&str]); 16] = [
    ("digits", &["9", "1,", "1,000,", "1 ", "1 2 ", "0.", "1e9", "1:", "::", "0.1\\overline{3}+", "\\overline{"]),
    ("exponents", &["9^", "2^{", "x^{x^{", "e^", "\\pi^", "i^", "(x+1)^{9}(", "²"]),
    (
        "open brackets",
        &["(", "[", "{", "\\{", "\\left", "|", "|x", "\\lfloor", "\\begin{pmatrix}", "\\text{", "\\text{ "],
    ),
    ("fractions", &["\\frac{1}{", "\\frac", "1/", "1/3+", "½", "1\\over", "\\binom{9}{"]),
    ("roots", &["\\sqrt", "\\sqrt{", "\\sqrt2+", "\\sqrt{x}+", "\\sqrt[3]{"]),
    ("sums and products", &["x", "x+", "x^2+", "x*", "i+", "\\pi+", "-", "--", "+-", "xy+", "(x+1)(y-1)"]),
    ("factorials", &["!", "5!", "5!!", "x!", "99!+"]),
    ("functions", &["\\sin", "\\sin(", "\\ln x", "\\sin x\\cos x+", "\\sin(\\cos(", "\\log_2"]),
    ("alternations", &["\\pm", "\\pm1,", "x<1 or ", "or ", "and ", "x=1 or ", "1\\pm\\sqrt2 or "]),
    ("commas", &[",", "1,2;", "x=1,", "(1,2),", "A,", "\\{1,2\\},", "1/7,"]),
    (
        "unions",
        &["\\cup", "[1,2]\\cup", "(0,1/3)\\cup", "\\{1\\}\\cup", "\\cap", "(0,9)\\cap", "\\setminus", "\\sqrt2<x and "],
    ),
    ("relations", &["=", "x=", "<", "1<x<", "1<x or ", "x\\ne1,", "<="]),
    ("matrices", &["&", "\\\\", "1&2\\\\", "[[1,", "\\begin{cases}x=1\\\\"]),
    (
        "words",
        &[
            "A",
            "A.",
            "(A)",
            "the ",
            "one hundred ",
            "twenty-",
            "half",
            "m/s ",
            "5 m ",
            "5 h 3 min ",
            "%",
            "5% ",
            "3rd ",
            "a: ",
        ],
    ),
    (
        "marks",
        &[
            " ", "°", "$", "\\$", "\\", "'", "x'", "x_1", "x_{", "_", ".", "...", "\\ldots", "^\\prime", "*", "`", "∠",
            "\"", "\0",
        ],
    ),
    ("other writing", &["\u{3b1}", "字", "\u{1f600}", "\u{301}", "ａ", "，"]),
];

/// What stands around what: a text is one nest.
const NESTS: [(&str, &str, &str); 24] = [
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
];

/// Pieces of responses, in which an answer has to be found.
const RESPONSES: [&str; 15] = [
    "\\boxed{",
    "\\boxed{}",
    "\\boxed ",
    "\\boxed{\\",
    "}{",
    "<answer>",
    "</answer>",
    "<think>",
    "</think>",
    "answer",
    "answer:",
    "answer: ",
    "Answer: *",
    "答案",
    "\\boxed    {",
];

/// Texts that are made to take long, each about `size` bytes, by family.
fn pathological(size: usize) -> Vec<(&'static str, String)> {
    let fill = |piece: &str| piece.repeat(size / piece.len() + 1);
    let nest = |open: &str, middle: &str, close: &str| {
        let depth = size / (open.len() + close.len()).max(1);
        [&open.repeat(depth), middle, &close.repeat(depth)].concat()
    };
    let pieces = PIECES.iter().flat_map(|(family, pieces)| pieces.iter().map(move |piece| (*family, *piece)));
    let pieces = pieces.map(|(family, piece)| (family, fill(piece)));
    let nests = NESTS.iter().map(|(open, middle, close)| ("nests", nest(open, middle, close)));
    let responses = RESPONSES.iter().map(|piece| ("responses", fill(piece)));
    pieces.chain(nests).chain(responses).collect()
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
    let mut worst = Duration::ZERO;
    for giant in GIANTS {
        for other in GIANTS.iter().copied().chain(["1", "0", "x", "\\infty"]) {
            worst = worst.max(assert_bounded(giant, other));
            let correct = grade(giant, other, Profile::StrictSound).correct;
            let same_power = ["9^9^9^9", "9^{9^{9^9}}"];
            assert_eq!(
                correct,
                giant == other || (same_power.contains(&giant) && same_power.contains(&other)),
                "{giant} {other}"
            );
        }
    }
    eprintln!("{:18} {worst:>12.1?}", "giants");
}

#[test]
fn texts_made_to_take_long_are_bounded() {
    let mut worst: BTreeMap<&str, (Duration, String)> = BTreeMap::new();
    for size in [50, 500, 4000, 65536] {
        for (family, text) in pathological(size) {
            let changed = format!("{text} 1");
            for gold in ["1", &changed] {
                let time = assert_bounded(&text, gold).max(assert_bounded(gold, &text));
                let slowest = worst.entry(family).or_default();
                if time > slowest.0 {
                    *slowest = (time, format!("{} bytes of {}", text.len(), text.chars().take(16).collect::<String>()));
                }
            }
            is_understood(&text);
        }
    }
    for (family, (time, text)) in worst {
        eprintln!("{family:18} {time:>12.1?}  {text}");
    }
}

/// Pieces of LaTeX, parted by dots.
const SOUP: &str = concat!(
    "\\frac{·\\sqrt{·\\sqrt[3]{·}·{·(·)·[·]·\\{·\\}·^·^{·_·_{·1·2·12·0.5·3·x·y·AB·e·i·\\pi·\\sin·\\cos·",
    "\\tan·\\ln·\\log·+·-·*·/·=·<·\\le·\\pm·,·;·:· ·\\text{· cm·°·^\\circ·%·\\%·$·\\cup·\\infty·|·!·or·",
    "and·\\begin{pmatrix}·\\end{pmatrix}·&·\\\\·\\left·\\right·\\boxed{·<answer>·</answer>·Answer:·two·",
    "hundred·½·²·√·\\overline{·...·\\in·\\mathbb{R}·\\binom{·A·B)·.·\\over·<=·U·\\begin{cases}·",
    "\\end{cases}· pm·:05·\\setminus·\\ne·\\prime·'·(3)·minus ·third",
);

/// Pieces of LaTeX in any order.
fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(SOUP.split('·').collect::<Vec<_>>()), 0..60)
        .prop_map(|pieces| pieces.concat())
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
