//! Values at the edge, terms whose numbers are missing, and written forms.

use advantage::{AtLeastOne, Fraction, NonNegative};
use trainer::{
    BuiltInLoss, Cispo, ClipRange, ClippedSurrogate, Gspo, ImplicitPerception, ImportanceCorrection, ImportanceLevel,
    KlEstimator, LossInput, MaskedImportance, Objective, PolicyGradient, Reduction, ReferenceKl, TruncatedImportance,
};

use crate::table::{Batch, part};

/// One row of tokens with these log-probabilities, all speaking with advantage 1.
fn row(log_probs: &[f64], old: &[f64]) -> Batch {
    let width = log_probs.len();
    let batch = Batch::of(vec![width], width, vec![log_probs.to_vec()]);
    Batch { old: vec![old.to_vec()], advantage: vec![vec![1.0; width]], gate: vec![vec![1.0; width]], ..batch }
}

fn surrogate(dual: Option<f64>) -> BuiltInLoss {
    BuiltInLoss::ClippedSurrogate(ClippedSurrogate { clip: ClipRange::new(0.2, 0.28).expect("a valid range"), dual })
}

fn cispo(low: f64, high: f64) -> BuiltInLoss {
    let low = Fraction::new(low).expect("a share");
    BuiltInLoss::Cispo(Cispo { low, high: NonNegative::new(high).expect("not negative") })
}

fn gspo(token_level: bool) -> BuiltInLoss {
    BuiltInLoss::Gspo(Gspo { token_level, ..Gspo::default() })
}

#[test]
fn clip_ranges_are_checked() {
    for (low, high) in [(-0.1, 0.2), (1.0, 0.2), (0.2, -0.1), (f64::NAN, 0.2), (0.2, f64::NAN), (0.2, f64::INFINITY)] {
        let error = ClipRange::new(low, high).expect_err("outside its bounds").to_string();
        assert!(error.contains(&format!("low {low}, high {high}")), "{error}");
    }
    let range = ClipRange::new(0.0, 0.0).expect("nothing may change");
    assert_eq!((range.low(), range.high()), (0.0, 0.0));
    let range = ClipRange::new(0.2, 0.28).expect("a valid range");
    assert_eq!((range.low(), range.high()), (0.2, 0.28));
}

/// A token that the policy could not have sampled is one beyond every clip: finite, and without a gradient where the ratio
/// carries it.
#[test]
fn impossible_tokens_are_clipped() {
    for (loss, total, gradient) in [
        (surrogate(Some(3.0)), -1.28, 0.0),
        (surrogate(None), -1.28, 0.0),
        (gspo(false), -1.0004, 0.0),
        (gspo(true), -1.0004, 0.0),
        (cispo(1.0, 4.0), 5.0 * 0.5, -5.0),
        (BuiltInLoss::PolicyGradient(PolicyGradient {}), 0.5, -1.0),
    ] {
        let found = row(&[-0.5], &[f64::NEG_INFINITY]).evaluate(&loss, &Objective::default());
        assert!((found.total - total).abs() < 1e-5, "{loss:?}: {} but {total}", found.total);
        assert!((found.gradient[0][0] - gradient).abs() < 1e-5, "{loss:?}: {:?}", found.gradient);
    }
    // With a negative advantage nothing holds the ratio but e²⁰ and the dual clip.
    for (loss, total) in [(surrogate(Some(3.0)), 3.0), (surrogate(None), 20.0_f64.exp()), (gspo(false), 20.0_f64.exp())]
    {
        let mut batch = row(&[-0.5], &[f64::NEG_INFINITY]);
        batch.advantage[0][0] = -1.0;
        let found = batch.evaluate(&loss, &Objective::default());
        assert!((found.total / total - 1.0).abs() < 1e-5, "{loss:?}: {} but {total}", found.total);
        assert_eq!(found.gradient[0][0], 0.0, "{loss:?}");
    }
}

