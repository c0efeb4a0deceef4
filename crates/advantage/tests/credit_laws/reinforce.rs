//! Laws of the estimators that compare the tokens of the whole batch.

use advantage::{
    AdvantageEstimator, DrGrpo, Estimator, Fraction, GroupOfOne, Grpo, PassAtK, ReinforcePlusPlus,
    ReinforcePlusPlusBaseline, Rloo,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::page::{
    Cells, Line, Page, assert_close, cells, evidence, gapless_page, lines, outcomes, page, tokens, widened,
};

fn discount() -> impl Strategy<Value = Fraction> {
    let usual = select(&[0.0, 0.5, 0.95, 0.999, 1.0, 1.0][..]);
    prop_oneof![2 => usual, 1 => 0.0..=1.0].prop_map(|discount| Fraction::new(discount).expect("a share"))
}

fn returns(discount: Fraction, page: &Page) -> Cells<f32> {
    cells(ReinforcePlusPlus { discount }.returns(&evidence(page, f32::NAN)), page)
}

fn estimate(estimator: Estimator, page: &Page) -> Cells<f32> {
    cells(estimator.estimate(&evidence(page, f32::NAN)).expect("groups of any size"), page)
}

fn plus_plus(discount: Fraction) -> Estimator {
    Estimator::ReinforcePlusPlus(ReinforcePlusPlus { discount })
}

fn baseline(group_of_one: GroupOfOne) -> Estimator {
    Estimator::ReinforcePlusPlusBaseline(ReinforcePlusPlusBaseline { group_of_one })
}

fn whitening() -> impl Strategy<Value = Estimator> {
    let baseline = select(&[GroupOfOne::Zero, GroupOfOne::Raw][..]).prop_map(baseline);
    prop_oneof![discount().prop_map(plus_plus), baseline]
}

/// The reward to come, walked from the last column to the first.
fn naive_returns(discount: Fraction, line: &Line) -> Vec<Option<f64>> {
    let last = line.tokens.iter().rposition(Option::is_some);
    let mut to_come = 0.0;
    let mut returns = vec![None; line.tokens.len()];
    for (column, token) in line.tokens.iter().enumerate().rev() {
        let outcome = if Some(column) == last { f64::from(line.reward) } else { 0.0 };
        returns[column] = token.map(|token| f64::from(token) + outcome + discount.value() * to_come);
        to_come = returns[column].unwrap_or(0.0);
    }
    returns
}

/// Rewards less the mean of their group, on every token.
fn naive_centered(group_of_one: GroupOfOne, group: &[Line]) -> Cells<f64> {
    let earned =
        |line: &Line| f64::from(line.reward) + line.tokens.iter().flatten().copied().map(f64::from).sum::<f64>();
    let mean = group.iter().map(earned).sum::<f64>() / group.len() as f64;
    let mean = if group.len() == 1 && group_of_one == GroupOfOne::Raw { 0.0 } else { mean };
    group.iter().map(|line| line.tokens.iter().map(|token| token.map(|_| earned(line) - mean)).collect()).collect()
}

fn naive_whitened(rows: &Cells<f64>) -> Cells<f64> {
    let values: Vec<f64> = rows.iter().flatten().copied().flatten().collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / (count + 1e-8);
    let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (spread / (count - 1.0).max(1.0) + 1e-8).sqrt();
    rows.iter().map(|row| row.iter().map(|value| value.map(|value| (value - mean) / deviation)).collect()).collect()
}

/// What the estimator is to return, before and after whitening.
fn naive(estimator: Estimator, page: &Page) -> (Cells<f64>, Cells<f64>) {
    let plain: Vec<_> = match estimator {
        Estimator::ReinforcePlusPlus(ReinforcePlusPlus { discount }) => {
            lines(page).into_iter().map(|line| naive_returns(discount, line)).collect()
        }
        Estimator::ReinforcePlusPlusBaseline(ReinforcePlusPlusBaseline { group_of_one }) => {
            page.iter().flat_map(|group| naive_centered(group_of_one, group)).collect()
        }
        other => panic!("{other:?} does not whiten"),
    };
    let white = naive_whitened(&plain);
    (plain, white)
}

/// Mean and sample deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (spread / (count - 1.0)).sqrt())
}

/// Whether the values lie so far apart that neither epsilon nor rounding shows once they are white.
fn differs(plain: &Cells<f64>) -> bool {
    moments(&tokens(plain)).1 > 0.1
}

