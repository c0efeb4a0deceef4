//! Which files a selection means.

use std::fs;
use std::path::Path;

use dataset::{DatasetError, Selection, is_data, is_of_split};
use tempfile::TempDir;

/// A folder with empty files.
fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        fs::write(path, "").expect("a writable folder");
    }
    folder
}

/// The files of selections in a folder, with their names there.
fn select(folder: &TempDir, parts: &[&str]) -> Result<Vec<String>, DatasetError> {
    let root = folder.path().display();
    let parts =
        parts.iter().map(|part| if part.starts_with('@') { format!("{root}{part}") } else { format!("{root}/{part}") });
    let files = Selection::from_iter(parts).files()?;
    Ok(files.iter().map(|file| file.strip_prefix(folder.path()).expect("inside").display().to_string()).collect())
}

#[test]
fn hub_folders_have_splits() {
    let hub = folder(&[
        "README.md",
        ".gitattributes",
        ".cache/data/train-00000-of-00001.parquet",
        "dataset_infos.json",
        "data/train-00001-of-00002.parquet",
        "data/train-00000-of-00002.parquet",
        "data/test-00000-of-00001-8f3e.parquet",
        "data/validation-00000-of-00001.parquet",
    ]);
    let train = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"];
    assert_eq!(select(&hub, &["@train"]).expect("a split"), train);
    assert_eq!(select(&hub, &["@test"]).expect("a split"), ["data/test-00000-of-00001-8f3e.parquet"]);
    assert_eq!(select(&hub, &["@val"]).expect("a synonym"), ["data/validation-00000-of-00001.parquet"]);
    assert_eq!(select(&hub, &["data@dev", "@test"]).expect("two").len(), 2);
    assert_eq!(select(&hub, &["data/train-00000-of-00002.parquet"]).expect("a file").len(), 1);
    let error = select(&hub, &[""]).expect_err("three splits").to_string();
    assert!(error.contains("the splits test, train, validation") && error.contains('@'), "{error}");
    let error = select(&hub, &["@holdout"]).expect_err("no such split").to_string();
    assert!(error.contains("no split `holdout`; it has test, train, validation"), "{error}");
    fs::remove_file(hub.path().join("data/train-00000-of-00002.parquet")).expect("a writable folder");
    let error = select(&hub, &["@train"]).expect_err("half of it").to_string();
    assert!(error.contains("1 of 2 numbered files") && error.contains("data/train"), "{error}");
}

#[test]
fn splits_are_words_of_names() {
    for (name, split) in [
        ("train.jsonl", "train"),
        ("my_train_file.parquet", "train"),
        ("TRAIN-1.parquet", "train"),
        ("train/0001.parquet", "train"),
        ("validation/train.parquet", "train"),
        ("geo.val.json", "validation"),
        ("eval/a.jsonl", "test"),
        ("mini-00000-of-00002.parquet", "mini"),
        ("geometry.parquet", "train"),
        ("trainers.parquet", "train"),
        ("testing.parquet", "test"),
        ("contest.parquet", "train"),
    ] {
        for other in ["train", "validation", "test", "mini"] {
            assert_eq!(is_of_split(Path::new(name), other), other == split, "{name} of {other}");
        }
    }
    assert!(is_of_split(Path::new("dev.jsonl"), "valid") && is_of_split(Path::new("test.jsonl"), "evaluation"));
}

#[test]
fn folders_are_read_in_order() {
    let plain = folder(&["b.jsonl", "a.parquet", "c/d.NDJSON", "notes.json", "picture.png"]);
    assert_eq!(select(&plain, &[""]).expect("one split"), ["a.parquet", "b.jsonl", "c/d.NDJSON"]);
    assert_eq!(select(&plain, &["@train"]).expect("the same"), ["a.parquet", "b.jsonl", "c/d.NDJSON"]);
    let lists = folder(&["b.json", "a.json", "dataset_info.json", "state.json"]);
    assert_eq!(select(&lists, &[""]).expect("lists"), ["a.json", "b.json"]);
    for empty in [folder(&[]), folder(&["picture.png", ".hidden.parquet", "dataset_dict.json"])] {
        let error = select(&empty, &["@train"]).expect_err("nothing");
        assert!(matches!(error, DatasetError::NoData { .. }), "{error}");
    }
    assert!(is_data(Path::new("x.ndjson")) && !is_data(Path::new("x.csv")) && !is_data(Path::new("parquet")));
}

#[test]
fn wrong_paths_are_named() {
    let one = folder(&["a.parquet", "at@home/b.parquet", "c@train.jsonl"]);
    assert_eq!(select(&one, &["at@home"]).expect("a path as it stands"), ["at@home/b.parquet"]);
    assert_eq!(select(&one, &["c@train.jsonl"]).expect("a path as it stands"), ["c@train.jsonl"]);
    assert_eq!(select(&one, &["at@home@train"]).expect("the last @"), ["at@home/b.parquet"]);
    let error = |part: &str| select(&one, &[part]).expect_err(part);
    assert!(matches!(error("a.parquet@train"), DatasetError::SplitOfFile { .. }));
    for missing in ["b.parquet", "b.parquet@train", "no@where/b.parquet"] {
        assert!(matches!(error(missing), DatasetError::NotFound { .. }), "{missing}");
    }
    assert!(
        error("b.parquet@train").to_string().ends_with("b.parquet; a data set of the Hub has to be downloaded first")
    );
    assert!(matches!(Selection::default().files(), Err(DatasetError::NothingSelected)));
}

/// A selection is written as it is read: a text, or a list.
#[test]
fn selections_are_settings() {
    for text in ["\"a.parquet\"", "[\"a@train\",\"b\"]", "[]"] {
        let selection: Selection = serde_json::from_str(text).expect(text);
        assert_eq!(serde_json::to_string(&selection).expect("JSON"), text);
    }
    let error = serde_json::from_str::<Selection>("5").expect_err("a number").to_string();
    assert!(error.contains("a path or a list of paths"), "{error}");
    assert_eq!(Selection::path_and_split("hiyouga/geometry3k@train"), ("hiyouga/geometry3k", Some("train")));
    assert_eq!(Selection::path_and_split("@train"), ("@train", None));
}