/// Log-ratios beyond ±20 are as those at ±20, and have no gradient.
#[test]
fn log_ratios_end_at_twenty() {
    for (loss, advantage) in [(surrogate(None), -1.0), (gspo(false), -1.0), (gspo(true), -1.0)] {
        let of = |old: f64| {
            let mut batch = row(&[-1.0], &[old]);
            batch.advantage[0][0] = advantage;
            batch.evaluate(&loss, &Objective::default())
        };
        let (at, beyond, within) = (of(-21.0), of(-90.0), of(-20.5));
        assert_eq!(at.total, beyond.total, "{loss:?}");
        assert!(within.total < at.total && within.gradient[0][0] > 1e8, "{loss:?}");
        assert_eq!(beyond.gradient[0][0], 0.0, "{loss:?}");
    }
    let unbounded = row(&[-1.0], &[-90.0]).evaluate(&cispo(0.0, 1e12), &Objective::default());
    assert!((unbounded.total / 20.0_f64.exp() - 1.0).abs() < 1e-5, "{}", unbounded.total);
}

/// The default bounds of GSPO are 3e-4 below and 4e-4 above 1; a response between them moves freely.
#[test]
fn gspo_clips_a_response_as_a_whole() {
    let found = |log_probs: [f64; 2]| row(&log_probs, &[-1.0, -1.0]).evaluate(&gspo(false), &Objective::default());
    // One token rises and one falls: the response as a whole has hardly moved.
    let free = found([-0.5, -1.4995]);
    assert_eq!(free.parts[part::CLIPPED_HIGH], 0.0);
    assert!(free.gradient[0].iter().all(|slope| (slope + 0.5).abs() < 1e-3), "{:?}", free.gradient);
    let clipped = found([-0.5, -1.499]);
    assert_eq!((clipped.parts[part::CLIPPED_HIGH], &clipped.gradient), (1.0, &vec![vec![0.0, 0.0]]));
    assert!((clipped.total + 1.0004).abs() < 1e-6);
    let falls = found([-1.1, -1.1]);
    assert_eq!(falls.parts[part::CLIPPED_HIGH], 0.0, "the lower bound acts on negative advantages");
}

/// Without a lower bound a weight may fall to 0, and its bounds count as clipped at either end.
#[test]
fn cispo_holds_the_weight() {
    let batch = row(&[-3.0, -1.0, -0.2, -1.0], &[-1.0, -1.0, -1.0, -1.0]);
    let gradient =
        |loss| batch.evaluate(&loss, &Objective { reduction: Reduction::SequenceSum, ..Objective::default() });
    let bounded = gradient(cispo(0.2, 0.28));
    let expected = [-0.8, -1.0, -1.28, -1.0];
    assert!(bounded.gradient[0].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", bounded.gradient);
    assert_eq!(bounded.parts[part::CLIPPED_HIGH], 0.5);
    let open = gradient(cispo(1.0, 4.0));
    assert!((open.gradient[0][0] + (-2.0_f64).exp()).abs() < 1e-6, "{:?}", open.gradient);
    assert_eq!((open.parts[part::CLIPPED_HIGH], open.parts[part::CLIPPED_LOW]), (0.0, 0.0));
}

/// The gap between engine and policy, in each of its kinds and levels. The ratios are 4, 1 and 1/4; their product and mean 1.
#[test]
fn importance_weights() {
    let four = 4.0_f64.ln();
    let old = [-1.0, -1.0, -1.0];
    let batch = Batch { sampling: vec![vec![-1.0 - four, -1.0, -1.0 + four]], ..row(&old, &old) };
    let weights = |correction| {
        let objective =
            Objective { importance: Some(correction), reduction: Reduction::SequenceSum, ..Objective::default() };
        let found = batch.evaluate(&BuiltInLoss::PolicyGradient(PolicyGradient {}), &objective);
        (found.gradient[0].iter().map(|slope| -slope).collect::<Vec<f64>>(), found.parts[part::LIMITED] * 3.0)
    };
    let close = |(found, limited): (Vec<f64>, f64), expected: [f64; 3], count: f64| {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} but {expected:?}");
        assert!((limited - count).abs() < 1e-5, "{limited} but {count}");
    };
    let truncated = TruncatedImportance::default();
    close(weights(ImportanceCorrection::Truncated(truncated)), [2.0, 1.0, 0.25], 1.0);
    let masked = MaskedImportance::default();
    close(weights(ImportanceCorrection::Masked(masked)), [0.0, 1.0, 0.0], 2.0);
    let wide = MaskedImportance { low: const { Fraction::literal(0.2) }, ..masked };
    close(weights(ImportanceCorrection::Masked(wide)), [0.0, 1.0, 0.25], 1.0);
    let flat = MaskedImportance { weighted: false, high: const { AtLeastOne::literal(4.1) }, ..wide };
    close(weights(ImportanceCorrection::Masked(flat)), [1.0, 1.0, 1.0], 0.0);
    for level in [ImportanceLevel::Sequence, ImportanceLevel::SequenceMean] {
        let masked = MaskedImportance { level, ..masked };
        close(weights(ImportanceCorrection::Masked(masked)), [1.0, 1.0, 1.0], 0.0);
    }
    // A ratio at a bound is kept, and one beyond e²⁰ is e²⁰.
    let even = Batch { sampling: vec![old.to_vec()], ..row(&old, &old) };
    let far = Batch { sampling: vec![vec![-90.0; 3]], ..row(&old, &old) };
    let (one, huge) = (const { AtLeastOne::literal(1.0) }, const { AtLeastOne::literal(1e12) });
    let tight = MaskedImportance { low: const { Fraction::literal(1.0) }, high: one, ..masked };
    for (batch, correction, weight) in [
        (&even, ImportanceCorrection::Masked(tight), 1.0),
        (&even, ImportanceCorrection::Truncated(TruncatedImportance { cap: one, ..truncated }), 1.0),
        (&far, ImportanceCorrection::Truncated(TruncatedImportance { cap: huge, ..truncated }), 20.0_f64.exp()),
    ] {
        let objective = Objective { importance: Some(correction), ..Objective::default() };
        let found = batch.evaluate(&surrogate(None), &objective);
        assert_eq!(found.parts[part::LIMITED], 0.0, "{correction:?}");
        assert!((found.parts[part::WEIGHT] / weight - 1.0).abs() < 1e-5, "{correction:?}");
    }
    let of_response = |level| {
        let batch = Batch { sampling: vec![vec![-1.5, -1.5, -1.5]], ..row(&old, &old) };
        let cap = const { AtLeastOne::literal(100.0) };
        let importance = Some(ImportanceCorrection::Truncated(TruncatedImportance { cap, level }));
        batch.evaluate(&surrogate(None), &Objective { importance, ..Objective::default() }).parts[part::WEIGHT]
    };
    assert!((of_response(ImportanceLevel::Sequence) - 1.5_f64.exp()).abs() < 1e-5);
    assert!((of_response(ImportanceLevel::SequenceMean) - 0.5_f64.exp()).abs() < 1e-5);
    // A token the policy gives no probability has no weight; one the engine gave none is as one that is 20 nats too likely.
    let impossible =
        Batch { sampling: vec![vec![-1.0, f64::NEG_INFINITY]], ..row(&[-1.0; 2], &[f64::NEG_INFINITY, -1.0]) };
    let importance = Some(ImportanceCorrection::Truncated(truncated));
    let found = impossible.evaluate(&surrogate(None), &Objective { importance, ..Objective::default() });
    assert!((found.parts[part::WEIGHT] - 1.0).abs() < 1e-5 && found.total.is_finite(), "0 and 2");
}

