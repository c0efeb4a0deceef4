//! What length earns and costs.

use std::f64::consts::PI;

use proptest::prelude::*;
use reward::{CosineLength, GroupLength, GroupMember, RewardError};

/// Open-R1's formula: the bounds change places for a wrong answer.
fn released(
    is_right: bool,
    progress: f64,
    [min_wrong, max_wrong]: [f32; 2],
    [min_correct, max_correct]: [f32; 2],
) -> f64 {
    let (min, max) = if is_right { (min_correct, max_correct) } else { (max_wrong, min_wrong) };
    f64::from(min) + 0.5 * (f64::from(max) - f64::from(min)) * (1.0 + (progress * PI).cos())
}

fn bounds() -> impl Strategy<Value = [f32; 2]> {
    (-2.0_f32..2.0, 0.0_f32..2.0).prop_map(|(least, range)| [least, least + range])
}

fn members() -> impl Strategy<Value = Vec<GroupMember>> {
    let member = (0_usize..3, prop_oneof![0_usize..6, Just(usize::MAX)], any::<bool>())
        .prop_map(|(group, tokens, is_right)| GroupMember { group, tokens, is_right });
    prop::collection::vec(member, 0..12)
}

proptest! {
    #[test]
    fn cosines_are_the_released_ones(max_length in 1_usize..5000, tokens in 0_usize..9000, wrong in bounds(), correct in bounds()) {
        let reward = CosineLength::with_values(max_length, wrong, correct).expect("valid");
        let progress = tokens.min(max_length) as f64 / max_length as f64;
        for (is_right, [least, greatest]) in [(true, correct), (false, wrong)] {
            let score = reward.score(is_right, tokens);
            prop_assert!((f64::from(score) - released(is_right, progress, wrong, correct)).abs() < 1e-6);
            prop_assert!(score >= least - 1e-6 && score <= greatest + 1e-6);
            // Shorter is better for a right answer and worse for a wrong one.
            let longer = reward.score(is_right, tokens + 1);
            let pays = if is_right { longer <= score } else { longer >= score };
            prop_assert!(pays, "{score} and then {longer}");
        }
    }

    /// Extremes of a group are its own, found by looking at all members again.
    #[test]
    fn groups_are_measured_by_themselves(members in members()) {
        let scores = GroupLength::default().scores(&members);
        prop_assert_eq!(scores.len(), members.len());
        for (member, score) in members.iter().zip(&scores) {
            let lengths = || members.iter().filter(|other| other.group == member.group).map(|other| other.tokens);
            let (shortest, longest) = (lengths().min().expect("itself"), lengths().max().expect("itself"));
            let lambda = 0.5 - (member.tokens - shortest) as f64 / (longest - shortest).max(1) as f64;
            let expected = match (shortest == longest, member.is_right) {
                (true, _) => 0.0,
                (false, true) => lambda,
                (false, false) => lambda.min(0.0),
            };
            prop_assert!((f64::from(*score) - expected).abs() < 1e-6, "{member:?}: {score} but {expected}");
        }
        let backwards: Vec<GroupMember> = members.iter().rev().copied().collect();
        let mut reversed = GroupLength::default().scores(&backwards);
        reversed.reverse();
        prop_assert_eq!(reversed, scores);
    }
}

#[test]
fn open_r1s_values_are_the_default() {
    let reward = CosineLength::new(100).expect("valid");
    let scores = |is_right| [0, 50, 100, 150, usize::MAX].map(|tokens| reward.score(is_right, tokens));
    assert_eq!(scores(true), [1.0, 0.75, 0.5, 0.5, 0.5]);
    assert_eq!(scores(false), [-1.0, -0.75, -0.5, -0.5, -0.5]);
}

#[test]
fn cosine_settings_are_checked() {
    assert_eq!(CosineLength::new(0), Err(RewardError::CosineLength));
    let refused = RewardError::CosineValues { least: 1.0, greatest: 0.5 };
    assert_eq!(CosineLength::with_values(9, [1.0, 0.5], [0.0, 1.0]), Err(refused.clone()));
    assert_eq!(CosineLength::with_values(9, [0.0, 0.0], [1.0, 0.5]), Err(refused));
    assert!(CosineLength::with_values(9, [f32::NEG_INFINITY, 0.0], [0.0, 1.0]).is_err());
    assert!(CosineLength::with_values(9, [0.0, 1.0], [0.0, f32::INFINITY]).is_err());
    assert!(CosineLength::with_values(9, [f32::NAN, 1.0], [0.0, 1.0]).is_err());
    let read = |text: &str| serde_json::from_str::<CosineLength>(text);
    assert_eq!(read(r#"{"max_length": 7}"#).expect("defaults"), CosineLength::new(7).expect("valid"));
    let given = CosineLength::with_values(7, [-3.0, -2.0], [2.0, 3.0]).expect("valid");
    let text = r#"{"max_length":7,"min_value_wrong":-3.0,"max_value_wrong":-2.0,"min_value_correct":2.0,"max_value_correct":3.0}"#;
    assert_eq!(read(text).expect("valid"), given);
    assert_eq!(serde_json::to_string(&given).expect("JSON"), text);
    assert!(read("{}").is_err() && read(r#"{"max_length": 7, "min": 1}"#).is_err());
}

#[test]
fn group_lengths_are_kimis() {
    let member = |tokens, is_right| GroupMember { group: 4, tokens, is_right };
    let members = [member(10, true), member(20, true), member(30, false), member(10, false), member(15, true)];
    assert_eq!(GroupLength::default().scores(&members), [0.5, 0.0, -0.5, 0.0, 0.25]);
}
