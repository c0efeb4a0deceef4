//! Files written by `datasets` and pyarrow in the layouts of published data sets.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use dataset::{Dataset, DatasetConfig, DatasetError, ImageSource, Layout, Problem};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::tables::{fixtures, open};

/// What a reader has to find, by file.
fn expected() -> BTreeMap<String, Vec<Value>> {
    let text = fs::read(fixtures().join("parquet/index.json")).expect("the index");
    let index: Value = serde_json::from_slice(&text).expect("JSON");
    let files = index["files"].as_object().expect("files");
    let rows = |file: &Value| file["expected_rows"].as_array().expect("rows").clone();
    files.iter().map(|(name, file)| (name.clone(), rows(file))).collect()
}

fn read(name: &str, layout: &str, image_folder: Option<PathBuf>) -> Vec<Problem> {
    let files = fixtures().join("parquet").join(name).into();
    let layout = layout.parse().expect(layout);
    let config = DatasetConfig { files, layout, image_folder, ..DatasetConfig::default() };
    let dataset = Dataset::open(&config).expect(name);
    dataset.problems().collect::<Result<_, _>>().expect(name)
}

fn digests(problem: &Problem) -> Vec<Value> {
    let digest = |image: &ImageSource| match image {
        ImageSource::Bytes(bytes) => Value::from(format!("{:x}", Sha256::digest(bytes))),
        ImageSource::File(path) => panic!("{} is a file", path.display()),
    };
    problem.images.iter().map(digest).collect()
}

#[test]
fn every_file_of_the_index_is_read() {
    let mut expected = expected();
    for (name, layout) in [
        ("geometry3k_layout.parquet", "geometry3k"),
        ("geometry3k_zstd_rg5.parquet", "standard"),
        ("geometry3k_large_types.parquet", "geometry3k"),
        ("verl_layout.parquet", "verl"),
    ] {
        let (problems, rows) = (read(name, layout, None), expected.remove(name).expect(name));
        assert_eq!(problems.len(), rows.len(), "{name}");
        for (at, (problem, row)) in problems.iter().zip(&rows).enumerate() {
            assert_eq!(problem.problem, row["problem"], "{name}");
            assert_eq!(problem.answer, row["answer"], "{name}");
            assert_eq!(Value::from(digests(problem)), row["images_sha256"], "{name}");
            assert_eq!(problem.category.as_deref(), (layout == "verl").then_some("hiyouga/geometry3k"));
            assert!(problem.place.to_string().ends_with(&format!("{name}[{at}]")), "{}", problem.place);
        }
    }

    let (problems, rows) = (read("mmk12_layout.parquet", "mmk12", None), expected.remove("mmk12_layout.parquet"));
    let rows = rows.expect("mmk12");
    assert_eq!(problems.len(), rows.len());
    for (problem, row) in problems.iter().zip(&rows) {
        assert_eq!(problem.problem, row["question"]);
        assert_eq!(problem.answer, row["answer"]);
        assert_eq!(problem.category.as_deref(), row["subject"].as_str());
        assert_eq!(digests(problem), [row["image"]["sha256"].clone()], "the bytes count, whatever the path says");
    }

    let images = fixtures().join("parquet/virl_images");
    let problems = read("virl39k_layout.parquet", "virl39k", Some(images.clone()));
    let rows = expected.remove("virl39k_layout.parquet").expect("virl39k");
    assert_eq!(problems.len(), rows.len());
    for (problem, row) in problems.iter().zip(&rows) {
        assert_eq!(problem.problem, row["question"]);
        assert_eq!(problem.answer, row["answer"]);
        assert_eq!(problem.category.as_deref(), row["category"].as_str());
        let names = row["image"].as_array().expect("a list").iter().map(|name| name.as_str().expect("a path"));
        assert_eq!(problem.images, names.map(|name| ImageSource::File(images.join(name))).collect::<Vec<_>>());
    }
    assert!(expected.is_empty(), "not read: {expected:?}");
}