/// How far f32 may be off after whitening: values of up to 40 are rounded in their seventh digit, and then divided by a
/// deviation that may be small.
fn allowed(plain: &Cells<f64>) -> f64 {
    let values = tokens(plain);
    let (_, deviation) = moments(&values);
    2e-5 + if values.len() > 1 { 4e-6 / deviation.max(1e-4) } else { 0.0 }
}

proptest! {
    /// Every token sees what is earned from it on, up to the next gap.
    #[test]
    fn returns_equal_the_naive_loop(page in page(), discount in discount()) {
        let expected: Vec<_> = lines(&page).into_iter().map(|line| naive_returns(discount, line)).collect();
        assert_close(&returns(discount, &page), &expected, 1e-6)?;
    }

    #[test]
    fn advantages_equal_the_naive_loop(page in page(), estimator in whitening()) {
        let (plain, white) = naive(estimator, &page);
        assert_close(&estimate(estimator, &page), &white, allowed(&plain))?;
    }

    /// Over the response tokens of the batch the mean is 0 and the sample deviation 1.
    #[test]
    fn advantages_are_white(page in page(), estimator in whitening()) {
        let (plain, _) = naive(estimator, &page);
        if !differs(&plain) {
            return Ok(());
        }
        let advantages: Vec<f64> = tokens(&estimate(estimator, &page)).into_iter().map(f64::from).collect();
        let (mean, deviation) = moments(&advantages);
        prop_assert!(mean.abs() < 1e-5 && (deviation - 1.0).abs() < 1e-5, "{} {}", mean, deviation);
    }

    /// Nothing is lost and nothing looks back: undiscounted, the first token sees all that the response earned.
    #[test]
    fn undiscounted_returns_are_sums(page in gapless_page()) {
        let earned: Vec<f32> = evidence(&page, f32::NAN).total_rewards().into_data().iter().collect();
        for (returns, earned) in returns(Fraction::literal(1.0), &page).iter().zip(earned) {
            prop_assert!(returns.iter().flatten().next().is_none_or(|&first| first == earned), "{:?}", returns);
        }
    }

    /// Tokens may have earned nothing of their own.
    #[test]
    fn no_token_rewards_are_zeros(mut page in page(), discount in discount(), kind in 0..2usize) {
        page.iter_mut().flatten().for_each(|line| line.tokens.iter_mut().flatten().for_each(|token| *token = 0.0));
        let estimator = [plus_plus(discount), baseline(GroupOfOne::Raw)][kind];
        let found = cells(estimator.estimate(&outcomes(&page)).expect("groups of any size"), &page);
        prop_assert_eq!(found, estimate(estimator, &page));
    }

    /// Discounted to nothing, a token sees what it earned itself.
    #[test]
    fn a_discount_of_nothing_leaves_the_own_reward(mut page in page()) {
        page.iter_mut().flatten().for_each(|line| line.reward = 0.0);
        let own: Vec<_> = lines(&page).into_iter().map(|line| line.tokens.clone()).collect();
        prop_assert_eq!(returns(Fraction::literal(0.0), &page), own);
    }

    /// What stands on padding, at either end or in between, changes not one bit.
    #[test]
    fn padding_changes_nothing(
        page in page(),
        garbage in select(&[f32::NAN, f32::INFINITY, f32::MAX, -1.0][..]),
        estimator in whitening(),
    ) {
        let credit = |garbage| estimator.estimate(&evidence(&page, garbage)).expect("groups of any size").into_data();
        prop_assert_eq!(credit(garbage), credit(0.0));
    }

    /// Columns before and after all responses change no return by one bit; advantages only by the order of adding.
    #[test]
    fn the_width_changes_nothing(
        page in page(), before in 0..=3usize, after in 0..=3usize, estimator in whitening(), discount in discount(),
    ) {
        let widen = |row: &[Option<f32>]| [vec![None; before], row.to_vec(), vec![None; after]].concat();
        let mut wide = page.clone();
        wide.iter_mut().flatten().for_each(|line| line.tokens = widen(&line.tokens));
        let padded = |rows: Cells<f32>| rows.iter().map(|row| widen(row)).collect::<Cells<f32>>();
        prop_assert_eq!(returns(discount, &wide), padded(returns(discount, &page)));
        let (plain, _) = naive(estimator, &page);
        assert_close(&estimate(estimator, &wide), &widened(&padded(estimate(estimator, &page))), allowed(&plain))?;
    }

    /// Reordering the responses of a group, or the groups, reorders the answer.
    #[test]
    fn commutes_with_permutations(page in page(), estimator in whitening()) {
        let mut turned = page.clone();
        turned.reverse();
        turned.iter_mut().for_each(|group| group.reverse());
        let mut found = estimate(estimator, &turned);
        found.reverse();
        let (plain, _) = naive(estimator, &page);
        assert_close(&found, &widened(&estimate(estimator, &page)), allowed(&plain))?;
    }

    /// What every response earns alike teaches nothing: next to nothing where it is all there is.
    #[test]
    fn equal_rewards_give_next_to_nothing(mut page in gapless_page(), reward in -100.0f32..100.0) {
        let lines = page.iter_mut().flatten();
        lines.for_each(|line| {
            line.reward = reward;
            line.tokens.iter_mut().flatten().for_each(|token| *token = 0.0);
        });
        let advantages = tokens(&estimate(plus_plus(Fraction::literal(1.0)), &page));
        let most = f64::from(reward.abs()) * 1e-4 / advantages.len() as f64;
        for value in advantages {
            let little = f64::from(value.abs()) <= most * (1.0 + 1e-5);
            prop_assert!(little && value * reward >= 0.0, "{} of {}", value, most);
        }
        let compared = tokens(&estimate(baseline(GroupOfOne::Zero), &page));
        prop_assert!(compared.into_iter().all(|value| value == 0.0));
    }

    /// An offset that f32 can hold costs no digits. The groups have no single, whose bare reward would carry it.
    #[test]
    fn offsets_change_nothing(mut page in gapless_page(), offset in select(&[-4096.0f32, 1024.0][..])) {
        page.iter_mut().for_each(|group| group.push(Line { reward: 1.0, ..group[0].clone() }));
        let estimators = [plus_plus(Fraction::literal(1.0)), baseline(GroupOfOne::Raw)];
        let (plain, _) = naive(estimators[0], &page);
        if !differs(&plain) {
            return Ok(());
        }
        let before = estimators.map(|estimator| estimate(estimator, &page));
        page.iter_mut().flatten().for_each(|line| line.reward += offset);
        // The mean divides by tokens + 1e-8: a share of 1e-8 of the offset is left over.
        assert_close(&estimate(estimators[0], &page), &widened(&before[0]), 1e-3)?;
        prop_assert_eq!(&estimate(estimators[1], &page), &before[1]);
    }

    /// A reward that is not finite spoils the tokens that see it, and, once whitened, the batch.
    #[test]
    fn an_unknown_reward_spoils_what_sees_it(
        mut page in page(), discount in discount(), column in any::<prop::sample::Index>(),
    ) {
        let column = column.index(page[0][0].tokens.len());
        page[0][0].tokens[column] = Some(0.0);
        let sound = returns(discount, &page);
        page[0][0].tokens[column] = Some(f32::NAN);
        let found = returns(discount, &page);
        let gap = page[0][0].tokens[..column].iter().rposition(Option::is_none);
        let sees = |row: usize, token: usize| row == 0 && token <= column && gap.is_none_or(|gap| token > gap);
        for (row, (found, sound)) in found.iter().zip(&sound).enumerate() {
            for (token, (found, sound)) in found.iter().zip(sound).enumerate() {
                let as_it_should = if sees(row, token) { found.is_some_and(f32::is_nan) } else { found == sound };
                prop_assert!(as_it_should, "row {}, token {}: {:?}", row, token, found);
            }
        }
        for estimator in [plus_plus(discount), baseline(GroupOfOne::Raw)] {
            let advantages = tokens(&estimate(estimator, &page));
            prop_assert!(advantages.iter().all(|value| !value.is_finite()), "{:?}", advantages);
        }
    }

    /// Rewards at the end of their range are whitened as all others are.
    #[test]
    fn huge_rewards_are_white(page in gapless_page()) {
        let estimator = plus_plus(Fraction::literal(1.0));
        let (small, _) = naive(estimator, &page);
        if !differs(&small) {
            return Ok(());
        }
        let expected = widened(&estimate(estimator, &page));
        let mut huge = page;
        for line in huge.iter_mut().flatten() {
            line.reward *= 2f32.powi(55);
            line.tokens.iter_mut().flatten().for_each(|token| *token *= 2f32.powi(55));
        }
        assert_close(&estimate(estimator, &huge), &expected, 1e-4)?;
    }

    /// Estimators that compare responses count what their tokens earned: it is as if the response had earned it.
    #[test]
    fn token_rewards_count(page in page(), kind in 0..5usize) {
        let group_of_one = GroupOfOne::Raw;
        let estimator = [
            Estimator::Grpo(Grpo { group_of_one, ..Grpo::default() }),
            Estimator::DrGrpo(DrGrpo { group_of_one }),
            Estimator::Rloo(Rloo { group_of_one }),
            Estimator::PassAtK(PassAtK { group_of_one, ..PassAtK::default() }),
            baseline(group_of_one),
        ][kind];
        let mut summed = page.clone();
        for line in summed.iter_mut().flatten() {
            line.reward += line.tokens.iter().flatten().sum::<f32>();
            line.tokens.iter_mut().flatten().for_each(|token| *token = 0.0);
        }
        prop_assert_eq!(estimate(estimator, &page), estimate(estimator, &summed));
    }
}