/// A term whose numbers are not given is an error that names it.
#[test]
fn missing_numbers_are_named() {
    let batch = row(&[-1.0], &[-1.0]);
    let kl = |estimator| Objective {
        reference_kl: Some(ReferenceKl { estimator, coefficient: 0.1 }),
        ..Objective::default()
    };
    let number = const { NonNegative::literal(0.1) };
    let perception = Some(ImplicitPerception { coefficient: number, masked_entropy: number });
    let importance = Some(ImportanceCorrection::Truncated(TruncatedImportance::default()));
    for (objective, term) in [
        (kl(KlEstimator::K2), "reference_kl"),
        (kl(KlEstimator::Full), "reference_kl"),
        (Objective { entropy_bonus: 0.1, ..Objective::default() }, "entropy_bonus"),
        (Objective { perception, ..Objective::default() }, "perception"),
        (Objective { importance, ..Objective::default() }, "importance"),
    ] {
        let input = batch.input(&objective, 0..1);
        assert!(objective.evaluate(&surrogate(None), &input).is_ok(), "{term} is given");
        let full = objective.reference_kl == kl(KlEstimator::Full).reference_kl;
        let without = match term {
            "reference_kl" if full => LossInput { reference_divergence: None, ..input },
            "reference_kl" => LossInput { reference_log_probs: None, ..input },
            "entropy_bonus" => LossInput { entropy: None, ..input },
            "perception" => LossInput { contrast_log_probs: None, ..input },
            _ => LossInput { sampling_log_probs: None, ..input },
        };
        let error = objective.evaluate(&surrogate(None), &without).expect_err(term).to_string();
        assert!(error.contains(&format!("`{term}`")), "{error}");
        assert!(Objective::default().evaluate(&surrogate(None), &without).is_ok(), "nothing reads {term}");
    }
}

