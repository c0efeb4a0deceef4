//! Laws of reading JSON lines: what was written comes back, and what is wrong is named with file, line and value.

use std::fs;
use std::path::Path;

use dataset::{At, DatasetError, ImageSource, Place, Problem, read_json_lines};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

/// A folder with the images `0.png`, `1.png` and `2.png` in it; the reader only looks whether they are there.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for image in 0..3 {
        fs::write(folder.path().join(format!("{image}.png")), "").expect("an image file");
    }
    folder
}

fn read(folder: &TempDir, text: &str) -> Result<Vec<Problem>, DatasetError> {
    let path = folder.path().join("problems.jsonl");
    fs::write(&path, text).expect("a data file");
    read_json_lines(&path)
}

/// Text that is not blank, with the characters that JSON has to escape.
fn words() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\n\u{e9}\u{1f534} ]{0,12}".prop_map(|text| format!("{text}?"))
}

/// A line of a file, in parts.
#[derive(Clone, Debug)]
struct Line {
    text: String,
    images: Vec<usize>,
    absolute: bool,
    answer: String,
    teacher: Option<String>,
    category: Option<String>,
    blank_lines_before: usize,
}

fn line() -> impl Strategy<Value = Line> {
    let optional = || prop::option::of(words());
    let images = prop::collection::vec(0_usize..3, 0..3);
    (words(), images, any::<bool>(), words(), optional(), optional(), 0_usize..3).prop_map(
        |(text, images, absolute, answer, teacher, category, blank_lines_before)| Line {
            text: format!("{}{text}", "<image>".repeat(images.len())),
            images,
            absolute,
            answer,
            teacher,
            category,
            blank_lines_before,
        },
    )
}

impl Line {
    /// The line as it stands in the file.
    fn json(&self, folder: &Path) -> String {
        let name = |image: &usize| format!("{image}.png");
        let path = |image: &usize| {
            if self.absolute { folder.join(name(image)) } else { name(image).into() }
        };
        json!({
            "source": {"unknown": 1},
            "problem": self.text,
            "images": self.images.iter().map(path).collect::<Vec<_>>(),
            "answer": self.answer,
            "teacher": self.teacher,
            "category": self.category,
        })
        .to_string()
    }

    /// The problem it should become.
    fn problem(&self, folder: &Path, line: usize) -> Problem {
        Problem {
            problem: self.text.clone(),
            system: None,
            images: self.images.iter().map(|image| ImageSource::File(folder.join(format!("{image}.png")))).collect(),
            answer: self.answer.clone(),
            teacher: self.teacher.clone(),
            category: self.category.clone(),
            place: Place { file: folder.join("problems.jsonl"), at: At::Line(line) },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_comes_back(
        lines in prop::collection::vec(line(), 1..6),
        mark in prop::sample::select(vec!["", "\u{feff}"]),
        end in prop::sample::select(vec!["\n", "\r\n"]),
        last_end in any::<bool>(),
    ) {
        let folder = folder();
        let (mut written, mut expected) = (Vec::new(), Vec::new());
        for line in &lines {
            written.extend((0..line.blank_lines_before).map(|_| " \t".to_owned()));
            written.push(line.json(folder.path()));
            expected.push(line.problem(folder.path(), written.len()));
        }
        let text = format!("{mark}{}{}", written.join(end), if last_end { end } else { "" });
        prop_assert_eq!(read(&folder, &text).expect("good lines"), expected);
    }
}

#[test]
fn numbers_become_text() {
    for (number, text) in [
        ("3", "3"),
        ("-3", "-3"),
        ("0.5", "0.5"),
        ("5.0", "5.0"),
        ("1e2", "100.0"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        let line = format!(r#"{{"problem": "p", "answer": {number}}}"#);
        assert_eq!(read(&folder(), &line).expect(number)[0].answer, text);
    }
}

#[test]
fn blank_extras_count_as_absent() {
    let line = r#"{"problem": "p", "answer": "a", "teacher": " ", "category": null}"#;
    let problem = read(&folder(), line).expect("a good line").remove(0);
    assert_eq!((problem.teacher, problem.category), (None, None));
}

/// Every error names the file, the line and what is wrong there.
#[test]
fn errors_say_where_and_what() {
    for (line, parts) in [
        (r#"{"problem": "p", "answer": }"#, vec!["not a problem in JSON", "column"]),
        (r#"["p", "a"]"#, vec!["not a problem in JSON: [\"p\", \"a\"] instead of an object"]),
        (r#"{"problem": "p"}"#, vec!["missing field `answer`"]),
        (r#"{"problem": "p", "answer": "a", "teacher": 5}"#, vec!["the teacher is 5, which is not text"]),
        (r#"{"problem": " ", "answer": "a"}"#, vec!["`problem` is blank"]),
        (r#"{"problem": "p", "answer": " \n"}"#, vec!["`answer` is blank"]),
        (r#"{"problem": "p", "answer": ["a"]}"#, vec![r#"the answer ["a"]"#, "write it as a string"]),
        (r#"{"problem": "p", "answer": null}"#, vec!["missing field `answer`"]),
        (r#"{"problem": "p", "answer": true}"#, vec!["the answer true"]),
        (r#"{"problem": "p", "answer": 36893488147419103233}"#, vec!["the answer 3.68", "write it as a string"]),
        (
            r#"{"problem": "<image><image>", "images": ["0.png"], "answer": "a"}"#,
            vec!["2 `<image>` markers", "1 images"],
        ),
        (r#"{"problem": "p", "images": ["0.png"], "answer": "a"}"#, vec!["0 `<image>` markers", "1 images"]),
        (r#"{"problem": "<image>", "images": ["9.png"], "answer": "a"}"#, vec!["no image file", "9.png"]),
        (r#"{"problem": "<image>", "images": ["."], "answer": "a"}"#, vec!["no image file"]),
    ] {
        let text = format!("{{\"problem\": \"p\", \"answer\": \"a\"}}\n\n{line}\n");
        let message = read(&folder(), &text).expect_err(line).to_string();
        for part in parts.into_iter().chain(["problems.jsonl:3: "]) {
            assert!(message.contains(part), "{message} should contain {part}");
        }
    }
}

#[test]
fn invalid_utf_8_is_an_error_on_its_line() {
    let folder = folder();
    let path = folder.path().join("problems.jsonl");
    fs::write(&path, b"\n{\"problem\": \"\xff\", \"answer\": \"a\"}").expect("a data file");
    let error = read_json_lines(&path).expect_err("not UTF-8");
    assert!(matches!(&error, DatasetError::Json { place: Place { at: At::Line(2), .. }, .. }), "{error}");
    assert!(error.is_of_row());
}

#[test]
fn files_without_problems_are_errors() {
    let folder = folder();
    for text in ["", "\n \r\n", "\u{feff}"] {
        let error = read(&folder, text).expect_err("nothing in it");
        assert!(matches!(error, DatasetError::NoProblems { .. }), "{error}");
    }
    let missing = folder.path().join("missing.jsonl");
    let error = read_json_lines(&missing).expect_err("not there");
    assert!(error.to_string().contains("missing.jsonl"), "{error}");
}
