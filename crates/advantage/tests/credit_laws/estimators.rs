//! Laws of the advantage estimators.

use advantage::{AdvantageEstimator, CreditError, DrGrpo, Estimator, GroupOfOne, Grpo, Rloo};
use proptest::prelude::*;
use proptest::sample::select;

use crate::batch::{
    Batch, Padding, Response, assert_close, batch, evidence, group_ranges, padding, ragged, responses, widened,
};

fn built_ins() -> impl Strategy<Value = Estimator> {
    select(vec![
        Estimator::Grpo(Grpo::default()),
        Estimator::DrGrpo(DrGrpo::default()),
        Estimator::Rloo(Rloo::default()),
    ])
}

fn estimate(estimator: Estimator, batch: &Batch, padding: Padding) -> Vec<Vec<f32>> {
    ragged(estimator.estimate(&evidence(batch, padding)).expect("groups of any size"), batch, padding)
}

/// The advantage of each response, written down as in the papers.
fn naive(estimator: Estimator, rewards: &[f64]) -> Vec<f64> {
    let members = rewards.len() as f64;
    if rewards.len() == 1 {
        return vec![0.0];
    }
    let total: f64 = rewards.iter().sum();
    let mean = total / members;
    let spread: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
    let deviation = (spread / (members - 1.0)).sqrt();
    let of = |reward: f64| match estimator {
        Estimator::Grpo(grpo) => (reward - mean) / (deviation + grpo.epsilon.value()),
        Estimator::DrGrpo(_) => reward - mean,
        Estimator::Rloo(_) => reward - (total - reward) / (members - 1.0),
    };
    rewards.iter().map(|&reward| of(reward)).collect()
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
    fn equals_the_naive_loop(batch in batch().prop_map(settled), padding in padding(), estimator in built_ins()) {
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
    fn equal_rewards_give_exactly_zero(mut batch in batch(), reward in -1e6f32..1e6, padding in padding(), estimator in built_ins()) {
        batch.iter_mut().flatten().for_each(|response| response.reward = reward);
        let advantage = estimate(estimator, &batch, padding);
        prop_assert!(advantage.iter().flatten().all(|&value| value == 0.0));
    }

    /// Within a group advantages cancel: none is created out of nothing.
    #[test]
    fn sums_to_zero_over_each_group(mut batch in batch(), padding in padding(), estimator in built_ins()) {
        batch.iter_mut().flatten().for_each(|response| response.scores = vec![0.0]);
        let advantage = estimate(estimator, &batch, padding);
        for group in group_ranges(&batch) {
            let total: f32 = advantage[group].iter().map(|row| row[0]).sum();
            prop_assert!(total.abs() < 1e-4, "{}", total);
        }
    }

    /// Reordering the responses of a group, or the groups, reorders the answer.
    #[test]
    fn commutes_with_permutations((batch, shuffled) in shuffled(), padding in padding(), estimator in built_ins()) {
        let by_number = |batch: &Batch| {
            let mut advantages = vec![Vec::new(); responses(batch).len()];
            for (response, row) in responses(batch).into_iter().zip(estimate(estimator, batch, padding)) {
                advantages[response.scores[0] as usize] = row;
            }
            advantages
        };
        assert_close(&by_number(&shuffled), &widened(&by_number(&batch)), 2e-5)?;
    }

    /// A reward that is not a number spoils its own group only.
    #[test]
    fn an_unknown_reward_stays_in_its_group(batch in batch(), padding in padding(), estimator in built_ins()) {
        let mut spoilt = batch.clone();
        spoilt[0][0].reward = f32::NAN;
        let others = batch[0].len()..;
        prop_assert_eq!(
            &estimate(estimator, &spoilt, padding)[others.clone()],
            &estimate(estimator, &batch, padding)[others]
        );
    }
}

#[test]
fn two_responses_by_hand() {
    // Rewards 1 and 0: mean 1/2, sample deviation sqrt(1/2).
    let response = |reward| Response { reward, visual: true, scores: vec![0.0] };
    let batch = vec![vec![response(1.0), response(0.0)]];
    let padding = Padding { before: 1, after: 0, garbage: 0.0 };
    let half_root = std::f32::consts::FRAC_1_SQRT_2;
    let grpo = estimate(Estimator::Grpo(Grpo::default()), &batch, padding);
    assert!((grpo[0][0] - half_root).abs() < 2e-6 && (grpo[1][0] + half_root).abs() < 2e-6, "{grpo:?}");
    assert_eq!(estimate(Estimator::DrGrpo(DrGrpo::default()), &batch, padding), [[0.5], [-0.5]]);
    assert_eq!(estimate(Estimator::Rloo(Rloo::default()), &batch, padding), [[1.0], [-1.0]]);
}

#[test]
fn a_group_of_one_can_be_refused() {
    let response = Response { reward: 1.0, visual: true, scores: vec![0.0] };
    let batch = vec![vec![response.clone(), response.clone()], vec![response]];
    let evidence = evidence(&batch, Padding { before: 1, after: 0, garbage: 0.0 });
    let group_of_one = GroupOfOne::Refuse;
    for estimator in [
        Estimator::Grpo(Grpo { group_of_one, ..Grpo::default() }),
        Estimator::DrGrpo(DrGrpo { group_of_one }),
        Estimator::Rloo(Rloo { group_of_one }),
    ] {
        let error = estimator.estimate(&evidence).expect_err("a group of one");
        assert_eq!(error, CreditError::GroupOfOne { group: 1 });
    }
}
