//! Laws of the estimators that compare the responses of a group.

use advantage::{
    AdvantageEstimator, CreditError, Deviation, DrGrpo, Estimator, Fraction, GroupOfOne, Grpo, PassAtK, Positive,
    ReinforcePlusPlus, ReinforcePlusPlusBaseline, Rloo,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{
    Batch, Padding, Response, assert_close, batch, evidence, group_ranges, padding, ragged, responses, widened,
};

/// An estimator of every kind.
fn every_kind(group_of_one: GroupOfOne, deviation: Deviation, epsilon: Positive) -> [Estimator; 4] {
    [
        Estimator::Grpo(Grpo { epsilon, deviation, group_of_one }),
        Estimator::DrGrpo(DrGrpo { group_of_one }),
        Estimator::Rloo(Rloo { group_of_one }),
        Estimator::PassAtK(PassAtK { epsilon, group_of_one }),
    ]
}

fn built_ins(group_of_one: &'static [GroupOfOne]) -> impl Strategy<Value = Estimator> {
    let deviation = select(&[Deviation::Sample, Deviation::Population][..]);
    let epsilon = select(&[1e-6, 1e-8, 0.25][..]);
    (select(group_of_one), deviation, epsilon, 0..4usize).prop_map(|(group_of_one, deviation, epsilon, kind)| {
        every_kind(group_of_one, deviation, Positive::new(epsilon).expect("above 0"))[kind]
    })
}

fn zero() -> impl Strategy<Value = Estimator> {
    built_ins(&[GroupOfOne::Zero])
}

fn zero_or_raw() -> impl Strategy<Value = Estimator> {
    built_ins(&[GroupOfOne::Zero, GroupOfOne::Raw])
}

fn estimate(estimator: Estimator, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    ragged(estimator.estimate(&evidence(batch, padding)).expect("groups of any size"), batch, padding)
}

/// The advantage of each response, written down as in the papers.
fn naive(estimator: Estimator, rewards: &[f64]) -> Vec<f64> {
    let members = rewards.len() as f64;
    let total: f64 = rewards.iter().sum();
    let mean = total / members;
    let spread: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
    let best_of_others = |this: usize| {
        let others = rewards.iter().enumerate().filter(|(other, _)| *other != this);
        others.map(|(_, &reward)| reward).fold(f64::NEG_INFINITY, f64::max)
    };
    let of = |(this, &reward): (usize, &f64)| match (estimator, rewards.len()) {
        (Estimator::Grpo(Grpo { epsilon, group_of_one: GroupOfOne::Raw, .. }), 1)
        | (Estimator::PassAtK(PassAtK { epsilon, group_of_one: GroupOfOne::Raw }), 1) => {
            reward / (1.0 + epsilon.value())
        }
        (Estimator::DrGrpo(DrGrpo { group_of_one: GroupOfOne::Raw }), 1)
        | (Estimator::Rloo(Rloo { group_of_one: GroupOfOne::Raw }), 1) => reward,
        (_, 1) => 0.0,
        (Estimator::Grpo(Grpo { epsilon, deviation, .. }), _) => {
            let divisor = if deviation == Deviation::Sample { members - 1.0 } else { members };
            (reward - mean) / ((spread / divisor).sqrt() + epsilon.value())
        }
        (Estimator::DrGrpo(_), _) => reward - mean,
        (Estimator::Rloo(_), _) => reward - (total - reward) / (members - 1.0),
        (Estimator::PassAtK(PassAtK { epsilon, .. }), _) => {
            (reward - best_of_others(this)).max(0.0) / ((spread / (members - 1.0)).sqrt() + epsilon.value())
        }
        (other, _) => panic!("{other:?} does not compare within a group alone"),
    };
    rewards.iter().enumerate().map(of).collect()
}

/// Rewards that differ by less than this within a group are replaced by equal ones: f64 would tell rounding errors apart.
fn settled(mut batch: Batch) -> Batch {
    for group in &mut batch {
        let first = group[0].reward;
        if group.iter().all(|response| (response.reward - first).abs() < 1e-3) {
            group.iter_mut().for_each(|response| response.reward = first);
        }
    }
    batch
}

/// A batch whose responses are numbered by their scores, and the same in another order.
fn shuffled() -> impl Strategy<Value = (Batch, Batch)> {
    batch().prop_map(settled).prop_flat_map(|mut batch| {
        batch.iter_mut().flatten().enumerate().for_each(|(number, response)| response.scores = vec![number as f32]);
        let groups: Vec<_> = batch.iter().map(|group| Just(group.clone()).prop_shuffle()).collect();
        (Just(batch), groups.prop_flat_map(|groups| Just(groups).prop_shuffle()))
    })
}

proptest! {
    /// Every token of a response carries the number that the papers write down.
    #[test]
    fn equals_the_naive_loop(batch in batch().prop_map(settled), padding in padding(), estimator in zero_or_raw()) {
        let expected: Vec<Vec<f64>> = batch
            .iter()
            .flat_map(|group| {
                let rewards: Vec<f64> = group.iter().map(|response| f64::from(response.reward)).collect();
                let advantages = naive(estimator, &rewards);
                group.iter().zip(advantages).map(|(response, value)| vec![value; response.scores.len()]).collect::<Vec<_>>()
            })
            .collect();
        assert_close(&estimate(estimator, &batch, padding), &expected, 2e-5)?;
    }

    /// Nothing is learned from a group that agrees: 0, not merely little.
    #[test]
    fn equal_rewards_give_exactly_zero(
        mut batch in batch(), reward in -1e6f32..1e6, padding in padding(), estimator in zero(),
    ) {
        batch.iter_mut().flatten().for_each(|response| response.reward = reward);
        let advantage = estimate(estimator, &batch, padding);
        prop_assert!(advantage.iter().flatten().all(|&value| value == 0.0));
    }

    /// Within a group advantages cancel: none is created out of nothing. Pass@k alone praises without blaming.
    #[test]
    fn sums_to_zero_over_each_group(mut batch in batch(), padding in padding(), estimator in zero()) {
        batch.iter_mut().flatten().for_each(|response| response.scores = vec![0.0]);
        let advantage = estimate(estimator, &batch, padding);
        for group in group_ranges(&batch) {
            let rows: Vec<f32> = advantage[group].iter().map(|row| row[0]).collect();
            if let Estimator::PassAtK(_) = estimator {
                prop_assert!(rows.iter().all(|&value| value >= 0.0), "{:?}", rows);
                prop_assert!(rows.iter().filter(|&&value| value > 0.0).count() <= 1, "{:?}", rows);
            } else {
                let total: f32 = rows.iter().sum();
                prop_assert!(total.abs() < 1e-4, "{}", total);
            }
        }
    }

    /// What all responses of a prompt earn alike teaches nothing. The offset is exact in f32 on rewards of sixteenths.
    #[test]
    fn offsets_change_nothing(
        mut batch in batch(),
        offset in select(&[-65536.0f32, 4096.0, 100.0][..]),
        padding in padding(),
        estimator in zero(),
    ) {
        batch.iter_mut().flatten().for_each(|response| response.reward = (response.reward * 16.0).round() / 16.0);
        let plain = estimate(estimator, &batch, padding);
        batch.iter_mut().flatten().for_each(|response| response.reward += offset);
        prop_assert_eq!(estimate(estimator, &batch, padding), plain);
    }

    /// Reordering the responses of a group, or the groups, reorders the answer.
    #[test]
    fn commutes_with_permutations((batch, shuffled) in shuffled(), padding in padding(), estimator in zero_or_raw()) {
        let by_number = |batch: &Batch| {
            let mut advantages = vec![Vec::new(); responses(batch).len()];
            for (response, row) in responses(batch).into_iter().zip(estimate(estimator, batch, padding)) {
                advantages[response.scores[0] as usize] = row;
            }
            advantages
        };
        assert_close(&by_number(&shuffled), &widened(&by_number(&batch)), 2e-5)?;
    }

    /// A reward that is not finite spoils its own group, and only that.
    #[test]
    fn an_unknown_reward_stays_in_its_group(
        batch in batch(),
        unknown in select(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY][..]),
        padding in padding(),
        estimator in zero_or_raw(),
    ) {
        let mut spoilt = batch.clone();
        spoilt[0][0].reward = unknown;
        let (first, others) = (..batch[0].len(), batch[0].len()..);
        let found = estimate(estimator, &spoilt, padding);
        prop_assert!(found[first].iter().flatten().all(|value| !value.is_finite()), "{:?}", found);
        prop_assert_eq!(&found[others.clone()], &estimate(estimator, &batch, padding)[others]);
    }

    /// Rewards at the end of their range are compared as all others are.
    #[test]
    fn huge_rewards_are_finite(mut batch in batch(), padding in padding(), estimator in zero_or_raw()) {
        batch.iter_mut().flatten().for_each(|response| response.reward *= 3e17);
        let advantage = estimate(estimator, &batch, padding);
        prop_assert!(advantage.iter().flatten().all(|value| value.is_finite()), "{:?}", advantage);
    }
}

