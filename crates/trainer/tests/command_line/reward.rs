use std::io::Write as _;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::program::{Ended, sightline};

/// Runs `reward test` on standard input.
fn test(arguments: &[&str], input: &str) -> Ended {
    sightline(&[&["reward", "test", "-"], arguments].concat(), input)
}

fn objects(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

const ROWS: &str = r#"
{"prediction":"2/4","gold":"1/2","expected":true,"category":"fraction","id":17}
{"prediction":"0.5","gold":"1/3","expected":false,"category":"fraction"}

{"response":"<think>Half of it.</think> So \\boxed{0.5}.","gold":0.5,"expected":true,"category":"decimal"}
{"response":"\\boxed{7} or \\boxed{8}","gold":"7","expected":false}
{"response":"No idea.","gold":"7","expected":true}
{"prediction":7,"gold":"7"}
"#;

#[test]
fn rows_are_judged_in_order() {
    let found = objects(&test(&["--json"], ROWS).output());
    let correct: Vec<bool> = found.iter().map(|row| row["correct"].as_bool().expect("judged")).collect();
    assert_eq!(correct, [true, false, true, false, false, true]);
    let parts: Vec<&Value> = found.iter().map(|row| &row["parts"]).collect();
    assert_eq!(parts[0], &json!({ "accuracy": 1.0 }));
    assert_eq!(parts[2], &json!({ "accuracy": 1.0, "format": 1.0 }));
    assert_eq!(parts[3], &json!({ "accuracy": 0.0, "format": 0.0 }));
    for row in &found {
        let fields: Vec<&String> = row.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["correct", "parts", "micros"]);
        assert!(row["micros"].as_u64().is_some_and(|micros| micros < 10_000_000), "{row}");
    }
}

/// The released grader wants a fraction reduced.
#[test]
fn the_profile_is_chosen() {
    let correct = |profile: &str| {
        let found = objects(&test(&["--json", "--profile", profile], ROWS).output());
        found.iter().map(|row| row["correct"].as_bool().expect("judged")).collect::<Vec<_>>()
    };
    assert_eq!(correct("strict-sound"), [true, false, true, false, false, true]);
    assert_eq!(correct("mathruler"), [false, false, true, false, false, true]);
    test(&["--profile", "lenient"], ROWS).fails_with("lenient");
}

/// People see each row, what disagrees, and sums by category.
#[test]
fn disagreements_are_counted() {
    let output = test(&[], ROWS).output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 6 + 3 + 3, "{output}");
    assert!(lines[0].contains("     2  right") && lines[0].contains("\"2/4\" for \"1/2\""), "{output}");
    assert!(lines[4].contains("wrong") && lines[4].ends_with("REFUSED THOUGH RIGHT"), "{output}");
    assert_eq!(lines[6], "6 rows: 3 right, 3 wrong, 0 ungraded");
    let agreement = "agreement with the 5 expected verdicts: 80.0 %; 0 accepted though wrong, 1 refused though right";
    assert_eq!(lines[7], agreement);
    assert!(lines[8].starts_with("time: ") && lines[8].contains("(line "), "{output}");
    let table: Vec<Vec<&str>> = lines[9..].iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(table[0][..3], ["category", "rows", "right"]);
    assert_eq!(table[1], ["decimal", "1", "1", "100.0", "%", "0", "0"]);
    assert_eq!(table[2], ["fraction", "2", "1", "100.0", "%", "0", "0"]);

    let wrong = test(&[], "{\"prediction\":\"1\",\"gold\":\"1\",\"expected\":false}\n").output();
    assert!(wrong.contains("ACCEPTED THOUGH WRONG") && wrong.contains("0.0 %; 1 accepted though wrong"), "{wrong}");
    let unknown = test(&[], "{\"prediction\":\"1\",\"gold\":\"2\"}").output();
    assert!(unknown.contains("1 rows: 0 right, 1 wrong") && !unknown.contains("agreement"), "{unknown}");
    assert_eq!(test(&[], "\n").output(), "0 rows: 0 right, 0 wrong, 0 ungraded\n");
    assert_eq!(test(&["--json"], "").output(), "");
}

