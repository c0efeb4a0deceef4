//! Laws of the length penalty: where it begins, where it ends, and that it only grows between.

use proptest::prelude::*;
use reward::SoftOverlong;

/// A limit, a buffer that fits into it, a factor and a length on either side of both.
fn penalties() -> impl Strategy<Value = (usize, usize, f32, usize)> {
    (1_usize..5_000).prop_flat_map(|limit| (Just(limit), 1..=limit, 0.0_f32..4.0, 0..2 * limit))
}

proptest! {
    #[test]
    fn the_penalty_is_the_formula((limit, buffer, factor, length) in penalties()) {
        let penalty = SoftOverlong::new(limit, buffer, factor).expect("valid").penalty(length);
        let start = limit - buffer;
        let share = if length <= start {
            0.0
        } else if length <= limit {
            (start as f64 - length as f64) / buffer as f64
        } else {
            -1.0
        };
        // Two roundings to f32.
        prop_assert!((f64::from(penalty) - f64::from(factor) * share).abs() <= 1.2e-7 * f64::from(factor));
        prop_assert!(!(penalty == 0.0 && penalty.is_sign_negative()) || factor == 0.0);
    }

    #[test]
    fn longer_is_never_better((limit, buffer, factor, length) in penalties(), more in 0_usize..100) {
        let penalty = SoftOverlong::new(limit, buffer, factor).expect("valid");
        prop_assert!(penalty.penalty(length + more) <= penalty.penalty(length));
        prop_assert_eq!(penalty.penalty(limit - buffer), 0.0);
        prop_assert_eq!(penalty.penalty(limit), -factor);
        prop_assert_eq!(penalty.penalty(usize::MAX), -factor);
    }

    #[test]
    fn settings_survive_json((limit, buffer, factor, _) in penalties()) {
        let penalty = SoftOverlong::new(limit, buffer, factor).expect("valid");
        let text = serde_json::to_string(&penalty).expect("finite numbers");
        prop_assert_eq!(serde_json::from_str::<SoftOverlong>(&text).expect("reads back"), penalty);
    }
}

#[test]
fn settings_are_checked() {
    let read = |text: &str| serde_json::from_str::<SoftOverlong>(text);
    let whole = SoftOverlong::new(20, 5, 1.0).expect("valid");
    assert_eq!(read(r#"{"max_length": 20, "buffer": 5}"#).expect("a factor of 1"), whole);
    assert!(read(r#"{"max_length": 20, "buffer": 20, "factor": 0}"#).is_ok(), "bounds included");
    for (wrong, word) in [
        (r#"{"max_length": 20, "buffer": 0}"#, "1..=20"),
        (r#"{"max_length": 20, "buffer": 21}"#, "not 21"),
        (r#"{"max_length": 20, "buffer": 5, "factor": -0.5}"#, "not -0.5"),
        (r#"{"max_length": 20, "buffer": 5, "weight": 1}"#, "weight"),
    ] {
        let message = read(wrong).expect_err(wrong).to_string();
        assert!(message.contains(word), "{message}");
    }
    for factor in [f32::NAN, f32::INFINITY] {
        assert!(SoftOverlong::new(20, 5, factor).is_err(), "{factor}");
    }
}