const PADDING: Padding = Padding { before: 1, after: 0, garbage: 0.0 };

fn response(reward: f32) -> Response {
    Response { reward, visual: true, scores: vec![0.0] }
}

#[test]
fn two_responses_by_hand() {
    // Rewards 1 and 0: mean 1/2, sample deviation sqrt(1/2), population deviation 1/2.
    let batch = vec![vec![response(1.0), response(0.0)]];
    let half_root = std::f32::consts::FRAC_1_SQRT_2;
    let grpo = estimate(Estimator::Grpo(Grpo::default()), &batch, PADDING);
    assert!((grpo[0][0] - half_root).abs() < 2e-6 && (grpo[1][0] + half_root).abs() < 2e-6, "{grpo:?}");
    let population = Grpo { deviation: Deviation::Population, ..Grpo::default() };
    let grpo = estimate(Estimator::Grpo(population), &batch, PADDING);
    assert!((grpo[0][0] - 1.0).abs() < 4e-6 && (grpo[1][0] + 1.0).abs() < 4e-6, "{grpo:?}");
    assert_eq!(estimate(Estimator::DrGrpo(DrGrpo::default()), &batch, PADDING), [[0.5], [-0.5]]);
    assert_eq!(estimate(Estimator::Rloo(Rloo::default()), &batch, PADDING), [[1.0], [-1.0]]);
}

