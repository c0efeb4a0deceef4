//! What is too large, at the very boundary.

use std::path::Path;

use dataset::{Dataset, DatasetConfig, DatasetError, Limits, Problem, Template};
use serde_json::json;

use crate::tables::{PLAIN, Written, write_json_lines, write_parquet};

fn first(path: &Path, limits: Limits) -> Result<Problem, DatasetError> {
    Dataset::open(&DatasetConfig { files: path.into(), limits, ..DatasetConfig::default() })?.problem(0)
}

/// Taken at the limit, and refused one below it with an error that says both numbers and, if it is about the row, names
/// it.
#[track_caller]
fn boundary(path: &Path, value: u64, limits: impl Fn(u64) -> Limits) -> DatasetError {
    first(path, limits(value)).expect("at the limit");
    let error = first(path, limits(value - 1)).expect_err("above the limit");
    let text = error.to_string();
    assert!(text.contains(&format!("{value} ")) && text.contains(&format!("the limit is {}", value - 1)), "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    error
}

#[test]
fn images_of_a_problem() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.jsonl");
    let images = vec!["data:image/png;base64,AAECAw=="; 3];
    write_json_lines(&path, &[json!({"problem": "<image><image><image>", "images": images, "answer": "a"})]);
    let error = boundary(&path, 3, |images| Limits { images: images as usize, ..Limits::default() });
    assert!(matches!(error, DatasetError::TooManyImages { images: 3, limit: 2, .. }) && error.is_of_row(), "{error}");
}

#[test]
fn bytes_of_an_image_wherever_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("five.png"), [0; 5]).expect("a writable folder");
    let limits = |image_bytes| Limits { image_bytes, ..Limits::default() };
    for (image, shown) in [
        (json!("five.png"), "five.png"),
        (json!("data:image/png;base64,AAAAAAA="), "in the row"),
        (json!({"bytes": "AAAAAAA="}), "in the row"),
    ] {
        write_json_lines(&path("rows.jsonl"), &[json!({"problem": "<image>", "images": [image], "answer": "a"})]);
        let error = boundary(&path("rows.jsonl"), 5, limits);
        assert!(matches!(&error, DatasetError::ImageBytes { image, .. } if image.ends_with(shown)), "{error}");
        assert!(error.is_of_row());
    }
    let row = Written { text: "<image>".to_owned(), images: vec![vec![0; 5]], answer: "a".to_owned(), teacher: None };
    write_parquet(&path("rows.parquet"), &[row], PLAIN);
    assert!(boundary(&path("rows.parquet"), 5, limits).is_of_row());
}

#[test]
fn bytes_of_a_row() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let limits = |row_bytes| Limits { row_bytes, ..Limits::default() };
    let row = r#"{"problem": "p", "answer": "a"}"#;
    std::fs::write(path("rows.jsonl"), row).expect("a writable folder");
    assert!(boundary(&path("rows.jsonl"), row.len() as u64, limits).is_of_row());
    std::fs::write(path("rows.json"), format!(" [{row}, {row}] ")).expect("a writable folder");
    assert!(boundary(&path("rows.json"), row.len() as u64, limits).is_of_row());

    // One byte of text and one of the answer, five of the image, two of the teacher's.
    let row = |images: Vec<Vec<u8>>| Written {
        text: format!("p{}", "<image>".repeat(images.len())),
        images,
        answer: "a".to_owned(),
        teacher: Some("tt".to_owned()),
    };
    write_parquet(&path("rows.parquet"), &[row(vec![vec![0; 5]]), row(Vec::new())], PLAIN);
    let error = boundary(&path("rows.parquet"), 1 + 7 + 1 + 5 + 2, limits);
    assert!(matches!(error, DatasetError::RowTooLarge { .. }) && error.is_of_row(), "{error}");
    // Its neighbours are read all the same.
    let config = DatasetConfig { files: path("rows.parquet").into(), limits: limits(4), ..DatasetConfig::default() };
    let dataset = Dataset::open(&config).expect("the file is fine");
    assert!(dataset.problem(0).is_err());
    assert_eq!(dataset.problem(1).expect("it is small").answer, "a");
}

#[test]
fn bytes_of_a_list() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.json");
    let list = "\u{feff} \n[{\"problem\": \"p\", \"answer\": \"a\"}]\n";
    std::fs::write(&path, list).expect("a writable folder");
    let limits = |list_bytes| Limits { list_bytes, ..Limits::default() };
    let error = boundary(&path, list.len() as u64, limits);
    assert!(matches!(error, DatasetError::ListTooLarge { .. }) && !error.is_of_row(), "{error}");
    // Lines under the name of a list are read one by one.
    std::fs::write(&path, "\u{feff}\n{\"problem\": \"p\", \"answer\": \"a\"}\n").expect("a writable folder");
    assert_eq!(first(&path, limits(1)).expect("no list").answer, "a");
}

#[test]
fn bytes_of_a_template() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("long.jinja");
    let name = path.display().to_string();
    let most = Template::MAX_BYTES as usize;
    let text = |bytes: usize| format!("{{{{ content }}}}{}", "x".repeat(bytes - "{{ content }}".len()));
    std::fs::write(&path, text(most)).expect("a writable folder");
    assert!(Template::find(&name).expect("at the limit").render("?").expect("renders").len() >= most - 13);
    std::fs::write(&path, text(most + 1)).expect("a writable folder");
    let error = Template::find(&name).expect_err("above the limit").to_string();
    assert!(error.contains("65537 bytes") && error.contains("limit is 65536"), "{error}");
    let error = Template::new(&text(most + 1)).expect_err("above the limit").to_string();
    assert!(error.contains("65537 bytes") && error.contains("limit is 65536"), "{error}");
}
