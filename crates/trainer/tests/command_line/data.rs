use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::program::{fixture, sightline};

/// A PNG file whose first part promises a picture of this size; nothing follows.
fn promise(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let checksum = !header.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(header);
    file.extend(checksum.to_be_bytes());
    file.extend(b"\0\0\x10\0IDAT");
    file.extend([0; 32]);
    file
}

/// A file with something of everything, and three files of images beside it.
fn mixed(folder: &Path) -> PathBuf {
    for (name, width, height) in [("small.png", 30, 40), ("wide.png", 90, 20)] {
        RgbImage::from_pixel(width, height, Rgb([9, 8, 7])).save(folder.join(name)).expect("a writable folder");
    }
    fs::write(folder.join("bomb.png"), promise(60_000, 60_000)).expect("a writable folder");
    fs::write(folder.join("noise.png"), b"noise").expect("a writable folder");
    let rows = [
        json!({"problem": "<image>How long?", "images": ["small.png"], "answer": "12", "category": "length"}),
        json!({"problem": "<image>How long?", "images": ["wide.png"], "answer": "\\boxed{\\frac{1}{2}}", "category": "length"}),
        json!({"problem": "2 + 2?", "answer": 4}),
        json!({"problem": "<image>How long?", "images": ["small.png"], "answer": "13"}),
        json!({"problem": "Who?", "answer": "a cat on a mat"}),
        json!({"problem": "<image>", "images": [], "answer": "1"}),
        json!({"problem": "<image>", "images": ["nothing.png"], "answer": "1"}),
        json!({"problem": "<image>", "images": ["noise.png"], "answer": "1"}),
        json!({"problem": "<image>", "images": ["bomb.png"], "answer": "1"}),
        json!({"problem": "p", "answer": " "}),
    ];
    let path = folder.join("mixed.jsonl");
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(&path, format!("{lines}{{\n")).expect("a writable folder");
    path
}

fn kinds(report: &Value) -> Vec<(&str, String)> {
    let findings = report["findings"].as_array().expect("a list");
    let name = |place: &Value| place.as_str().and_then(|place| place.rsplit_once('/')).map(|(_, name)| name.to_owned());
    findings.iter().map(|it| (it["kind"].as_str().expect("a kind"), name(&it["place"]).expect("a place"))).collect()
}

#[test]
fn everything_wrong_is_found_and_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = mixed(folder.path()).display().to_string();
    let ended = sightline(&["data", "check", &path, "--json"], "");
    ended.fails_with("6 of 11 problems cannot be used");
    let report: Value = serde_json::from_str(&ended.output).expect("one JSON object");
    assert_eq!((&report["problems"], &report["usable"], &report["without_images"]), (&11.into(), &5.into(), &2.into()));
    assert_eq!(report["files"], json!([path]));
    assert_eq!(
        report["images"],
        json!({
            "count": 3,
            "width": {"min": 30, "median": 30, "max": 90},
            "height": {"min": 20, "median": 40, "max": 40},
            "pixels": {"min": 1200, "median": 1200, "max": 1800},
        })
    );
    assert_eq!(report["categories"], json!({"length": 2}));
    assert_eq!(report["prompt_tokens"], Value::Null);
    let errors = json!({"malformed-row": 2, "marker-mismatch": 1, "image-missing": 1, "image-unreadable": 1, "image-too-large": 1});
    assert_eq!(report["errors"], errors);
    assert_eq!(report["warnings"], json!({"answer-not-understood": 1, "duplicate": 1}));
    let expected = [
        ("duplicate", "mixed.jsonl:4"),
        ("answer-not-understood", "mixed.jsonl:5"),
        ("marker-mismatch", "mixed.jsonl:6"),
        ("image-missing", "mixed.jsonl:7"),
        ("image-unreadable", "mixed.jsonl:8"),
        ("image-too-large", "mixed.jsonl:9"),
        ("malformed-row", "mixed.jsonl:10"),
        ("malformed-row", "mixed.jsonl:11"),
    ];
    assert_eq!(kinds(&report), expected.map(|(kind, place)| (kind, place.to_owned())));
    let messages = report["findings"].to_string();
    assert!(messages.contains("the same text and images as") && messages.contains("mixed.jsonl:1"), "{messages}");

    let table = sightline(&["data", "check", &path], "");
    table.fails_with("6 of 11 problems");
    for part in [
        "problems",
        "30 … 30 … 90",
        "category length",
        "ERROR: images too large to be decoded",
        "note: duplicates",
        "nothing.png",
    ] {
        assert!(table.output.contains(part), "{part} expected in {}", table.output);
    }
}

