//! Programs as rewards.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reward::{RawLimits, Reason, WeightedSum};

use crate::round::{impatient, judge, patient, program, reasons, rewards, script};

/// Shell functions: `reads` takes a request apart into `id` and `answer`, `says` replies with a score.
const SPEAK: &str = r#"
reads() { read -r line || exit 0; id=${line#*:}; id=${id%%,*}; answer=${line##*\"answer\":\"}; answer=${answer%%\"*}; }
says() { echo "{\"id\":$1,\"score\":$2}"; }
"#;

fn speaking(body: &str, limits: RawLimits) -> WeightedSum {
    script(&format!("{SPEAK}{body}"), limits)
}

/// Each answer gets the score that the program gave to it, whichever of the programs took it and however often it is asked.
#[test]
fn scores_find_their_answers() {
    let responses = vec!["a\n\"b\\"; 45];
    let limits = RawLimits { workers: 3, batch: 7, ..patient() };
    let reward = speaking("while :; do reads; says $id $answer; done", limits);
    for _ in 0..3 {
        let expected: Vec<f32> = (0..45_u8).map(|index| 2.0 * f32::from(index)).collect();
        assert_eq!(rewards(&judge(&reward, &responses)), expected);
    }
    assert_eq!(judge(&reward, &[]), []);
}

#[test]
fn replies_may_come_in_any_order() {
    let reward = speaking("while :; do reads; a=$id; b=$answer; reads; says $id $answer; says $a $b; done", patient());
    assert_eq!(rewards(&judge(&reward, &["x"; 8])), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]);
}

/// Scores and parts as they may be written, and what the verdict makes of them.
#[test]
fn replies_are_read() {
    let reply = |fields: &str| {
        let reward = script(&format!("{SPEAK}reads; printf '{{\"id\":%d,%s}}\n' $id '{fields}'"), patient());
        judge(&reward, &["x"]).remove(0)
    };
    for (fields, overall, accuracy) in [
        (r#""score":0.75"#, 1.5, 0.75),
        (r#""score":true"#, 2.0, 1.0),
        (r#""score":false,"why":"it is wrong""#, 0.0, 0.0),
        (r#""score":3"#, 6.0, 1.0),
        (r#""score":-3,"error":null"#, -6.0, 0.0),
        (r#""score":0.5,"parts":{"accuracy":1,"style":-2}"#, 1.0, 1.0),
        (r#""parts":{"accuracy":false,"style":0.5}"#, 1.0, 0.0),
        (r#""parts":{"style":0.25,"taste":0.5}"#, 1.5, 0.75),
    ] {
        let verdict = reply(fields).expect(fields);
        assert_eq!((verdict.overall, verdict.accuracy), (overall, accuracy), "{fields}");
        assert_eq!(verdict.part("mine"), Some(overall / 2.0), "{fields}");
    }
    let most: Vec<String> = (0..32).map(|index| format!("\"{index:064}\":1")).collect();
    assert_eq!(reply(&format!(r#""parts":{{{}}}"#, most.join(","))).expect("as many as may be").overall, 64.0);
    let verdict = reply(r#""score":0.5,"parts":{"accuracy":1,"style":-2}"#).expect("a score");
    let parts: Vec<_> = verdict.parts.iter().map(|part| (part.name.as_str(), part.value)).collect();
    assert_eq!(parts, [("mine", 0.5), ("mine/accuracy", 1.0), ("mine/style", -2.0)]);
}

/// What a program says of one answer is said, even that it cannot tell; it is not asked again.
#[test]
fn a_program_may_decline() {
    let long = "n".repeat(65);
    let many: Vec<String> = (0..33).map(|index| format!("\"p{index}\":1")).collect();
    for (fields, word) in [
        (r#""error":"no such theorem""#.to_owned(), "no such theorem"),
        (r#""score":null"#.to_owned(), "neither a `score` nor `parts`"),
        (r#""parts":{}"#.to_owned(), "neither a `score` nor `parts`"),
        (r#""scores":1"#.to_owned(), "neither a `score` nor `parts`"),
        (r#""parts":{"style":"good"}"#.to_owned(), "`style` is \"good\""),
        (r#""score":1,"parts":{"style":null}"#.to_owned(), "`style` is null"),
        (r#""score":1e300"#.to_owned(), "inf"),
        (format!(r#""score":1,"parts":{{"{long}":1}}"#), "64 bytes"),
        (format!(r#""score":1,"parts":{{{}}}"#, many.join(",")), "32 parts"),
    ] {
        let body = format!("reads; printf '{{\"id\":%d,%s}}\n' $id '{fields}'; reads; says $id 1");
        let limits = RawLimits { retries: 2, ..patient() };
        let outcomes = judge(&speaking(&body, limits), &["x", "y"]);
        let ungraded = outcomes[0].as_ref().expect_err(&fields);
        assert!(matches!(ungraded.reason, Reason::Declined { .. }), "{ungraded}");
        assert!(ungraded.to_string().contains(word) && ungraded.to_string().contains("`mine`"), "{ungraded}");
        assert_eq!(rewards(&outcomes[1..]), [2.0]);
    }
}

#[test]
fn silence_is_not_waited_for() {
    let text = "x".repeat(1 << 20);
    let text = text.as_str();
    for body in ["while read -r line; do :; done", "exec sleep 60", "sleep 60 & exec sleep 60", "exec yes ''"] {
        let outcomes = judge(&script(body, impatient()), &[text; 2]);
        assert_eq!(reasons(&outcomes), vec![Reason::Silent { seconds: 0.5 }; 2], "{body}");
    }
}

/// One deadline holds for all answers of a round, those that are waited for and those that were never sent.
#[test]
fn a_round_has_a_deadline() {
    let limits = RawLimits { timeout: 5.0, deadline: 0.4, retries: 5, ..impatient() };
    let started = Instant::now();
    let outcomes = judge(&script("exec sleep 60", limits), &["x"; 40]);
    assert!(started.elapsed() < Duration::from_secs(4), "it took {:?}", started.elapsed());
    assert_eq!(reasons(&outcomes), vec![Reason::Deadline { seconds: 0.4 }; 40]);
}

#[test]
fn the_end_of_a_program_is_told() {
    let outcomes = judge(&script("echo first >&2; echo 'module not found' >&2; exit 3", impatient()), &["x"; 2]);
    for outcome in &outcomes {
        let text = outcome.as_ref().expect_err("it ended").to_string();
        assert!(text.contains('3') && text.contains("ends with: module not found"), "{text}");
    }
    assert!(matches!(&reasons(&outcomes)[0], Reason::Ended { status } if status.contains('3')));
    let killed = judge(&script("kill -9 $$", impatient()), &["x"]);
    assert!(matches!(&reasons(&killed)[0], Reason::Ended { status } if status.contains('9')), "{killed:?}");
    let mute = judge(&script("exec >&-; sleep 60", impatient()), &["x"]);
    assert_eq!(reasons(&mute), [Reason::Ended { status: "still running".to_owned() }]);
}

#[test]
fn floods_are_cut_off() {
    let limits = RawLimits { max_reply_bytes: 1000, ..impatient() };
    let outcomes = judge(&script("exec cat /dev/zero", limits), &["x"; 2]);
    assert_eq!(reasons(&outcomes), vec![Reason::TooLong { limit: 1000 }; 2]);
    let outcomes = judge(&script("exec yes", limits), &["x"]);
    assert!(matches!(&reasons(&outcomes)[0], Reason::Nonsense { message } if message.ends_with(": y")), "{outcomes:?}");
    // A reply of just so many bytes, and of one more.
    let padded = |bytes: usize| {
        let body = "reads; reply=$(says $id 1); printf '%s' \"$reply\"; printf '%*s\n' $((BYTES - ${#reply})) ''";
        judge(&speaking(&body.replace("BYTES", &bytes.to_string()), RawLimits { timeout: 5.0, ..limits }), &["x"])
    };
    assert_eq!(rewards(&padded(1000)), [2.0]);
    assert_eq!(reasons(&padded(1001)), [Reason::TooLong { limit: 1000 }]);
}

#[test]
fn nonsense_is_quoted() {
    let long = "z".repeat(300);
    for line in
        ["hello", "[]", r#"{"id":0,"score":NaN}"#, r#"{"score":1}"#, r#"{"id":-1,"score":1}"#, r#"{"id":0"#, &long]
    {
        let outcomes = judge(&script(&format!("read -r line; echo '{line}'; sleep 60"), impatient()), &["x"]);
        let Reason::Nonsense { message } = &reasons(&outcomes)[0] else { panic!("{line}: {outcomes:?}") };
        assert!(message.contains(&line[..line.len().min(120)]) && message.len() < 300, "{message}");
    }
}

/// A program that replies twice, or to what it was not asked, is not believed.
#[test]
fn replies_that_were_not_asked_for_end_a_program() {
    let twice = judge(&speaking("while :; do reads; says $id 1; says $id 0; done", impatient()), &["x"; 2]);
    assert!(twice[0].is_ok(), "the first reply came first");
    assert_eq!(reasons(&twice[1..]), [Reason::Unasked { id: 0 }]);
    let other = judge(&speaking("while :; do reads; says $((id + 7)) 1; done", impatient()), &["x"; 2]);
    assert_eq!(reasons(&other), vec![Reason::Unasked { id: 7 }; 2]);
}

/// A reply that comes too late for its round is not taken for one of the next: the program is replaced.
#[test]
fn late_replies_do_not_reach_the_next_round() {
    let body = "while :; do reads; says $id 1; says $id 0; done";
    let reward = speaking(body, RawLimits { retries: 3, ..patient() });
    for _ in 0..4 {
        assert_eq!(rewards(&judge(&reward, &["x"])), [2.0]);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn standard_error_is_free() {
    let noise = "i=0; while [ $i -lt 300 ]; do printf '%01000d\n' $i >&2; i=$((i + 1)); done;";
    let reward = speaking(&format!("while :; do reads; {noise} says $id 1; done"), patient());
    assert_eq!(rewards(&judge(&reward, &["x"; 3])), [2.0; 3]);
}

/// An answer that breaks the program is given up; those sent with it are sent again, to a new one.
#[test]
fn one_answer_breaks_no_other() {
    let body = "while :; do reads; case $line in *poison*) exit 1;; esac; says $id $answer; done";
    let limits = RawLimits { retries: 1, batch: 8, ..patient() };
    let outcomes = judge(&speaking(body, limits), &["a", "b", "poison", "c", "d", "poison", "e", "f", "g"]);
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(verdict) => assert_eq!(verdict.overall, 2.0 * index as f32),
            Err(ungraded) => assert!(matches!(ungraded.reason, Reason::Ended { .. }), "{ungraded}"),
        }
        assert_eq!(outcome.is_err(), index == 2 || index == 5, "{index}: {outcome:?}");
    }
}

/// An answer is sent once and then as often as retries are allowed.
#[test]
fn retries_are_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for retries in [0, 2] {
        let log = folder.path().join(retries.to_string());
        let body = format!("read -r line; echo asked >> {}; exit 1", log.display());
        let outcomes = judge(&script(&body, RawLimits { retries, ..patient() }), &["x"]);
        assert!(matches!(reasons(&outcomes)[0], Reason::Ended { .. }));
        assert_eq!(std::fs::read_to_string(&log).expect("it was asked").lines().count(), retries + 1);
    }
}

/// A program that ends after each reply is started anew, and one whose file is gone is missed.
#[test]
fn programs_are_replaced() {
    let reward = speaking("reads; says $id 1", RawLimits { batch: 1, retries: 2, ..patient() });
    assert_eq!(rewards(&judge(&reward, &["x"; 2])), [2.0; 2]);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("judge");
    std::fs::write(&path, format!("#!/bin/sh\n{SPEAK}reads; says $id 1\n")).expect("a writable folder");
    let made = Command::new("chmod").arg("+x").arg(&path).status().expect("chmod runs");
    assert!(made.success());
    let text = path.display().to_string();
    let reward = program(&[&text], RawLimits { retries: 1, ..patient() }).expect("it can be started");
    assert_eq!(rewards(&judge(&reward, &["x"])), [2.0]);
    std::fs::remove_file(&path).expect("it is there");
    std::thread::sleep(Duration::from_millis(50));
    let gone = judge(&reward, &["x"]);
    assert!(matches!(&reasons(&gone)[0], Reason::NotStarted { program, .. } if *program == text), "{gone:?}");
}

/// Whether there is a process of that number, be it dead and not yet taken leave of.
fn exists(process: &str) -> bool {
    Command::new("sh").args(["-c", &format!("kill -0 {process} 2> /dev/null")]).status().expect("a shell").success()
}

#[track_caller]
fn assert_gone(file: &Path) {
    let until = Instant::now() + Duration::from_secs(10);
    for process in std::fs::read_to_string(file).expect("the program wrote it").split_whitespace() {
        while exists(process) {
            assert!(Instant::now() < until, "{process} is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Nothing of a program outlives its reward: not it, nor what it started, nor its entry among the processes.
#[test]
fn programs_end_with_their_reward() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, body) in [("polite", "while :; do reads; says $id 1; done"), ("stubborn", "reads; says $id 1; sleep 60")]
    {
        let file = folder.path().join(name);
        let body = format!("sleep 60 & echo $$ $! > {}; {body}", file.display());
        let reward = speaking(&body, patient());
        assert_eq!(rewards(&judge(&reward, &["x"])), [2.0]);
        let own = std::fs::read_to_string(&file).expect("the program wrote it");
        assert!(own.split_whitespace().all(exists) && own.split_whitespace().count() == 2);
        let started = Instant::now();
        drop(reward);
        assert!(started.elapsed() < Duration::from_secs(5), "dropping took {:?}", started.elapsed());
        assert_gone(&file);
    }
    // One that fails is gone at once.
    let file = folder.path().join("failing");
    let reward = script(&format!("echo $$ > {}; exec sleep 60", file.display()), impatient());
    assert_eq!(reasons(&judge(&reward, &["x"])).len(), 1);
    assert_gone(&file);
}
