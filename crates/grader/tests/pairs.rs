//! Pairs of answers by what they are made of, each in both directions, and a table of the verdicts.

use std::collections::BTreeMap;

use grader::{Profile, grade};

struct Pair {
    group: &'static str,
    is_same: bool,
    one: &'static str,
    other: &'static str,
}

fn pairs() -> Vec<Pair> {
    let mut group = "";
    let mut pairs = Vec::new();
    for line in include_str!("pairs.txt").lines().skip(1).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# ") {
            group = name;
            continue;
        }
        let mut parts = line.splitn(3, " | ");
        let mut part = || parts.next().expect("a line is: sign | answer | answer");
        let (sign, one, other) = (part(), part(), part());
        assert!(["=", "≠"].contains(&sign), "{line}");
        pairs.push(Pair { group, is_same: sign == "=", one, other });
    }
    pairs
}

/// By group: pairs that say the same and how many pass, pairs that do not and how many pass.
#[derive(Default)]
struct Row {
    same: usize,
    passed: usize,
    different: usize,
    wrongly_passed: usize,
}

fn table(profile: Profile, pairs: &[Pair]) -> BTreeMap<&'static str, Row> {
    let mut table: BTreeMap<&str, Row> = BTreeMap::new();
    for pair in pairs {
        let row = table.entry(pair.group).or_default();
        for (prediction, gold) in [(pair.one, pair.other), (pair.other, pair.one)] {
            let passes = usize::from(grade(prediction, gold, profile).correct);
            if pair.is_same {
                row.same += 1;
                row.passed += passes;
            } else {
                row.different += 1;
                row.wrongly_passed += passes;
            }
        }
    }
    table
}

#[test]
fn pairs_that_say_the_same_pass_and_no_others() {
    let pairs = pairs();
    assert!(pairs.len() > 1400);
    let mut wrong = Vec::new();
    for pair in &pairs {
        for (prediction, gold) in [(pair.one, pair.other), (pair.other, pair.one)] {
            let grade = grade(prediction, gold, Profile::StrictSound);
            if grade.correct != pair.is_same {
                wrong.push((prediction, gold, grade));
            }
        }
    }
    assert_eq!(wrong, []);
    for profile in [Profile::StrictSound, Profile::Mathruler] {
        eprintln!("{profile:?}: right answers passed, wrong answers passed");
        let table = table(profile, &pairs);
        for (group, row) in &table {
            let Row { same, passed, different, wrongly_passed } = row;
            eprintln!("  {group:25} {passed:4} of {same:4} {wrongly_passed:4} of {different:4}");
        }
        let sum = |count: fn(&Row) -> usize| table.values().map(count).sum::<usize>();
        let (passed, wrongly_passed) = (sum(|row| row.passed), sum(|row| row.wrongly_passed));
        eprintln!(
            "  {:25} {passed:4} of {:4} {wrongly_passed:4} of {:4}",
            "all",
            sum(|r| r.same),
            sum(|r| r.different)
        );
    }
}
