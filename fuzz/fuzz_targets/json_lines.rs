//! A data file of any bytes, the first of which chooses form and layout: refused, or each of its rows is a whole
//! problem or an error that names the row.

#![no_main]

use std::sync::LazyLock;

use dataset::{Dataset, DatasetConfig, IMAGE_MARKER, ImageSource, Layout, Preset};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.png"), "").expect("a file that images may name");
    folder
});

fuzz_target!(|input: &[u8]| {
    let Some((&choice, content)) = input.split_first() else { return };
    // Objects line by line, or a list of them.
    let file = FOLDER.path().join(if choice & 1 == 0 { "rows.jsonl" } else { "rows.json" });
    std::fs::write(&file, content).expect("the file");
    let preset = Preset::ALL[usize::from(choice >> 1) % Preset::ALL.len()];
    let config =
        DatasetConfig { files: file.as_path().into(), layout: Layout::Preset(preset), ..DatasetConfig::default() };
    let Ok(dataset) = Dataset::open(&config) else { return };
    for index in 0..dataset.len() {
        match dataset.problem(index) {
            Ok(problem) => {
                assert_eq!(problem.problem.matches(IMAGE_MARKER).count(), problem.images.len());
                assert!(!problem.answer.trim().is_empty());
                let inside = FOLDER.path().canonicalize().expect("it is there");
                for image in &problem.images {
                    let ImageSource::File(image) = image else { continue };
                    assert!(image.canonicalize().expect("it was looked for").starts_with(&inside), "{image:?}");
                }
            }
            Err(error) => assert!(error.is_of_row(), "{error}"),
        }
    }
});