/// The line of the mistake is named, and what came before it is answered.
#[test]
fn bad_rows_are_refused() {
    let good = r#"{"prediction":"1","gold":"1"}"#;
    for (line, word) in [
        ("{", "EOF"),
        ("7", "expected struct"),
        (r#"{"prediction":"1"}"#, "gold"),
        (r#"{"gold":"1"}"#, "neither a `prediction` nor a `response`"),
        (r#"{"gold":"1","prediction":"1","response":"1"}"#, "both"),
        (r#"{"gold":"1","prediction":["1"]}"#, "expected text or a number"),
        (r#"{"gold":null,"prediction":"1"}"#, "expected text or a number"),
        (r#"{"gold":"1","prediction":"1","expected":"yes"}"#, "boolean"),
        (r#"{"gold":"1","prediction":"1","gold":"2"}"#, "duplicate"),
    ] {
        let ended = test(&["--json"], &format!("{good}\n\n{line}\n{good}\n"));
        ended.fails_with("line 3: ");
        ended.fails_with(word);
        assert_eq!(objects(&ended.output).len(), 1, "{line}: the first line is answered");
    }
    let long = format!("{good}\n{{\"prediction\":\"{}\",\"gold\":\"1\"}}\n", "1".repeat(17 << 20));
    test(&["--json"], &long).fails_with("line 2: more than");
    sightline(&["reward", "test", "/no/such/file.jsonl"], "").fails_with("/no/such/file.jsonl");
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("a writable file");
    file
}

/// The reward of a run judges texts, whatever it is made of; a program that gives no verdict fails no row.
#[test]
fn the_reward_of_a_run_can_be_tested() {
    let command = r#"while read -r line; do id=${line#*:}; id=${id%%,*}; case $line in *hard*) say='"error":"too hard"';; *) say='"score":0.5';; esac; echo "{\"id\":$id,$say}"; done"#;
    let config = file(&format!(
        "model = 'm'\noutput = 'o'\n[data]\ntrain = 't'\n[[reward.parts]]\nkind = 'answer'\n[[reward.parts]]\nkind = 'repetition'\nweight = 0.5\n[[reward.parts]]\nkind = 'soft-overlong'\nmax_length = 10\nbuffer = 5\n[[reward.parts]]\nkind = 'subprocess'\nname = 'mine'\ncommand = ['sh', '-c', '''{command}''']\n"
    ));
    let path = config.path().display().to_string();
    let rows = file(concat!(
        "{\"response\":\"no no no no \\\\boxed{1}\",\"gold\":\"1\",\"tokens\":10}\n",
        "{\"response\":\"\\\\boxed{1}\",\"gold\":\"2\",\"problem\":\"a hard one\"}\n",
        "{\"response\":\"\\\\boxed{1}\",\"gold\":\"2\"}\n",
    ));
    let rows_path = rows.path().display().to_string();
    let found = objects(&sightline(&["reward", "test", &rows_path, "--config", &path, "--json"], "").output());
    assert_eq!(found.len(), 3);
    assert_eq!(found[0]["correct"], true);
    let parts = json!({ "accuracy": 1.0, "repetition": -0.333_333_34, "soft-overlong": -1.0, "mine": 0.5 });
    assert_eq!(found[0]["parts"], parts);
    assert_eq!((&found[1]["correct"], &found[1]["parts"]), (&Value::Null, &json!({})));
    assert_eq!(found[1]["ungraded"], "reward `mine`: too hard");
    assert_eq!(found[2]["parts"]["soft-overlong"], 0.0, "one word");
    let shown = sightline(&["reward", "test", &rows_path, "--config", &path], "").output();
    assert!(shown.contains("3 rows: 1 right, 1 wrong, 1 ungraded"), "{shown}");

    let bare = sightline(&["reward", "test", "-", "--config", &path], "{\"prediction\":\"1\",\"gold\":\"1\"}\n");
    bare.fails_with("line 1: the reward of a run judges whole texts; give a `response`");
    let both = sightline(&["reward", "test", "-", "--config", &path, "--profile", "mathruler"], "");
    both.fails_with("cannot be used with");
}