/// A masked entropy changes the reported loss and no gradient.
#[test]
fn the_masked_entropy_is_a_constant() {
    let batch = Batch { contrast: vec![vec![-2.0, -3.0]], ..row(&[-1.0, -0.5], &[-1.0, -1.0]) };
    let of = |masked_entropy| {
        let masked_entropy = NonNegative::new(masked_entropy).expect("not negative");
        let perception = Some(ImplicitPerception { coefficient: const { NonNegative::literal(0.1) }, masked_entropy });
        batch.evaluate(&surrogate(None), &Objective { perception, ..Objective::default() })
    };
    let (without, with) = (of(0.0), of(2.0));
    assert!((with.total - without.total - 2.0 * 2.5).abs() < 1e-5, "{} and {}", with.total, without.total);
    assert_eq!(with.gradient, without.gradient);
    assert!((with.parts[part::MASKED] - 2.5).abs() < 1e-6);
}

#[test]
fn losses_and_objectives_have_written_forms() {
    for (text, loss) in [
        (r#"{"kind":"gspo"}"#, gspo(false)),
        (r#"{"kind":"gspo","clip":{"low":0.0003,"high":0.0004},"token_level":true}"#, gspo(true)),
        (r#"{"kind":"cispo","low":1.0,"high":4.0}"#, cispo(1.0, 4.0)),
        (r#"{"kind":"policy-gradient"}"#, BuiltInLoss::PolicyGradient(PolicyGradient {})),
        (r#"{"kind":"clipped-surrogate","clip":{"low":0.2,"high":0.28},"dual":3.0}"#, surrogate(Some(3.0))),
    ] {
        assert_eq!(serde_json::from_str::<BuiltInLoss>(text).expect(text), loss);
        let written = serde_json::to_string(&loss).expect("serializes");
        assert_eq!(serde_json::from_str::<BuiltInLoss>(&written).expect("reads back"), loss);
    }
    for wrong in [
        r#"{"kind":"gspo","clip":{"low":1.0,"high":0.2}}"#,
        r#"{"kind":"gspo","dual":3.0}"#,
        r#"{"kind":"cispo","low":1.1,"high":4.0}"#,
        r#"{"kind":"cispo","low":1.0,"high":-0.1}"#,
        r#"{"kind":"cispo","high":1.0}"#,
        r#"{"kind":"policy-gradient","clip":1}"#,
        r#"{"kind":"reinforce"}"#,
    ] {
        assert!(serde_json::from_str::<BuiltInLoss>(wrong).is_err(), "{wrong} was accepted");
    }
    let number = const { NonNegative::literal(0.02) };
    let masked = MaskedImportance { level: ImportanceLevel::SequenceMean, ..MaskedImportance::default() };
    let objective = Objective {
        reduction: Reduction::DrGrpo { max_length: None },
        entropy_penalty: 0.03,
        entropy_bonus: 0.001,
        reference_kl: Some(ReferenceKl { estimator: KlEstimator::Full, coefficient: 0.01 }),
        perception: Some(ImplicitPerception { coefficient: number, masked_entropy: number }),
        importance: Some(ImportanceCorrection::Masked(masked)),
    };
    let json = serde_json::to_string(&objective).expect("serializes");
    assert!(
        json.contains(r#""importance":{"kind":"masked","low":0.5,"high":2.0,"level":"sequence-mean","weighted":true}"#),
        "{json}"
    );
    assert!(json.contains(r#""estimator":"full""#), "{json}");
    assert_eq!(serde_json::from_str::<Objective>(&json).expect("reads back"), objective);
    let text = toml::to_string(&objective).expect("serializes");
    assert_eq!(toml::from_str::<Objective>(&text).expect("reads back"), objective);
    let truncated: ImportanceCorrection = serde_json::from_str(r#"{"kind":"truncated"}"#).expect("defaults");
    assert_eq!(truncated, ImportanceCorrection::Truncated(TruncatedImportance::default()));
    for wrong in
        [r#"{"kind":"truncated","cap":0.9}"#, r#"{"kind":"masked","low":1.1}"#, r#"{"kind":"masked","high":0.9}"#]
    {
        assert!(serde_json::from_str::<ImportanceCorrection>(wrong).is_err(), "{wrong} was accepted");
    }
}
