//! Laws of putting evidence, estimators and shapers together, and of naming them in a recipe.

use std::num::NonZeroUsize;

use advantage::{
    AdvantageEstimator, AtLeastOne, Ceiling, Credit, CreditError, CreditShaper, Estimator, Evidence, Fraction,
    GroupOfOne, Groups, Grpo, NonNegative, PerceptionGate, PerceptualReshaping, Positive, ReshapingRule, Schedule,
    Shaper, Signal, SoftTokenFilter, Threshold, TokenFilter, TrajectoryShaping, assign,
};
use burn::tensor::{Bool, Tensor};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{Padding, assert_close, batch, evidence, padding, ragged, widened};
use crate::device::device;

fn boxed(shapers: &[Shaper]) -> Vec<Box<dyn CreditShaper>> {
    shapers.iter().map(|&shaper| Box::new(shaper) as Box<dyn CreditShaper>).collect()
}

/// All built-ins in one list; no paper does this.
fn everything() -> [Shaper; 5] {
    [
        Shaper::TrajectoryShaping(TrajectoryShaping::default()),
        Shaper::TokenFilter(TokenFilter::default()),
        Shaper::SoftTokenFilter(SoftTokenFilter::default()),
        Shaper::PerceptionGate(PerceptionGate::default()),
        Shaper::PerceptualReshaping(PerceptualReshaping::default()),
    ]
}

/// The built-ins once more, with everything that can be turned on.
fn every_option() -> [Shaper; 6] {
    let threshold = Threshold::Quantile(Fraction::literal(0.4));
    let floor = Fraction::literal(0.1);
    let cap = Some(AtLeastOne::literal(1.5));
    let boost = NonNegative::literal(2.0);
    let top = ReshapingRule::TopK { share: Fraction::literal(0.2), boost };
    let mass = ReshapingRule::BoostMass { threshold: Fraction::literal(0.4), boost };
    let soft = ReshapingRule::Sigmoid {
        threshold: Fraction::literal(0.4),
        temperature: Positive::literal(0.1),
        boost: NonNegative::literal(2.0),
    };
    let reshaping = |rule| Shaper::PerceptualReshaping(PerceptualReshaping { rule, schedule: Schedule::Rising });
    let two = NonZeroUsize::new(2).expect("2");
    [
        Shaper::TrajectoryShaping(TrajectoryShaping { floor, ceiling: Ceiling::MeanOnePer(two) }),
        Shaper::TokenFilter(TokenFilter { by: Signal::Either, ..TokenFilter::default() }),
        Shaper::PerceptionGate(PerceptionGate { threshold, floor, cap, ..PerceptionGate::default() }),
        reshaping(top),
        reshaping(mass),
        reshaping(soft),
    ]
}

fn all() -> Vec<Shaper> {
    [everything().as_slice(), every_option().as_slice()].concat()
}

fn bits(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    rows.iter().map(|row| row.iter().map(|value| value.to_bits()).collect()).collect()
}

