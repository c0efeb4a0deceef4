//! A checkpoint folder whose index and weight files are any bytes: refused, or opened without reading outside the folder.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use vlm_model::Checkpoint;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|input: (Option<&str>, &[u8], &[u8])| {
    let (index, first, second) = input;
    let write = |name: &str, content: &[u8]| std::fs::write(FOLDER.path().join(name), content).expect("the file");
    let index_file = FOLDER.path().join("model.safetensors.index.json");
    match index {
        Some(index) => write("model.safetensors.index.json", index.as_bytes()),
        None if index_file.exists() => std::fs::remove_file(&index_file).expect("ours"),
        None => {}
    }
    write("model.safetensors", first);
    // A name that is easily found.
    write("b", second);
    let _ = Checkpoint::open(FOLDER.path());
});
