//! Reading what a run wrote, whole or not.

use std::fs;
use std::path::PathBuf;

use inspector::{InspectorError, read_metrics, read_rollouts};
use tempfile::TempDir;

fn line(step: usize, response: usize, text: &str) -> String {
    format!(
        r#"{{"step":{step},"group":0,"response":{response},"problem":"p","answer":"a","text":"{text}","finish":"length","reward":0.5,"accuracy":0}}"#
    )
}

fn file(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("step-1.jsonl");
    fs::write(&path, content).expect("written");
    (folder, path)
}

fn texts(content: &str) -> Vec<String> {
    let (_folder, path) = file(content);
    read_rollouts(&path).expect("read").into_iter().map(|record| record.text).collect()
}

#[test]
fn a_last_line_without_its_end_is_passed_over() {
    let whole = format!("{}\n\n{}\n", line(1, 0, "x"), line(1, 1, "y"));
    assert_eq!(texts(&whole), ["x", "y"]);
    for cut in 2..line(1, 1, "y").len() {
        assert_eq!(texts(&whole[..whole.len() - cut]), ["x"], "{cut} bytes short");
    }
    assert_eq!(texts(whole.trim_end()), ["x", "y"], "whole but for the line break");
    assert!(texts("").is_empty());
}

#[test]
fn a_bad_line_is_named() {
    for (bad, reason) in [
        ("{\"step\":1}", "missing field `group`"),
        ("nonsense", "expected ident"),
        ("\u{0}", "expected value"),
        (&line(1, 0, "x").replace("0.5", "\"much\""), "invalid type: string \"much\""),
    ] {
        let (_folder, path) = file(&format!("{}\n{bad}\n{}\n", line(1, 0, "x"), line(1, 1, "y")));
        let error = read_rollouts(&path).expect_err("a bad line");
        assert!(matches!(&error, InspectorError::Line { line: 2, .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.starts_with(&format!("{}:2: not a record: {reason}", path.display())), "{said}");
    }
    let (_folder, path) = file("\u{ff}");
    assert!(read_rollouts(&path.with_extension("none")).expect_err("no file").to_string().contains("step-1.none"));
}

#[test]
fn lists_of_other_lengths_are_bad_lines() {
    let tokens = r#","tokens":{"ids":[1,2],"texts":["a","b"],"log_probs":[-1,-2],"sampling_log_probs":[-1],"entropy":[1,1],"advantage":[0,0],"gate":[1,1]}}"#;
    let (_folder, path) = file(&(line(1, 0, "x").trim_end_matches('}').to_owned() + tokens + "\n"));
    let said = read_rollouts(&path).expect_err("a short list").to_string();
    assert!(said.contains(":1: `sampling_log_probs` has 1 values for 2 tokens"), "{said}");
}

#[test]
fn what_is_not_a_number_reads_as_nan() {
    let (_folder, path) = file(&line(1, 0, "x").replace("0.5", "null"));
    let records = read_rollouts(&path).expect("read");
    assert!(records[0].reward.is_nan());
}

#[test]
fn a_step_taken_again_replaces_the_first_try() {
    let lines = [line(1, 0, "a"), line(1, 1, "b"), line(1, 0, "c")];
    assert_eq!(texts(&(lines.join("\n") + "\n")), ["c"], "what follows of the first try is not mixed in");
    let lines = [line(1, 0, "a"), line(2, 0, "b"), line(2, 1, "x"), line(2, 0, "c"), line(2, 1, "d")];
    assert_eq!(texts(&(lines.join("\n") + "\n")), ["a", "c", "d"]);
}

#[test]
fn a_folder_is_read_by_step() {
    let folder = tempfile::tempdir().expect("a folder");
    for step in [10, 9, 2] {
        let path = folder.path().join(format!("step-{step}.jsonl"));
        fs::write(path, line(step, 0, "x") + "\n").expect("written");
    }
    fs::write(folder.path().join("step-3.jsonl.part"), "nonsense").expect("written");
    fs::write(folder.path().join("notes.txt"), "nonsense").expect("written");
    let steps: Vec<usize> = read_rollouts(folder.path()).expect("read").iter().map(|record| record.step).collect();
    assert_eq!(steps, [2, 9, 10]);
}

#[test]
fn metrics_keep_the_later_of_a_step_and_of_a_validation() {
    let (_folder, path) = file(concat!(
        "{\"step\":1,\"reward/overall\":0.1}\n",
        "{\"step\":2,\"reward/overall\":0.2}\n",
        "{\"step\":2,\"val/accuracy\":0.4}\n",
        "{\"step\":2,\"reward/overall\":0.3}\n",
        "{\"step\":2,\"val/accuracy\":0.4,\"timing_s/testing\":2}\n",
        "{\"step\":2,\"timing_s/testing\":1,\"val/accuracy\":0.5}\n",
        "{\"step\":3,\"reward/over"
    ));
    let lines = read_metrics(&path).expect("read");
    let told: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).expect("JSON")).collect();
    assert_eq!(
        told,
        [
            "{\"step\":1,\"reward/overall\":0.1}",
            "{\"step\":2,\"reward/overall\":0.3}",
            "{\"step\":2,\"timing_s/testing\":1,\"val/accuracy\":0.5}"
        ]
    );
    for bad in ["{\"step\":-1}\n", "{}\n", "[1]\n"] {
        let (_folder, path) = file(bad);
        assert!(matches!(read_metrics(&path), Err(InspectorError::Line { line: 1, .. })), "{bad}");
    }
}

/// A life that was killed at step 6 leaves nothing in a run that started again and is at step 3.
#[test]
fn metrics_of_abandoned_steps_are_left_out() {
    let own = |step: u64, reward: u64| format!("{{\"step\":{step},\"reward/overall\":{reward}}}\n");
    let validation = |step: u64| format!("{{\"step\":{step},\"val/accuracy\":1}}\n");
    let kept = |content: &str| {
        let (_folder, path) = file(content);
        let number = |line: &serde_json::Map<String, serde_json::Value>, name| {
            line.get(name).and_then(serde_json::Value::as_u64)
        };
        let lines = read_metrics(&path).expect("read");
        lines.iter().map(|line| (number(line, "step"), number(line, "reward/overall"))).collect::<Vec<_>>()
    };
    let first: String = [validation(0), own(1, 1), own(2, 1), own(3, 1), validation(3), own(4, 1), own(5, 1)].concat();
    let anew = first.clone() + &[own(1, 2), own(2, 2), own(3, 2)].concat();
    let of = |step, reward| (Some(step), Some(reward));
    assert_eq!(kept(&anew), [(Some(0), None), of(1, 2), of(2, 2), of(3, 2)]);
    // A validation that is made up for after a resume leaves its step's own line, and nothing of later ones.
    assert_eq!(kept(&(first + &validation(3))), [(Some(0), None), of(1, 1), of(2, 1), of(3, 1), (Some(3), None)]);
}