proptest! {
    /// What stands on padding, and how wide it is, changes not one bit.
    #[test]
    fn padding_changes_nothing(batch in batch(), one in padding(), other in padding()) {
        let credit = |padding: Padding| {
            let credit = assign(&Grpo::default(), &boxed(&all()), &evidence(&batch, padding)).expect("scored");
            (ragged(credit.advantage, &batch, padding), ragged(credit.gate, &batch, padding))
        };
        let (advantage, gate) = credit(one);
        let clean = credit(Padding { garbage: 0.0, ..one });
        prop_assert_eq!(bits(&advantage), bits(&clean.0));
        prop_assert_eq!(bits(&gate), bits(&clean.1));
        // Another width may change the order in which a device adds, and eleven shapers multiply what comes of it.
        let elsewhere = credit(other);
        assert_close(&advantage, &widened(&elsewhere.0), 1e-4)?;
        assert_close(&gate, &widened(&elsewhere.1), 1e-5)?;
    }

    /// Assigning is estimating and then shaping in order.
    #[test]
    fn assigning_is_a_fold(batch in batch(), padding in padding()) {
        let evidence = evidence(&batch, padding);
        let mut credit = Credit {
            advantage: Grpo::default().estimate(&evidence).expect("groups of any size"),
            gate: evidence.response().clone().float(),
        };
        for shaper in all() {
            credit = shaper.shape(&evidence, credit).expect("scored");
        }
        let assigned = assign(&Grpo::default(), &boxed(&all()), &evidence).expect("scored");
        prop_assert_eq!(bits(&ragged(assigned.advantage, &batch, padding)), bits(&ragged(credit.advantage, &batch, padding)));
        prop_assert_eq!(ragged(assigned.gate, &batch, padding), ragged(credit.gate, &batch, padding));
    }

    /// No list of shapers turns praise into blame, or opens a gate beyond 1.
    #[test]
    fn signs_survive_shaping(batch in batch(), padding in padding()) {
        let evidence = evidence(&batch, padding);
        let plain = assign(&Grpo::default(), &[], &evidence).expect("no shapers");
        let shaped = assign(&Grpo::default(), &boxed(&all()), &evidence).expect("scored");
        for gate in ragged(shaped.gate, &batch, padding).concat() {
            prop_assert!((0.0..=1.0).contains(&gate), "{}", gate);
        }
        let plain = ragged(plain.advantage, &batch, padding).concat();
        for (before, after) in plain.into_iter().zip(ragged(shaped.advantage, &batch, padding).concat()) {
            prop_assert!(before * after >= 0.0, "{} became {}", before, after);
        }
    }

    /// Responses to prompts without an image keep their credit to the bit, whatever stands where their dependency would.
    #[test]
    fn responses_without_an_image_are_left_alone(
        mut batch in batch(), padding in padding(), garbage in select(&[f32::NAN, f32::INFINITY, -2.0, 0.5][..]),
    ) {
        for response in batch.iter_mut().flatten() {
            response.visual = false;
            response.scores.iter_mut().step_by(2).for_each(|score| *score = garbage);
        }
        let evidence = evidence(&batch, padding);
        let plain = assign(&Grpo::default(), &[], &evidence).expect("no shapers");
        let shaped = assign(&Grpo::default(), &boxed(&all()), &evidence).expect("scored");
        for (before, after) in [(plain.advantage, shaped.advantage), (plain.gate, shaped.gate)] {
            prop_assert_eq!(bits(&ragged(before, &batch, padding)), bits(&ragged(after, &batch, padding)));
        }
    }
}

/// A shaper from outside: mutes the first token of every response and leaves a mess on padding.
struct MuteFirst;

impl CreditShaper for MuteFirst {
    fn shape(&self, _evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        let rows = credit.gate.dims()[0];
        let gate = credit.gate.slice_fill([0..rows, 0..1], 0.0) / credit.advantage.clone().abs();
        Ok(Credit { advantage: credit.advantage, gate })
    }
}

fn two_by_two() -> (Tensor<1>, Groups, Tensor<2, Bool>) {
    let device = device();
    (
        Tensor::from_data([1.0, 0.0], &device),
        Groups::new(vec![2]).expect("a group"),
        Tensor::from_data([[true, true], [true, false]], &device),
    )
}

#[test]
fn shapers_may_come_from_outside() {
    let (rewards, groups, response) = two_by_two();
    let evidence = Evidence::new(rewards, groups, response).expect("evidence that fits");
    let shapers: [Box<dyn CreditShaper>; 1] = [Box::new(MuteFirst)];
    let gate: Vec<f32> =
        assign(&Grpo::default(), &shapers, &evidence).expect("muted").gate.into_data().iter().collect();
    assert_eq!([gate[0], gate[2], gate[3]], [0.0; 3]);
    assert!(gate[1] > 1.0);
}

/// A shaper that loses a response.
struct DropLast;

