use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

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
        ("{", "EOF while parsing an object at column 1\n"),
        ("7", "a row has to be a JSON object"),
        ("[]", "a row has to be a JSON object"),
        (r#"["1",null,"1",null,null,null,null]"#, "a row has to be a JSON object"),
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

#[test]
fn a_byte_order_mark_is_passed_over() {
    let row = r#"{"prediction":"1","gold":"1"}"#;
    assert_eq!(objects(&test(&["--json"], &format!("\u{feff}{row}\r\n{row}\n")).output()).len(), 2);
    assert_eq!(test(&["--json"], "\u{feff}\n").output(), "");
    test(&["--json"], &format!("{row}\n\u{feff}{row}\n")).fails_with("line 2: ");
}

/// The first row takes no longer than others, as what is set up once is set up before.
#[test]
fn the_first_row_is_not_the_slowest_by_far() {
    let row = r#"{"response":"<think>x</think> \\boxed{\\frac{2}{4}}","gold":"0.5"}"#.to_owned() + "\n";
    let ratio = || {
        let found = objects(&test(&["--json"], &row.repeat(64)).output());
        let mut micros: Vec<u64> = found.iter().map(|row| row["micros"].as_u64().expect("a time")).collect();
        let first = micros[0];
        micros.sort_unstable();
        first as f64 / micros[32].max(20) as f64
    };
    let best = (0..5).map(|_| ratio()).fold(f64::INFINITY, f64::min);
    assert!(best < 20.0, "{best} times the median");
}

/// Whoever reads the output may stop, as `head` does.
#[test]
fn output_need_not_be_read_to_its_end() {
    let rows = file(&"{\"prediction\":\"1\",\"gold\":\"1\"}\n".repeat(10_000));
    let mut child = Command::new(env!("CARGO_BIN_EXE_sightline"))
        .args(["reward", "test", "--json"])
        .arg(rows.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    assert!(first.contains("\"correct\":true"), "{first}");
    let ended = child.wait_with_output().expect("the program ends");
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && errors.is_empty(), "{}: {errors}", ended.status);
}

/// A configuration whose reward consists of these parts.
fn config_of(parts: &str) -> NamedTempFile {
    file(&format!("model = 'm'\noutput = 'o'\n[data]\ntrain = 't'\n{parts}"))
}

/// Reads eight requests before it replies to any: rows that come one by one would never get there.
const EIGHT: &str = r#"
while read -r a; do
  n=1; all=$a
  while [ $n -lt 8 ]; do read -r a || exit 0; all="$all
$a"; n=$((n + 1)); done
  echo batch >> LOG
  echo "$all" | while read -r line; do
    id=${line#*:}; id=${id%%,*}; answer=${line##*\"answer\":\"}
    echo "{\"id\":$id,\"score\":${answer%%\"*}}"
  done
done
"#;

/// Programs at work side by side are given batches, and verdicts stay in order.
#[test]
fn programs_are_asked_about_many_rows_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("batches");
    let command = EIGHT.replace("LOG", &log.display().to_string());
    let config = config_of(&format!(
        "[[reward.parts]]\nkind = 'subprocess'\nname = 'mine'\ncommand = ['sh', '-c', '''{command}''']\n\
         limits = {{ batch = 8, workers = 2, timeout = 20, retries = 0 }}\n"
    ));
    let path = config.path().display().to_string();
    let rows: Vec<String> = (0..320).map(|gold| format!("{{\"response\":\"x\",\"gold\":\"{gold}\"}}\n")).collect();
    let found = objects(&test(&["--json", "--config", &path], &rows.concat()).output());
    let scores: Vec<f64> = found.iter().map(|row| row["parts"]["mine"].as_f64().expect("a score")).collect();
    assert_eq!(scores, (0..320).map(f64::from).collect::<Vec<_>>());
    assert_eq!(std::fs::read_to_string(&log).expect("it was asked").lines().count(), 40);
    // What came before a bad row is answered here too.
    let ended = test(&["--json", "--config", &path], &(rows[..8].concat() + "[]\n"));
    ended.fails_with("line 9: a row has to be a JSON object");
    assert_eq!(objects(&ended.output).len(), 8);
}

#[test]
fn a_reward_that_grades_nothing_fails() {
    let config = config_of(
        "[[reward.parts]]\nkind = 'subprocess'\nname = 'mine'\ncommand = ['sh', '-c', 'exit 3']\nlimits = { retries = 0 }\n",
    );
    let path = config.path().display().to_string();
    let row = "{\"response\":\"x\",\"gold\":\"1\"}\n";
    for more in [&["--json"][..], &[]] {
        let ended = test(&[&["--config", &path], more].concat(), &row.repeat(3));
        ended.fails_with("none of the rows was graded, of 3; the first: reward `mine`");
        assert!(ended.output.lines().count() >= 3, "{}", ended.output);
    }
}

#[test]
fn a_reward_that_rows_cannot_tell_is_refused() {
    let parts = "[[reward.parts]]\nkind = 'answer'\n[[reward.parts]]\nkind = 'group-length'\nname = 'short'\n";
    let ended = test(&["--config", &config_of(parts).path().display().to_string()], "");
    ended.fails_with("`short` compares the responses to one prompt");
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
