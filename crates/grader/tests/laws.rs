//! Laws of grading: the same value passes in any writing, and different values never do.

use grader::{Ground, Profile, grade, is_understood};
use proptest::prelude::*;

fn same(a: &str, b: &str) -> bool {
    grade(a, b, Profile::StrictSound).correct
}

/// A fraction in one of many writings.
fn written(numerator: i64, denominator: i64, style: usize, factor: i64) -> String {
    let (a, b) = (numerator * factor, denominator * factor);
    let (sign, size) = if a < 0 { ("-", -a) } else { ("", a) };
    match style {
        0 => format!("{a}/{b}"),
        1 => format!("\\frac{{{a}}}{{{b}}}"),
        2 => format!("{sign}\\dfrac{{{size}}}{{{b}}}"),
        3 => format!("{a} \\div {b}"),
        4 => format!("$\\tfrac{{{a}}}{{{b}}}$"),
        5 => format!("({a})*({b})^{{-1}}"),
        6 if size > b && size % b != 0 => format!("{sign}{}\\frac{{{}}}{{{b}}}", size / b, size % b),
        7 if size > b && size % b != 0 => format!("{sign}{} {}/{b}", size / b, size % b),
        8 => format!("\\sqrt{{\\frac{{{}}}{{{}}}}}", a * a, b * b).replacen(
            "\\sqrt",
            if a < 0 { "-\\sqrt" } else { "\\sqrt" },
            1,
        ),
        9 => format!("\\frac{{{a}}}{{{b}}} + 1 - 1"),
        10 => format!("x = {a}/{b}"),
        _ => format!("{a} / {b}."),
    }
}

/// A formula and its value at a few points, by plain floating-point arithmetic.
#[derive(Clone, Debug)]
enum Tree {
    Number(i32),
    Variable(usize),
    Sum(Box<Self>, Box<Self>),
    Difference(Box<Self>, Box<Self>),
    Product(Box<Self>, Box<Self>),
    Quotient(Box<Self>, Box<Self>),
    Power(Box<Self>, u32),
    Root(u32),
    Pi,
    Sine(Box<Self>),
}

impl Tree {
    fn latex(&self) -> String {
        match self {
            Self::Number(value) if *value < 0 => format!("({value})"),
            Self::Number(value) => value.to_string(),
            Self::Variable(at) => ["x", "y", "\\alpha"][*at].to_owned(),
            Self::Sum(a, b) => format!("\\left({}+{}\\right)", a.latex(), b.latex()),
            Self::Difference(a, b) => format!("({} - {})", a.latex(), b.latex()),
            Self::Product(a, b) => format!("{} \\cdot {}", a.latex(), b.latex()),
            Self::Quotient(a, b) => format!("\\frac{{{}}}{{{}}}", a.latex(), b.latex()),
            Self::Power(a, exponent) => format!("({})^{{{exponent}}}", a.latex()),
            Self::Root(value) => format!("\\sqrt{{{value}}}"),
            Self::Pi => "\\pi".to_owned(),
            Self::Sine(a) => format!("\\sin({})", a.latex()),
        }
    }

    fn value(&self, at: [f64; 3]) -> f64 {
        match self {
            Self::Number(value) => f64::from(*value),
            Self::Variable(index) => at[*index],
            Self::Sum(a, b) => a.value(at) + b.value(at),
            Self::Difference(a, b) => a.value(at) - b.value(at),
            Self::Product(a, b) => a.value(at) * b.value(at),
            Self::Quotient(a, b) => a.value(at) / b.value(at),
            Self::Power(a, exponent) => a.value(at).powi(*exponent as i32),
            Self::Root(value) => f64::from(*value).sqrt(),
            Self::Pi => std::f64::consts::PI,
            Self::Sine(a) => a.value(at).sin(),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (-9..10_i32).prop_map(Tree::Number),
        (0..3_usize).prop_map(Tree::Variable),
        (2..9_u32).prop_map(Tree::Root),
        Just(Tree::Pi),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let pair = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            pair.clone().prop_map(|(a, b)| Tree::Sum(a, b)),
            pair.clone().prop_map(|(a, b)| Tree::Difference(a, b)),
            pair.clone().prop_map(|(a, b)| Tree::Product(a, b)),
            pair.prop_map(|(a, b)| Tree::Quotient(a, b)),
            (inner.clone(), 2..4_u32).prop_map(|(a, exponent)| Tree::Power(Box::new(a), exponent)),
            inner.prop_map(|a| Tree::Sine(Box::new(a))),
        ]
    })
}

