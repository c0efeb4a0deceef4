//! What a line costs in memory that is longer than any row may be. A file of its own: it watches the whole process.

use std::fs::File;

use dataset::{Dataset, DatasetConfig, DatasetError};
use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

#[test]
fn a_line_without_end_is_counted_and_not_kept() {
    const BYTES: u64 = 300 << 20;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.jsonl");
    // A file of zeros that takes no room on the disk.
    File::create(&path).and_then(|file| file.set_len(BYTES)).expect("a writable folder");
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    let dataset =
        Dataset::open(&DatasetConfig { files: path.as_path().into(), ..DatasetConfig::default() }).expect("a file");
    let error = dataset.problem(0).expect_err("it is too long");
    let used = PEAK.peak_usage() - before;
    assert!(matches!(error, DatasetError::RowTooLarge { bytes: BYTES, limit: 268_435_456, .. }), "{error}");
    assert!(used < 1 << 20, "{used} bytes for a line of {BYTES}");
}
