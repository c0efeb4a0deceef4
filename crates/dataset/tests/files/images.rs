//! The ways to give an image.

use dataset::{Dataset, DatasetConfig, DatasetError, ImageSource};
use serde_json::{Value, json};

use crate::tables::{problem_of, write_json_lines};

fn image(given: &Value) -> Result<ImageSource, DatasetError> {
    let row = json!({"problem": "<image>p", "images": [given], "answer": "a"});
    Ok(problem_of(&row, "standard")?.images.remove(0))
}

#[test]
fn bytes_come_in_several_writings() {
    for given in [
        json!("data:image/png;base64,AAECAw=="),
        json!("data:;base64,AAEC\nAw=="),
        json!({"bytes": "AAECAw=="}),
        json!({"bytes": "AAECAw==", "path": "elsewhere.png"}),
        json!({"bytes": null, "path": "data:image/png;base64,AAECAw=="}),
        json!({"url": "data:image/png;base64,AAECAw=="}),
        json!({"image_url": {"url": "data:image/png;base64,AAECAw=="}}),
        json!({"image": {"bytes": "AAECAw=="}}),
    ] {
        let image = image(&given).unwrap_or_else(|error| panic!("{given}: {error}"));
        assert_eq!(image, ImageSource::Bytes(vec![0, 1, 2, 3]), "{given}");
        assert_eq!(format!("{image:?}"), "Bytes(4 bytes)");
    }
}

#[test]
fn what_is_no_image_is_named() {
    for (given, expected) in [
        (json!(5), "5 is no image"),
        (json!(null), "null is no image"),
        (json!(true), "true is no image"),
        (json!([]), "[] is no image"),
        (json!({}), "{} is no image"),
        (json!({"bytes": null, "path": null}), "{bytes: null, path: null} is no image"),
        (json!({"bytes": 5}), "5 is no image"),
        (json!({"bytes": "A*"}), "\"A*\" is no image"),
        (json!("data:image/png,AAECAw=="), "\"data:image/png,AAECAw==\" is no image"),
        (json!("data:image/png;base64,A"), "is no image"),
        (json!("https://example.org/1.png"), "the image https://example.org/1.png is not here"),
        (json!("http://example.org/1.png"), "is not here"),
        (json!("nothing.png"), "nothing.png"),
        (json!({"path": "nothing.png"}), "nothing.png"),
        (json!(""), "there is no image file"),
    ] {
        let error = image(&given).expect_err("no image");
        assert!(error.is_of_row() && error.to_string().contains(expected), "{given}: {error}");
        assert!(error.to_string().contains("row.jsonl:1: "), "{error}");
    }
    // What stands there is shown as far as it matters.
    let long = image(&json!(format!("data:{}", "x".repeat(10_000)))).expect_err("no image").to_string();
    assert!(long.len() < 300 && long.contains('…'), "{long}");
}

/// Relative paths start beside the file, or where they are said to; absolute ones stand for themselves.
#[test]
fn paths_start_somewhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("images")).expect("a writable folder");
    std::fs::write(path("1.png"), "").expect("a writable folder");
    std::fs::write(path("images/1.png"), "").expect("a writable folder");
    let absolute = path("images/1.png").display().to_string();
    let images = json!(["1.png", absolute, format!("file://{absolute}")]);
    let rows = [json!({"problem": "<image><image><image>", "images": images, "answer": "a"})];
    write_json_lines(&path("rows.jsonl"), &rows);
    for (image_folder, first) in [(None, "1.png"), (Some(path("images")), "images/1.png")] {
        let config = DatasetConfig { files: path("rows.jsonl").into(), image_folder, ..DatasetConfig::default() };
        let problem = Dataset::open(&config).expect("a file").problem(0).expect("a problem");
        let expected = [first, "images/1.png", "images/1.png"].map(|name| ImageSource::File(path(name)));
        assert_eq!(problem.images, expected);
    }
}

/// A single image need not be a list, and markers are counted for it.
#[test]
fn one_image_stands_alone() {
    let row = |problem: &str| json!({"problem": problem, "images": {"bytes": "AAECAw=="}, "answer": "a"});
    assert_eq!(problem_of(&row("<image>p"), "standard").expect("one").images.len(), 1);
    let error = problem_of(&row("p"), "standard").expect_err("no marker");
    assert!(matches!(error, DatasetError::MarkerCount { markers: 0, images: 1, .. }), "{error}");
    assert_eq!(problem_of(&row("p"), "mmk12").expect("the image comes first").problem, "<image>p");
    let error = problem_of(&row("<image>p<image>"), "mmk12").expect_err("two markers");
    assert!(matches!(error, DatasetError::MarkerCount { markers: 2, images: 1, .. }), "{error}");
}
