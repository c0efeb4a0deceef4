//! Where image files may lie.

use std::path::{Path, PathBuf};

use dataset::{Dataset, DatasetConfig, DatasetError, ImageSource};
use serde_json::json;

use crate::tables::write_json_lines;

/// `data/rows.jsonl`, `data/images/1.png`, and `other/1.png` beside the data.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["data/images", "other"] {
        std::fs::create_dir_all(folder.path().join(name)).expect("a writable folder");
        std::fs::write(folder.path().join(name).join("1.png"), "").expect("a writable folder");
    }
    folder
}

/// The image of a row that names it so.
fn image(folder: &Path, name: &str, given: Option<PathBuf>, outside: bool) -> Result<PathBuf, DatasetError> {
    let file = folder.join("data/rows.jsonl");
    write_json_lines(&file, &[json!({"problem": "<image>", "images": [name], "answer": "a"})]);
    read(&file, given, outside)
}

fn read(file: &Path, image_folder: Option<PathBuf>, outside: bool) -> Result<PathBuf, DatasetError> {
    let config =
        DatasetConfig { files: file.into(), image_folder, images_outside_folder: outside, ..DatasetConfig::default() };
    match Dataset::open(&config)?.problem(0)?.images.remove(0) {
        ImageSource::File(path) => Ok(path),
        ImageSource::Bytes(_) => panic!("it was named by a path"),
    }
}

#[track_caller]
fn assert_outside(found: Result<PathBuf, DatasetError>, folder: &Path) {
    let error = found.expect_err("it lies outside");
    assert!(matches!(&error, DatasetError::ImageOutside { folder: found, .. } if found == folder), "{error}");
    assert!(error.is_of_row(), "{error}");
    for part in ["rows.jsonl:1: ", "1.png lies outside of", "image_folder", "images_outside_folder"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn paths_stay_in_their_folder() {
    let tree = tree();
    let path = |name: &str| tree.path().join(name);
    let data = path("data");
    let absolute = |name: &str| path(name).display().to_string();
    for name in ["images/1.png", "images/../images/./1.png", &absolute("data/images/1.png")] {
        let found = image(tree.path(), name, None, false).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found, data.join(name), "as it was named");
    }
    let url = format!("file://{}", absolute("other/1.png"));
    for name in ["../other/1.png", "images/../../other/1.png", &absolute("other/1.png"), &url] {
        assert_outside(image(tree.path(), name, None, false), &data);
        image(tree.path(), name, None, true).unwrap_or_else(|error| panic!("allowed, but {name}: {error}"));
    }
    // What is in the folder of the data is outside of the folder of the images.
    let images = path("data/images");
    image(tree.path(), "1.png", Some(images.clone()), false).expect("inside");
    assert_outside(image(tree.path(), "../../other/1.png", Some(images), false), &path("data/images"));
    image(tree.path(), &absolute("other/1.png"), Some(path("other")), false).expect("an absolute path inside");
    assert_outside(image(tree.path(), "../other/1.png", Some(path("other/../data")), false), &path("other/../data"));
    // A folder whose name only begins alike is another one.
    std::fs::create_dir(path("data-2")).expect("a writable folder");
    std::fs::write(path("data-2/1.png"), "").expect("a writable folder");
    assert_outside(image(tree.path(), "../data-2/1.png", None, false), &data);
    // What is not there is missing, wherever it would be.
    let error = image(tree.path(), "../other/2.png", None, false).expect_err("no such file");
    assert!(matches!(error, DatasetError::MissingImage { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn links_are_followed() {
    use std::os::unix::fs::symlink;

    let tree = tree();
    let path = |name: &str| tree.path().join(name);
    symlink(path("other/1.png"), path("data/out.1.png")).expect("a link");
    symlink("images/1.png", path("data/in.1.png")).expect("a link");
    symlink(path("other"), path("data/folder")).expect("a link");
    image(tree.path(), "in.1.png", None, false).expect("a link to the inside");
    assert_outside(image(tree.path(), "out.1.png", None, false), &path("data"));
    assert_outside(image(tree.path(), "folder/1.png", None, false), &path("data"));
    image(tree.path(), "1.png", Some(path("data/folder")), false).expect("the folder itself may be a link");

    // A Hub's cache: everything is a link into one folder.
    for name in ["blobs", "snapshot"] {
        std::fs::create_dir(path(name)).expect("a writable folder");
    }
    write_json_lines(&path("blobs/a"), &[json!({"problem": "<image>", "images": ["1.png"], "answer": "a"})]);
    std::fs::write(path("blobs/b"), "").expect("a writable folder");
    symlink("../blobs/a", path("snapshot/rows.jsonl")).expect("a link");
    symlink("../blobs/b", path("snapshot/1.png")).expect("a link");
    assert_eq!(read(&path("snapshot/rows.jsonl"), None, false).expect("both in the cache"), path("snapshot/1.png"));
    std::fs::remove_file(path("snapshot/1.png")).expect("a link");
    symlink("../other/1.png", path("snapshot/1.png")).expect("a link");
    assert_outside(read(&path("snapshot/rows.jsonl"), None, false), &path("snapshot"));
}