fn line(reward: f32, tokens: &[Option<f32>]) -> Line {
    Line { reward, tokens: tokens.to_vec() }
}

#[test]
fn three_tokens_by_hand() {
    // Halved at each step: 4 on the last token is 2 on the second and 1 on the first, which adds its own 3.
    let page = vec![vec![line(4.0, &[None, Some(3.0), Some(0.0), Some(0.0), None])]];
    assert_eq!(returns(Fraction::literal(0.5), &page), [[None, Some(4.0), Some(2.0), Some(4.0), None]]);
    // Behind a gap nothing is seen.
    let page = vec![vec![line(4.0, &[Some(3.0), Some(1.0), None, Some(2.0), Some(0.0)])]];
    assert_eq!(returns(Fraction::literal(1.0), &page), [[Some(4.0), Some(1.0), None, Some(6.0), Some(4.0)]]);
}

#[test]
fn a_single_token_by_hand() {
    // Alone it is its own mean, but for 1e-8 of it; the deviation is sqrt(1e-8).
    let page = vec![vec![line(3.0, &[None, Some(0.0)])]];
    for estimator in [plus_plus(Fraction::literal(1.0)), baseline(GroupOfOne::Raw)] {
        let found = estimate(estimator, &page)[0][1].expect("a token");
        assert!((found - 3e-4).abs() < 1e-8, "{found}");
    }
    assert_eq!(estimate(baseline(GroupOfOne::Zero), &page), [[None, Some(0.0)]]);
}

