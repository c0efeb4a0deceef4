//! What repetitions cost.

use proptest::prelude::*;
use reward::{Repetition, RewardError};

/// Counts by comparing every sequence of words with all before it.
fn naive(response: &str, words: usize, max_penalty: f64) -> f64 {
    let lower = response.to_lowercase();
    let said: Vec<&str> = lower.split_whitespace().collect();
    if said.len() < words {
        return 0.0;
    }
    let all = said.len() - words + 1;
    let repeats = |at: usize| (0..at).any(|before| said[before..before + words] == said[at..at + words]);
    let distinct = (0..all).filter(|&at| !repeats(at)).count();
    max_penalty * (1.0 - distinct as f64 / all as f64)
}

proptest! {
    #[test]
    fn every_repetition_costs_its_share(said in "([abA] |\\PC ?){0,30}", words in 1_usize..5, penalty in 0.0_f32..3.0) {
        let score = Repetition::new(words, -penalty).expect("valid").score(&said);
        let expected = naive(&said, words, f64::from(-penalty));
        // One rounding to f32 of a share and one of its product.
        prop_assert!((f64::from(score) - expected).abs() < 1e-6, "{said:?}: {score} but {expected}");
        prop_assert!(score <= 0.0 && score >= -penalty && !(score == 0.0 && score.is_sign_negative()));
    }

    /// Saying everything once more never costs less.
    #[test]
    fn echoes_do_not_pay(said in "([a-c] ){3,20}") {
        let repetition = Repetition::default();
        let echo = repetition.score(&format!("{said}{said}"));
        prop_assert!(echo <= repetition.score(&said) + 1e-6);
    }
}

/// Values of Open-R1's function for 3 words and a penalty of -1: seven sequences of which three are distinct; four of four.
#[test]
fn values_are_the_released_ones() {
    let score = |text: &str| Repetition::default().score(text);
    assert_eq!(score("a b c A B C a  b\nc"), -4.0 / 7.0);
    assert_eq!(score("a b c d e f"), 0.0);
    assert_eq!(score("no no no no no"), -2.0 / 3.0);
    for short in ["", " ", "a", "a a"] {
        assert_eq!(score(short), 0.0, "{short:?}");
    }
    assert_eq!(Repetition::new(2, -0.5).expect("valid").score("a a a"), -0.25);
}

#[test]
fn settings_are_checked() {
    for words in [0, 65] {
        assert_eq!(Repetition::new(words, -1.0), Err(RewardError::RepetitionWords { words, longest: 64 }));
    }
    assert!(Repetition::new(1, 0.0).is_ok() && Repetition::new(64, -1.0).is_ok());
    for max_penalty in [0.5, f32::NEG_INFINITY] {
        assert_eq!(Repetition::new(3, max_penalty), Err(RewardError::RepetitionPenalty { max_penalty }));
    }
    assert!(Repetition::new(3, f32::NAN).is_err());
    let read = |text: &str| serde_json::from_str::<Repetition>(text);
    assert_eq!(read("{}").expect("defaults"), Repetition::default());
    assert_eq!(Repetition::default(), Repetition::new(3, -1.0).expect("valid"));
    let written = serde_json::to_string(&Repetition::new(4, -0.5).expect("valid")).expect("JSON");
    assert_eq!(read(&written).expect("as written"), Repetition::new(4, -0.5).expect("valid"));
    assert!(read(r#"{"words": 0}"#).is_err() && read(r#"{"word": 3}"#).is_err());
}