/// Without the folder of the images each row says which image it misses.
#[test]
fn images_are_looked_for_beside_the_file() {
    let dataset = open(fixtures().join("parquet/virl39k_layout.parquet"), "virl39k").expect("the file");
    let error = dataset.problem(2).expect_err("the images are in another folder");
    assert!(
        matches!(&error, DatasetError::MissingImage { image, .. } if image.ends_with("images/v2_0.png")),
        "{error}"
    );
    assert!(error.is_of_row() && error.to_string().contains("virl39k_layout.parquet[2]: "), "{error}");
    assert_eq!(dataset.problem(3).expect("it has no images").images, []);
}

/// A file in another layout is refused with the layout it has.
#[test]
fn the_right_layout_is_suggested() {
    let wrong = |name: &str, layout: &str| {
        open(fixtures().join("parquet").join(name), layout).expect_err("another layout").to_string()
    };
    let error = wrong("mmk12_layout.parquet", "standard");
    assert!(
        error.contains("no column `problem`; it has id, question, answer, subject, image; its layout may be `mmk12`"),
        "{error}"
    );
    let error = wrong("verl_layout.parquet", "mmk12");
    assert!(error.contains("no column `question` or `problem`") && error.contains("`verl`"), "{error}");
    let error = wrong("geometry3k_layout.parquet", "ms-swift");
    assert!(error.contains("no column `messages` or `query`") && error.contains("`standard`"), "{error}");
}

/// Columns can be named, and a name that is not there is an error even where the column might be absent.
#[test]
fn columns_have_names() {
    let layout = |text: &str| serde_json::from_str::<Layout>(text).expect(text);
    let open = |layout| {
        let files = fixtures().join("parquet/mmk12_layout.parquet").into();
        Dataset::open(&DatasetConfig { files, layout, ..DatasetConfig::default() })
    };
    let named = layout(r#"{"problem": "question", "images": "image", "category": "id"}"#);
    let problem = open(named).expect("its columns").problem(4).expect("a row");
    assert_eq!((problem.problem.as_str(), problem.category.as_deref()), ("<image>\nQ4?", Some("id-4")));
    for column in ["images", "category", "teacher", "answer"] {
        let error =
            open(layout(&format!(r#"{{"problem": "question", "{column}": "nothing"}}"#))).expect_err("not there");
        let DatasetError::MissingColumn { column: missing, hint, .. } = &error else { panic!("{error}") };
        assert_eq!((missing.as_str(), hint.as_str()), ("nothing", "its layout may be `mmk12`"));
    }
    // The image's own path as the answer, which half of the rows lack.
    let inner = layout(r#"{"problem": "question", "images": "image", "answer": "image.path"}"#);
    let dataset = open(inner).expect("its columns");
    assert_eq!(dataset.problem(1).expect("a row with a path").answer, "1.png");
    assert!(matches!(dataset.problem(0), Err(DatasetError::MissingField { field: "answer", .. })));
}

/// Layouts are written as they are read, and mistakes in them are named.
#[test]
fn layouts_are_settings() {
    for text in [
        "\"standard\"",
        "\"ms-swift\"",
        "\"sharegpt\"",
        r#"{"problem":"q","images":"i","answer":"a","category":"c","teacher":"t","images_first":true}"#,
    ] {
        let layout: Layout = serde_json::from_str(text).expect(text);
        assert_eq!(serde_json::to_string(&layout).expect("JSON"), text);
    }
    assert_eq!(serde_json::from_str::<Layout>("{}").expect("all standard"), Layout::Named(Default::default()));
    for (text, expected) in
        [("\"geo3k\"", "no layout `geo3k`; built in are standard, geometry3k"), (r#"{"image": "i"}"#, "`images`")]
    {
        let error = serde_json::from_str::<Layout>(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
