//! Two answers, parted by the first line break: every verdict is found, is the same both ways where it should be, and holds for an
//! answer against itself.

#![no_main]

use grader::{Ground, Profile, grade, is_understood};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (prediction, gold) = text.split_once('\n').unwrap_or((text, text));
    grade(prediction, gold, Profile::Mathruler);
    let verdict = grade(prediction, gold, Profile::StrictSound);
    assert_eq!(verdict, grade(prediction, gold, Profile::StrictSound), "a verdict depends on nothing else");
    let turned = grade(gold, prediction, Profile::StrictSound);
    assert_eq!(verdict.correct, turned.correct, "{prediction:?} against {gold:?}");
    if is_understood(prediction) {
        let own = grade(prediction, prediction, Profile::StrictSound);
        assert!(own.correct && own.ground == Ground::Text, "{prediction:?} against itself");
    }
});