impl CreditShaper for DropLast {
    fn shape(&self, _evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        Ok(Credit { advantage: credit.advantage.slice([0..1, 0..2]), gate: credit.gate })
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let device = device();
    let (rewards, groups, response) = two_by_two();
    let shape = |what, found: &[usize], expected: &[usize]| CreditError::Shape {
        what,
        found: found.to_vec(),
        expected: expected.to_vec(),
    };
    let new = Evidence::new;

    let three = Tensor::zeros([3], &device);
    let error = new(three, groups.clone(), response.clone()).expect_err("a reward too many");
    assert_eq!(error, shape("rewards", &[3], &[2]));

    let total = Groups::new(vec![2, 1]).expect("groups");
    let error = new(rewards.clone(), total, response.clone()).expect_err("a group too many");
    assert_eq!(error, shape("the total of the groups", &[3], &[2]));

    let evidence = new(rewards, groups, response).expect("evidence that fits");
    let wide = || Tensor::zeros([2, 3], &device);
    let error = evidence.clone().with_dependency(wide()).expect_err("too wide");
    assert_eq!(error, shape("the dependency", &[2, 3], &[2, 2]));
    let error = evidence.clone().with_entropy(wide()).expect_err("too wide");
    assert_eq!(error, shape("the entropy", &[2, 3], &[2, 2]));
    let error = evidence.clone().with_token_rewards(wide()).expect_err("too wide");
    assert_eq!(error, shape("the token rewards", &[2, 3], &[2, 2]));

    let one = Tensor::<1, Bool>::from_data([true], &device);
    let error = evidence.clone().with_visual(one).expect_err("a row too few");
    assert_eq!(error, shape("the mask of visual responses", &[1], &[2]));

    assert_eq!(Groups::new(vec![2, 0]), Err(CreditError::EmptyGroup { group: 1 }));

    let error = assign(&Grpo::default(), &[Box::new(DropLast)], &evidence).expect_err("a row too few");
    assert_eq!(error, shape("a shaped advantage", &[1, 2], &[2, 2]));
}

#[test]
fn an_empty_batch_is_refused() {
    let device = device();
    for (responses, tokens) in [(0, 3), (2, 0), (0, 0)] {
        let error = Evidence::new(
            Tensor::zeros([responses], &device),
            Groups::new(vec![1; responses]).expect("groups"),
            Tensor::<2>::zeros([responses, tokens], &device).greater_scalar(0.0),
        )
        .expect_err("nothing to compare");
        assert_eq!(error, CreditError::EmptyBatch { responses, tokens });
    }
}

#[test]
fn a_missing_dependency_names_who_misses_it() {
    let (rewards, groups, response) = two_by_two();
    let evidence = Evidence::new(rewards, groups, response).expect("evidence that fits");
    assert!(assign(&Grpo::default(), &[], &evidence).is_ok());
    for shaper in all() {
        let Err(CreditError::MissingDependency { shaper: name }) =
            assign(&Grpo::default(), &boxed(&[shaper]), &evidence)
        else {
            panic!("{shaper:?} did without a dependency");
        };
        let written = serde_json::to_value(shaper).expect("data");
        assert_eq!(written["kind"], name);
    }
}

#[test]
fn a_missing_entropy_names_who_misses_it() {
    let (rewards, groups, response) = two_by_two();
    let evidence = Evidence::new(rewards, groups, response)
        .and_then(|evidence| evidence.with_dependency(Tensor::zeros([2, 2], &device())))
        .expect("evidence that fits");
    let shape = |by| assign(&Grpo::default(), &[Box::new(TokenFilter { by, ..TokenFilter::default() })], &evidence);
    assert!(shape(Signal::Dependency).is_ok());
    for by in [Signal::Entropy, Signal::Either] {
        let error = shape(by).map(|_| ()).expect_err("no entropy");
        assert_eq!(error, CreditError::MissingEntropy { shaper: "token-filter" });
    }
}

#[test]
fn recipes_name_components() {
    let read = |text: &str| serde_json::from_str::<Shaper>(text);
    assert_eq!(read(r#"{"kind": "token-filter"}"#).expect("defaults"), everything()[1]);
    assert_eq!(
        read(r#"{"kind": "trajectory-shaping", "floor": 0.8, "ceiling": {"fixed": 1.2}}"#).expect("a shaper"),
        Shaper::TrajectoryShaping(TrajectoryShaping {
            floor: Fraction::literal(0.8),
            ceiling: Ceiling::Fixed(AtLeastOne::literal(1.2)),
        })
    );
    assert_eq!(
        read(r#"{"kind": "trajectory-shaping", "ceiling": {"mean-one-per": 16}}"#).expect("a shaper"),
        Shaper::TrajectoryShaping(TrajectoryShaping {
            floor: Fraction::literal(0.9),
            ceiling: Ceiling::MeanOnePer(NonZeroUsize::new(16).expect("16")),
        })
    );
    assert_eq!(
        read(r#"{"kind": "token-filter", "keep": 0.2, "by": "either"}"#).expect("a shaper"),
        Shaper::TokenFilter(TokenFilter { keep: Fraction::literal(0.2), by: Signal::Either })
    );
    assert_eq!(
        read(r#"{"kind": "soft-token-filter", "keep": 0.2}"#).expect("a shaper"),
        Shaper::SoftTokenFilter(SoftTokenFilter { keep: Fraction::literal(0.2) })
    );
    let snapshot = r#"{"kind": "perception-gate", "threshold": {"quantile": 0.3}, "boost": 1, "floor": 0.1,
        "conserve_mass": false, "cap": 4}"#;
    assert_eq!(
        read(snapshot).expect("a shaper"),
        Shaper::PerceptionGate(PerceptionGate {
            threshold: Threshold::Quantile(Fraction::literal(0.3)),
            boost: NonNegative::literal(1.0),
            floor: Fraction::literal(0.1),
            conserve_mass: false,
            cap: Some(AtLeastOne::literal(4.0)),
        })
    );
    let reshaping = r#"{"kind": "perceptual-reshaping", "schedule": "rising",
        "rule": {"kind": "top-k", "share": 0.2, "boost": 2}}"#;
    assert_eq!(
        read(reshaping).expect("a shaper"),
        Shaper::PerceptualReshaping(PerceptualReshaping {
            rule: ReshapingRule::TopK { share: Fraction::literal(0.2), boost: NonNegative::literal(2.0) },
            schedule: Schedule::Rising,
        })
    );
    let grpo: Estimator = serde_json::from_str(r#"{"kind": "grpo", "group_of_one": "refuse"}"#).expect("an estimator");
    assert_eq!(grpo, Estimator::Grpo(Grpo { group_of_one: GroupOfOne::Refuse, ..Grpo::default() }));
    for wrong in [
        r#"{"kind": "token-filter", "keep": 1.5}"#,
        r#"{"kind": "token-filter", "share": 0.5}"#,
        r#"{"kind": "trajectory-shaping", "ceiling": {"fixed": 0.5}}"#,
        r#"{"kind": "trajectory-shaping", "ceiling": {"mean-one": 1}}"#,
        r#"{"kind": "trajectory-shaping", "ceiling": {"mean-one-per": 0}}"#,
        r#"{"kind": "token-filter", "by": "luck"}"#,
        r#"{"kind": "perception-gate", "boost": -1}"#,
        r#"{"kind": "perception-gate", "threshold": 0.4}"#,
        r#"{"kind": "perception-gate", "threshold": {"range": 1.5}}"#,
        r#"{"kind": "perception-gate", "cap": 0.5}"#,
        r#"{"kind": "perceptual-reshaping", "rule": {"kind": "boost", "threshold": 0.4}}"#,
        r#"{"kind": "perceptual-reshaping", "rule": {"kind": "boost", "threshold": 0.4, "boost": 2, "share": 0.2}}"#,
        r#"{"kind": "perceptual-reshaping", "rule": {"kind": "sigmoid", "threshold": 0.4, "temperature": 0, "boost": 2}}"#,
        r#"{"keep": 0.5}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for shaper in everything() {
        // A name alone means the defaults.
        let kind = serde_json::to_value(shaper).expect("data")["kind"].clone();
        assert_eq!(read(&serde_json::json!({ "kind": kind }).to_string()).expect("defaults"), shaper);
    }
    for shaper in all() {
        let text = serde_json::to_string(&shaper).expect("data");
        assert_eq!(read(&text).expect("what was written"), shaper);
    }
}

#[test]
fn defaults_are_the_best_settings_of_the_papers() {
    let text = |shaper: Shaper| serde_json::to_string(&shaper).expect("data");
    let expected = [
        r#"{"kind":"trajectory-shaping","floor":0.9,"ceiling":"mean-one"}"#,
        r#"{"kind":"token-filter","keep":0.4,"by":"dependency"}"#,
        r#"{"kind":"soft-token-filter","keep":0.4}"#,
        r#"{"kind":"perception-gate","threshold":{"range":0.4},"boost":2.0,"floor":0.0,"conserve_mass":true}"#,
        r#"{"kind":"perceptual-reshaping","rule":{"kind":"boost","threshold":0.4,"boost":2.0},"schedule":"constant"}"#,
    ];
    assert_eq!(everything().map(text), expected);
}