#[test]
fn the_best_of_three_by_hand() {
    // Rewards 2, -1 and 5: mean 2, sample deviation 3; the best leads by 3.
    let pass_at_k = Estimator::PassAtK(PassAtK { epsilon: Positive::literal(1.0), ..PassAtK::default() });
    let batch = vec![vec![response(2.0), response(-1.0), response(5.0)], vec![response(-7.0)]];
    assert_eq!(estimate(pass_at_k, &batch, PADDING), [[0.0], [0.0], [0.75], [0.0]]);
    let batch = vec![vec![response(5.0), response(-1.0), response(5.0)]];
    assert_eq!(estimate(pass_at_k, &batch, PADDING), [[0.0]; 3]);
}

#[test]
fn a_bare_reward_by_hand() {
    let epsilon = Positive::literal(1.0);
    for deviation in [Deviation::Sample, Deviation::Population] {
        let found = every_kind(GroupOfOne::Raw, deviation, epsilon)
            .map(|estimator| estimate(estimator, &vec![vec![response(-3.0)]], PADDING)[0][0]);
        assert_eq!(found, [-1.5, -3.0, -3.0, -1.5]);
    }
}

#[test]
fn a_group_of_one_can_be_refused() {
    let batch = vec![vec![response(1.0), response(1.0)], vec![response(1.0)]];
    let evidence = evidence(&batch, PADDING);
    let group_of_one = GroupOfOne::Refuse;
    let baseline = Estimator::ReinforcePlusPlusBaseline(ReinforcePlusPlusBaseline { group_of_one });
    let kinds = every_kind(group_of_one, Deviation::Sample, Positive::literal(1e-6));
    for estimator in kinds.into_iter().chain([baseline]) {
        let error = estimator.estimate(&evidence).expect_err("a group of one");
        assert_eq!(error, CreditError::GroupOfOne { group: 1 });
    }
}

#[test]
fn recipes_name_estimators() {
    let read = |text: &str| serde_json::from_str::<Estimator>(text);
    let defaults = [
        ("grpo", Estimator::Grpo(Grpo::default())),
        ("dr-grpo", Estimator::DrGrpo(DrGrpo::default())),
        ("rloo", Estimator::Rloo(Rloo::default())),
        ("reinforce-plus-plus", Estimator::ReinforcePlusPlus(ReinforcePlusPlus::default())),
        (
            "reinforce-plus-plus-baseline",
            Estimator::ReinforcePlusPlusBaseline(ReinforcePlusPlusBaseline { group_of_one: GroupOfOne::Raw }),
        ),
        ("grpo-pass-at-k", Estimator::PassAtK(PassAtK::default())),
    ];
    assert_eq!(defaults[3].1, Estimator::ReinforcePlusPlus(ReinforcePlusPlus { discount: Fraction::literal(1.0) }));
    let epsilon = Positive::literal(1e-6);
    let kinds = every_kind(GroupOfOne::Zero, Deviation::Sample, epsilon);
    assert_eq!([0, 1, 2, 5].map(|kind| defaults[kind].1), kinds);
    for (kind, expected) in defaults {
        assert_eq!(read(&format!(r#"{{"kind": "{kind}"}}"#)).expect("defaults"), expected);
        let text = serde_json::to_string(&expected).expect("data");
        assert_eq!(read(&text).expect("what was written"), expected);
        assert!(read(&format!(r#"{{"kind": "{kind}", "gamma": 1.0}}"#)).is_err(), "{kind}");
    }
    let text = r#"{"kind": "grpo", "epsilon": 1e-8, "deviation": "population", "group_of_one": "raw"}"#;
    let Ok(Estimator::Grpo(Grpo { epsilon, deviation, group_of_one })) = read(text) else {
        panic!("{text} is an estimator");
    };
    assert_eq!((epsilon.value(), group_of_one), (1e-8, GroupOfOne::Raw));
    assert_eq!(deviation, Deviation::Population);
    assert_eq!(
        read(r#"{"kind": "reinforce-plus-plus", "discount": 0.5}"#).expect("a share"),
        Estimator::ReinforcePlusPlus(ReinforcePlusPlus { discount: Fraction::literal(0.5) })
    );
    for wrong in [
        r#"{"kind": "reinforce-plus-plus", "discount": 1.5}"#,
        r#"{"kind": "reinforce-plus-plus", "group_of_one": "raw"}"#,
        r#"{"kind": "grpo-pass-at-k", "epsilon": 0}"#,
        r#"{"kind": "pass-at-k"}"#,
        r#"{"kind": "grpo", "deviation": "mean"}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