const PLACES: [[f64; 3]; 3] = [[0.37, 1.91, -0.83], [2.13, -0.41, 1.07], [-1.29, 0.77, 0.59]];

/// Whether two formulas surely differ: at some point both have moderate values that are far apart.
fn surely_differ(a: &Tree, b: &Tree) -> bool {
    PLACES.iter().any(|at| {
        let (a, b) = (a.value(*at), b.value(*at));
        a.abs() < 1e6 && b.abs() < 1e6 && (a - b).abs() > 1e-3
    })
}

fn answer() -> impl Strategy<Value = String> {
    prop_oneof![
        tree().prop_map(|tree| tree.latex()),
        "-?[0-9]{1,4}(\\.[0-9]{1,3})?( cm|%|°)?",
        "\\(?[A-H][.)]?( [0-9]{1,2})?",
        "[(\\[]-?[0-9], ?[0-9]{1,2}[)\\]]",
        "-?[0-9](, -?[0-9]){1,3}",
        "x(=|<|\\\\le |>)-?[0-9]{1,2}",
        "(red|blue|the) ?(cube|sphere|Ball)?",
        "[0-9]:[0-9]",
        "\\PC{0,8}",
    ]
}

proptest! {
    #[test]
    fn a_fraction_is_itself_in_any_writing(
        numerator in -40_i64..40, denominator in 1_i64..30, one in 0_usize..12, other in 0_usize..12, factor in 1_i64..6,
    ) {
        let (a, b) = (written(numerator, denominator, one, 1), written(numerator, denominator, other, factor));
        prop_assert!(same(&a, &b), "{a} is {b}");
    }

    #[test]
    fn different_fractions_never_pass(
        a in -40_i64..40, b in 1_i64..30, c in -40_i64..40, d in 1_i64..30, one in 0_usize..12, other in 0_usize..12,
    ) {
        prop_assume!(a * d != c * b);
        let (a, b) = (written(a, b, one, 1), written(c, d, other, 1));
        prop_assert!(!same(&a, &b), "{a} is not {b}");
    }

    #[test]
    fn no_decimal_is_an_irrational_number(digits in 0_usize..60, which in 0_usize..5) {
        let (formula, expansion) = [
            ("\\sqrt{2}", "1.41421356237309504880168872420969807856967187537694807317667973799"),
            ("\\pi", "3.14159265358979323846264338327950288419716939937510582097494459230"),
            ("e", "2.71828182845904523536028747135266249775724709369995957496696762772"),
            ("\\frac{\\sqrt{3}}{2}", "0.86602540378443864676372317075293618347140262690519031402790348972"),
            ("\\ln 2", "0.69314718055994530941723212145817656807550013436025525412068000949"),
        ][which];
        prop_assert!(!same(&expansion[..digits + 3], formula));
    }

    #[test]
    fn formulas_that_differ_never_pass(a in tree(), b in tree()) {
        if surely_differ(&a, &b) {
            prop_assert!(!same(&a.latex(), &b.latex()), "{} is not {}", a.latex(), b.latex());
        }
    }

    /// One small change of a formula is seen wherever it matters.
    #[test]
    fn a_formula_off_by_a_little_never_passes(a in tree(), by in 1..1000_i64, scale in 1..12_usize) {
        let changed = format!("{} + \\frac{{{by}}}{{1{}}}", a.latex(), "0".repeat(scale));
        prop_assert!(!same(&a.latex(), &changed), "{changed}");
    }

    #[test]
    fn sums_and_products_commute_and_distribute(a in tree(), b in tree(), c in tree()) {
        let is_tame = |tree: &Tree| PLACES.iter().all(|at| tree.value(*at).is_finite());
        prop_assume!([&a, &b, &c].into_iter().all(is_tame));
        let (a, b, c) = (a.latex(), b.latex(), c.latex());
        let tokens_fit = a.len() + b.len() + c.len() < 300;
        prop_assume!(tokens_fit && is_understood(&a) && is_understood(&b) && is_understood(&c));
        for (one, other) in [
            (format!("({a})+({b})"), format!("({b})+({a})")),
            (format!("({a})({b})"), format!("({b})({a})")),
            (format!("({a})(({b})+({c}))"), format!("({a})({b})+({a})({c})")),
            (format!("({a})-({b})"), format!("-(({b})-({a}))")),
        ] {
            let grade = grade(&one, &other, Profile::StrictSound);
            prop_assert!(grade.correct || matches!(grade.ground, Ground::Unread | Ground::Refused), "{one} is {other}: {grade:?}");
        }
    }

    #[test]
    fn every_answer_is_itself_however_it_is_set(a in answer()) {
        if !a.chars().any(|c| c.is_ascii_alphanumeric()) {
            return Ok(());
        }
        prop_assert!(same(&a, &a), "{a}");
        prop_assert!(same(&format!("  {a} "), &a), "{a}");
        if !is_understood(&a) || a.contains('$') || a.ends_with('\\') {
            return Ok(());
        }
        let mut settings = vec![format!("${a}$"), format!("\\({a}\\)"), format!("\\displaystyle {a}"), format!("{a}.")];
        // Braces around a list make it a set.
        if !a.contains(['(', ')', '[', ']', '{', '}', ',', ';']) {
            settings.push(format!("{{{a}}}"));
        }
        if !a.contains("\\left") {
            settings.push(a.replace('(', "\\left(").replace(')', "\\right)"));
        }
        for set in settings {
            prop_assert!(same(&set, &a) && same(&a, &set), "{set} is {a}");
        }
    }

    #[test]
    fn verdicts_are_symmetric(a in answer(), b in answer()) {
        prop_assert_eq!(same(&a, &b), same(&b, &a), "{} {}", a, b);
    }

    #[test]
    fn order_matters_in_tuples_and_not_in_sets(a in -9..10_i32, b in -9..10_i32) {
        if a == b {
            return Ok(());
        }
        for (open, close) in [("(", ")"), ("[", "]"), ("(", "]"), ("\\langle ", "\\rangle")] {
            let (one, other) = (format!("{open}{a},{b}{close}"), format!("{open}{b},{a}{close}"));
            prop_assert!(!same(&one, &other), "{one} is not {other}");
        }
        let (set, turned_set) = (format!("\\{{{a},{b}\\}}"), format!("\\{{{b}, {a}\\}}"));
        prop_assert!(same(&set, &turned_set));
        let (either, list) = (format!("x={a} or x={b}"), format!("{b}, {a}"));
        prop_assert!(same(&either, &list));
        let (point, turned) = (format!("({a},{b})"), format!("y={b}, x={a}"));
        prop_assert!(same(&point, &turned));
    }

    #[test]
    fn units_convert_and_never_mix(value in 1..500_i32) {
        let length = format!("{value} cm");
        prop_assert!(same(&length, &value.to_string()));
        let metres = format!("{}.{:02} m", value / 100, value % 100);
        prop_assert!(same(&length, &metres));
        for other in ["m", "cm^2", "kg", "s", "degrees", "\\%"] {
            let different = format!("{value} {other}");
            prop_assert!(!same(&length, &different));
        }
    }
}

/// Whether an answer is understood is asked of what is graded: without the marks that only set it off.
#[test]
fn answers_are_understood_as_they_are_graded() {
    for gold in ["<answer>5</answer>", "**5**", "`5`", "_5_", " 5 ", r"\boxed{5}"] {
        assert!(grade("5", gold, Profile::StrictSound).correct && is_understood(gold), "{gold}");
    }
    assert!(!is_understood("a cat on a mat"));
}