/// With a model the check does what training does, and counts tokens.
#[test]
fn a_model_counts_tokens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("model");
    trainer::demo::untrained(&model, 4, &Device::default()).expect("a writable folder");
    let model = model.display().to_string();
    let path = mixed(folder.path()).display().to_string();
    let check = |more: &[&str]| -> (String, Value) {
        let ended = sightline(&[&["data", "check", &path, "--json", "--model", &model], more].concat(), "");
        (ended.errors.clone(), serde_json::from_str(&ended.output).expect("one JSON object"))
    };
    let (errors, report) = check(&[]);
    assert!(errors.contains("6 of 11 problems"), "{errors}");
    let tokens = &report["prompt_tokens"];
    let [limit, min, max] =
        [&tokens["limit"], &tokens["spread"]["min"], &tokens["spread"]["max"]].map(|it| it.as_u64().expect("a number"));
    assert!(limit == 4096 && min > 5 && max > min, "{tokens}");
    // One token less than the longest prompt has.
    let limit = (max - 1).to_string();
    let (errors, stricter) = check(&["--max-prompt-tokens", &limit]);
    let long = stricter["errors"]["prompt-too-long"].as_u64().expect("some are too long");
    assert!(errors.contains(&format!("{} of 11 problems", 6 + long)), "{errors}");
    let (_, longer) = check(&["--template", "vppo"]);
    assert!(longer["prompt_tokens"]["spread"]["min"].as_u64() > Some(min), "a template has words of its own");
}

#[test]
fn good_data_passes() {
    let check = |name: &str, more: &[&str]| {
        let file = fixture(&format!("parquet/{name}"));
        let report = sightline(&[&["data", "check", &file, "--json"], more].concat(), "").output();
        serde_json::from_str::<Value>(&report).expect("JSON")
    };
    for (name, layout, problems, images) in [
        ("geometry3k_layout.parquet", "geometry3k", 12, 14),
        ("mmk12_layout.parquet", "mmk12", 6, 6),
        ("mmk12_layout.parquet", r#"{problem = "question", images = "image"}"#, 6, 6),
        ("verl_layout.parquet", "verl", 4, 5),
    ] {
        let report = check(name, &["--layout", layout]);
        let found = (&report["problems"], &report["usable"], &report["images"]["count"]);
        assert_eq!(found, (&problems.into(), &problems.into(), &images.into()), "{name}");
    }
    let images = fixture("parquet/virl_images");
    let report = check("virl39k_layout.parquet", &["--layout", "virl39k", "--image-folder", &images]);
    assert_eq!((&report["usable"], &report["images"]["count"]), (&5.into(), &5.into()));
    assert_eq!(report["warnings"], json!({}), "an answer in a box is understood");
    // Several files are one data set, and the same problems in both are duplicates.
    let [one, other] =
        ["geometry3k_layout.parquet", "geometry3k_zstd_rg5.parquet"].map(|name| fixture(&format!("parquet/{name}")));
    let table = sightline(&["data", "check", &one, &other], "").output();
    assert!(table.contains("note: duplicates") && table.contains("… and 7 more duplicates"), "{table}");
}

#[test]
fn mistakes_are_explained() {
    let geometry = fixture("parquet/geometry3k_layout.parquet");
    sightline(&["data", "check", "nowhere.parquet"], "").fails_with("no data file or folder nowhere.parquet");
    sightline(&["data", "check", &geometry, "--template", "nothing"], "").fails_with("no template `nothing`");
    sightline(&["data", "check", &geometry, "--model", "nowhere"], "").fails_with("nowhere");
    for (layout, expected) in
        [("geo", "no layout `geo`"), ("{problm = \"p\"}", "a layout is a preset's name or a table")]
    {
        let ended = sightline(&["data", "check", &geometry, "--layout", layout], "");
        assert!(!ended.success && ended.errors.contains(expected), "{}", ended.errors);
    }
    sightline(&["data", "check", &geometry, "--layout", "virl39k"], "").output();
    sightline(&["data", "check", &geometry, "--layout", "ms-swift"], "").fails_with("its layout may be `standard`");
}

/// An image that lies elsewhere makes a bad row, unless it may.
#[test]
fn images_stay_in_their_folder_unless_allowed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("data")).expect("a writable folder");
    RgbImage::from_pixel(30, 40, Rgb([9, 8, 7])).save(folder.path().join("1.png")).expect("a writable folder");
    let rows = folder.path().join("data/rows.jsonl");
    let row = json!({"problem": "<image>How long?", "images": ["../1.png"], "answer": "12"});
    fs::write(&rows, row.to_string()).expect("a writable folder");
    let rows = rows.display().to_string();
    let ended = sightline(&["data", "check", &rows], "");
    ended.fails_with("1 of 1 problems cannot be used");
    assert!(ended.output.contains("lies outside of") && ended.output.contains("rows.jsonl:1"), "{}", ended.output);
    sightline(&["data", "check", &rows, "--images-outside-folder"], "").output();
    sightline(&["data", "check", &rows, "--image-folder", &folder.path().join("data/..").display().to_string()], "")
        .fails_with("1 of 1 problems cannot be used");
}
