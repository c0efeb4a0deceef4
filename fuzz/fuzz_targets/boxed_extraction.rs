//! A response: the answer found in it stands in it, is trimmed and, under `strict-sound`, not empty.

#![no_main]

use grader::{Profile, extract};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|response: &str| {
    for profile in [Profile::Mathruler, Profile::StrictSound] {
        let Some(answer) = extract(response, profile) else { continue };
        assert_eq!(answer, answer.trim());
        assert!(response.contains(answer));
        assert!(profile == Profile::Mathruler || !answer.is_empty());
    }
    // A box behind everything is found, whatever stood before it.
    let boxed = format!("{response}</think>\\boxed{{42}}");
    assert_eq!(extract(&boxed, Profile::StrictSound), Some("42"));
});
