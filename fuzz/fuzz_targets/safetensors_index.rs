//! A checkpoint folder whose index and two weight files are any bytes, parted by lines of four dashes: refused, or
//! opened.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use vlm_model::Checkpoint;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// Up to the first line of four dashes, and what follows it.
fn parted(bytes: &[u8]) -> (&[u8], &[u8]) {
    const LINE: &[u8] = b"\n----\n";
    match bytes.windows(LINE.len()).position(|window| window == LINE) {
        Some(at) => (&bytes[..at], &bytes[at + LINE.len()..]),
        None => (bytes, &[]),
    }
}

fuzz_target!(|input: &[u8]| {
    let (index, rest) = parted(input);
    let (first, second) = parted(rest);
    let write = |name: &str, content: &[u8]| std::fs::write(FOLDER.path().join(name), content).expect("the file");
    let index_file = FOLDER.path().join("model.safetensors.index.json");
    if !index.is_empty() {
        write("model.safetensors.index.json", index);
    } else if index_file.exists() {
        std::fs::remove_file(&index_file).expect("ours");
    }
    write("model.safetensors", first);
    // A name that is easily found.
    write("b", second);
    let _ = Checkpoint::open(FOLDER.path());
});