#[test]
fn little_differences_stay_little() {
    // Returns 1e-4 and -1e-4: variance 2e-8, so 1e-4 / sqrt(3e-8).
    let page = vec![vec![line(1e-4, &[Some(0.0)]), line(-1e-4, &[Some(0.0)])]];
    for estimator in [plus_plus(Fraction::literal(1.0)), baseline(GroupOfOne::Raw)] {
        let found = tokens(&estimate(estimator, &page));
        assert!((found[0] - 0.577_350_3).abs() < 1e-5 && (found[1] + 0.577_350_3).abs() < 1e-5, "{found:?}");
    }
}

#[test]
fn a_batch_without_tokens_is_silent() {
    let page = vec![vec![line(1.0, &[None, None]), line(0.0, &[None, None])], vec![line(f32::NAN, &[None, None])]];
    for estimator in [plus_plus(Fraction::literal(0.5)), baseline(GroupOfOne::Raw)] {
        assert_eq!(estimate(estimator, &page), [[None, None]; 3]);
    }
}

#[test]
fn an_empty_response_earns_nothing() {
    // Its reward has no token to stand on, so that it changes nothing, not even when it is not a number.
    let others = [line(1.0, &[Some(0.0), Some(0.0)]), line(0.0, &[Some(0.0), None])];
    let with = |reward| vec![[others.to_vec(), vec![line(reward, &[None, None])]].concat()];
    let estimator = plus_plus(Fraction::literal(1.0));
    assert_eq!(estimate(estimator, &with(f32::NAN)), estimate(estimator, &with(7.0)));
    assert!(tokens(&estimate(estimator, &with(f32::NAN))).iter().all(|value| value.is_finite()));
}

#[test]
fn long_responses_are_discounted_exactly() {
    // 0.999 to the power of 2000, whose rounding would show were it multiplied up in f32.
    let discount = Fraction::literal(0.999);
    let page = vec![vec![line(1.0, &[Some(0.0); 2001])]];
    let first = f64::from(returns(discount, &page)[0][0].expect("a token"));
    assert!((first / 0.999f64.powi(2000) - 1.0).abs() < 1e-6, "{first}");
}
